import * as fs from 'node:fs';
import type { Homelab } from '../../inventory';
import { bad, good, warning, type Finding } from '../engine/findings';
import { LOCALHOST, type Commands } from '../engine/commands';
import { manifests } from '../clients/context';
import { AUTHORITY_FILE } from '../secrets/authority';
import { entryAddresses } from './cluster';

/**
 * Every host name, at every worker, with a certificate of the own authority. Asked is what Kubernetes asks to see that the app
 * is ready, so that a 404 is the ingress controller's, which knows no such route.
 */
export async function routeChecks(homelab: Homelab, commands: Commands): Promise<Finding[]> {
  const hosts = routesOf(manifests().map(({ object }) => object));
  if (hosts.length > 0 && !fs.existsSync(AUTHORITY_FILE))
    return [bad('routes from outside', 'ca.crt is not there', 'npm run bootstrap -- apply secrets')];
  const found: Finding[] = [];
  for (const route of hosts)
    for (const address of entryAddresses(homelab)) found.push(await routeFinding(commands, route, address));
  return found;
}

async function routeFinding(commands: Commands, route: Route, address: string): Promise<Finding> {
  const { host, path, isProbe, ownCertificate } = route;
  const what = `https://${host}${isProbe ? '' : path.replace(/^\/$/, '')} at ${address}`;
  const argv = [
    ...['curl', '--silent', '--show-error', '--max-time', '15', '--output', '/dev/null'],
    // What is asked is at home, whatever proxy leads out of it.
    ...['--noproxy', '*', '--resolve', `${host}:443:${address}`],
    ...['--write-out', '%{http_code}', ...(ownCertificate ? [] : ['--cacert', AUTHORITY_FILE])],
    `https://${host}${path}`,
  ];
  // Each is an answer of curl: no connection, no TLS, no certificate of ours, no time left.
  const accepts = Array.from({ length: 100 }, (_, code) => code);
  const { code, stdout, stderr } = await commands.read(LOCALHOST, argv, { accepts });
  if (code === UNKNOWN_AUTHORITY && ownCertificate)
    return warning(
      what,
      'its own certificate is from an authority that this machine does not trust',
      'kubectl get secret -A',
    );
  if (code !== 0) {
    const finding = bad(what, stderr.trim() || `curl ended with ${code}`, 'kubectl -n ingress get pods');
    // A missing connection, answer or TLS is the same for every host name there.
    return { ...finding, cause: `curl ${code} ${address}` };
  }
  const status = Number(stdout.trim());
  if (status === 404 && isProbe) {
    const fix = 'kubectl get ingress -A; kubectl -n ingress logs -l app.kubernetes.io/name=traefik';
    return bad(what, `status 404 for ${path}`, fix);
  }
  const isAnswer = status >= 100 && status < 500;
  return isAnswer ? good(what, `status ${status}`) : bad(what, `status ${stdout}`, 'kubectl -n web get pods');
}

/** Of curl: the certificate is not signed by a known authority. */
const UNKNOWN_AUTHORITY = 60;

interface Route {
  readonly host: string;
  /** What is asked there. */
  readonly path: string;
  /** Whether it is the readiness probe of the app, so that a 404 is the ingress controller's. */
  readonly isProbe: boolean;
  /** Whether it has a certificate that is not of the own authority. */
  readonly ownCertificate: boolean;
}

/** Every host and path of the Ingresses, with the readiness probe behind it, where the route leads to that. */
export function routesOf(objects: readonly any[]): Route[] {
  return objects
    .filter((object) => object?.kind === 'Ingress')
    .flatMap((ingress) =>
      ingress.spec.rules.flatMap(({ host, http: { paths } }: any) =>
        paths.map(({ path, backend }: any) => ({
          host,
          ...asked(ingress, path, probePath(objects, ingress.metadata.namespace, backend.service)),
          ownCertificate: (ingress.spec.tls ?? []).some(
            ({ hosts, secretName }: any) => secretName !== undefined && hosts?.includes(host),
          ),
        })),
      ),
    );
}

/** Path of the readiness probe of the app behind a port of a Service, where it is asked over HTTP at that port. */
function probePath(objects: readonly any[], namespace: string, { name, port }: any): string | undefined {
  const find = (kind: string) =>
    objects.find((each) => each?.kind === kind && each.metadata.namespace === namespace && each.metadata.name === name);
  const get = find('Deployment')?.spec.template.spec.containers[0].readinessProbe?.httpGet;
  const served = find('Service')?.spec.ports.find((each: any) => each.port === port.number || each.name === port.name);
  // By number too: the target port of a Service is the name of a port of the container.
  return [served?.targetPort, served?.name, served?.port].includes(get?.port) ? get.path : undefined;
}

function asked({ metadata }: any, path: string, probe: string | undefined): Pick<Route, 'path' | 'isProbe'> {
  const middlewares: string = metadata.annotations?.['traefik.ingress.kubernetes.io/router.middlewares'] ?? '';
  if (probe === undefined) return { path, isProbe: false };
  if (path === '/') return { path: probe, isProbe: true };
  if (middlewares.split(',').includes(`strip:${path}@file`)) return { path: `${path}${probe}`, isProbe: true };
  return probe.startsWith(`${path}/`) ? { path: probe, isProbe: true } : { path, isProbe: false };
}
