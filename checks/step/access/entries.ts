import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import { grouped } from '../workloads';
import { listed, stable, type View } from './view';

/** Entry points from outside the cluster that are new, or no longer use TLS. */
export function entryRisks(before: View, after: View): Risk[] {
  return [...serviceRisks(before, after), ...routeRisks(before, after), ...guardRisks(before, after)];
}

function serviceRisks(before: View, after: View): Risk[] {
  return after.ofKind('Service').flatMap((service) => {
    const id = identity(service);
    const then = before.byId.get(id);
    const old = new Set(waysIn(then));
    const fresh = waysIn(service).filter((way) => !old.has(way));
    if (fresh.length === 0) return [];
    const name = `${service.metadata.namespace}/${service.metadata.name}`;
    const problem = `The Service ${name} can newly be reached from outside the cluster: ${listed(fresh)}.`;
    const from = then ? (then.spec.type ?? 'ClusterIP') : 'no Service';
    return [access(`${name}.service`, [id], from, listed(fresh), problem, 'spec')];
  });
}

/** How a Service is reached from outside, including its pods. */
function waysIn(service: Manifest | undefined): string[] {
  if (!service) return [];
  const { type = 'ClusterIP', ports = [], externalIPs = [], loadBalancerSourceRanges = [], selector } = service.spec;
  const pods = selector ? ` of pods with ${stable(selector)}` : '';
  const numbers = ports.map(({ port, protocol = 'TCP' }: Manifest) => `${protocol} ${port}${pods}`);
  const sources = loadBalancerSourceRanges.length > 0 ? loadBalancerSourceRanges : ['anywhere'];
  return [
    ...(type === 'NodePort' || type === 'LoadBalancer'
      ? numbers.map((port: string) => `${port} on every node's address`)
      : []),
    ...(type === 'LoadBalancer'
      ? numbers.flatMap((port: string) =>
          sources.map((source: string) => `${port} by the load balancer from ${source}`),
        )
      : []),
    ...numbers.flatMap((port: string) => externalIPs.map((address: string) => `${port} at ${address}`)),
  ];
}

/** A host and path that leads into the cluster. */
interface Route {
  /** HOST PATH, with what serves it. */
  readonly way: string;
  readonly tls: boolean;
  readonly id: string;
}

/** Compares all routes together. It does not matter which object holds a route. */
function routeRisks(before: View, after: View): Risk[] {
  const old = new Map<string, boolean>();
  for (const { way, tls } of routesOf(before)) old.set(way, (old.get(way) ?? true) && tls);
  return [...grouped(routesOf(after), ({ id }) => id)].flatMap(([id, routes]) => {
    const name = id.split(' ')[1]!;
    const fresh = routes.filter(({ way }) => !old.has(way)).map(({ way }) => way);
    const bare = routes.filter(({ way, tls }) => old.get(way) === true && !tls).map(({ way }) => way);
    return [
      ...(fresh.length > 0
        ? [
            access(
              `${name}.hosts`,
              [id],
              'not reachable',
              listed(fresh),
              `Newly reachable from outside the cluster: ${listed(fresh)}.`,
            ),
          ]
        : []),
      ...(bare.length > 0
        ? [
            access(
              `${name}.tls`,
              [id],
              'TLS',
              'no TLS',
              `Without TLS from now on: ${listed(bare)}; everyone on the network path can read passwords and sessions.`,
            ),
          ]
        : []),
    ];
  });
}

function routesOf(view: View): Route[] {
  return [...view.ofKind('Ingress').flatMap(ingressRoutes), ...view.ofKind('HTTPRoute').flatMap(gatewayRoutes)];
}

function ingressRoutes(ingress: Manifest): Route[] {
  const { spec, metadata } = ingress;
  const secured = new Set((spec.tls ?? []).flatMap(({ hosts = [] }: Manifest) => hosts));
  const byAnnotation = metadata.annotations?.['traefik.ingress.kubernetes.io/router.tls'] === 'true';
  // TLS without hosts applies to all hosts.
  const all = byAnnotation || (spec.tls ?? []).some(({ hosts = [] }: Manifest) => hosts.length === 0);
  const base = spec.defaultBackend ? [{ http: { paths: [{ path: '/' }] } }] : [];
  return [...base, ...(spec.rules ?? [])].flatMap(({ host = 'any host', http }: Manifest) =>
    (http?.paths ?? [{ path: '/' }]).map(({ path = '/' }: Manifest) => ({
      way: `${host}${path}`,
      tls: all || secured.has(host) || secured.has(host.replace(/^[^.]*/, '*')),
      id: identity(ingress),
    })),
  );
}

function gatewayRoutes(route: Manifest): Route[] {
  const { hostnames = ['any host'], parentRefs = [], rules = [] } = route.spec;
  const paths: readonly string[] = rules.flatMap(({ matches = [{}] }: Manifest) =>
    matches.map(({ path }: Manifest) => path?.value ?? '/'),
  );
  return hostnames.flatMap((host: string) =>
    parentRefs.flatMap(({ name, namespace, sectionName }: Manifest) =>
      [...new Set(paths.length > 0 ? paths : ['/'])].map((path) => ({
        way: `${host}${path} by ${[namespace ?? route.metadata.namespace, name, sectionName].filter(Boolean).join('/')}`,
        // The gateway's listener has the certificate.
        tls: true,
        id: identity(route),
      })),
    ),
  );
}

/** Annotations by which controllers require a login or restrict addresses. */
const GUARDS = /(auth|allowlist|whitelist|ipallow|middlewares|force-ssl-redirect|ssl-redirect)/i;

/** Middlewares that only take the prefix off a path. */
const STRIPS = /^strip:[^,]*@file$/;

function guardRisks(before: View, after: View): Risk[] {
  return after.ofKind('Ingress').flatMap((ingress) => {
    const id = identity(ingress);
    const now = ingress.metadata.annotations ?? {};
    const lost = Object.entries(before.byId.get(id)?.metadata.annotations ?? {}).filter(
      ([key, value]) => GUARDS.test(key) && value !== 'false' && !STRIPS.test(String(value)) && now[key] !== value,
    );
    const name = `${ingress.metadata.namespace}/${ingress.metadata.name}`;
    return lost.map(([key, value]) =>
      access(
        `${name}.${key}`,
        [id],
        String(value),
        now[key] ?? 'nothing',
        `The Ingress ${name} restricted access with ${key}, and ${now[key] === undefined ? 'no longer does' : 'does it in another way'}.`,
        `metadata.annotations[${key}]`,
      ),
    );
  });
}

function access(
  what: string,
  objects: readonly string[],
  from: string,
  to: string,
  problem: string,
  path?: string,
): Risk {
  return { verdict: 'access', what, objects, ...(path && { path }), from, to, problem };
}
