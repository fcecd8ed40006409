import { Yaml } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { bytes } from '../values/quantity';
import { sentence } from '../values/problem';
import type { Connections } from './connections';
import type { ExtendedRoute, OpenPort, RouteAnnotations, RouteExtensions } from './route-extensions';
import { fail } from './validation';

const ANNOTATION = 'traefik.ingress.kubernetes.io';

/** Added to a port of the nodes for the port of Traefik's pod, which must be above 1023 and none of Traefik's own. */
const INSIDE = 10_000;

/**
 * Traefik's configuration by file for what an Ingress cannot say, so that none of Traefik's own definitions must be in the cluster.
 * Traefik reads the file again within a minute or two of a change, and stays up. A new TCP or UDP port restarts it.
 */
export class TraefikRoutes implements RouteExtensions {
  private readonly routers = new Map<string, object>();
  private readonly middlewares = new Map<string, object>();
  private readonly transports = new Map<string, object>();
  private readonly ports = new Map<string, OpenPort & { readonly owner: string }>();

  /**
   * @param dnsNames of its own certificate
   * @param connections of its pods, which let clients in at a published port
   */
  constructor(
    private readonly dnsNames: readonly string[],
    private readonly connections: Connections,
  ) {}

  hostProblem(host: string): string | undefined {
    const wildcard = host.replace(/^[^.]*/, '*');
    if (this.dnsNames.includes(host) || this.dnsNames.includes(wildcard)) return undefined;
    return sentence({
      what: 'the host of a route must be in the certificate of the ingress controller',
      got: host,
      allowed: this.dnsNames.join(', '),
      fix: `add it to \`dnsNames\` of the TraefikIngress, or give the route a certificate of its own with \`tls\`; a wildcard covers one level`,
    });
  }

  extend(route: ExtendedRoute): RouteAnnotations {
    if (route.maxBody !== undefined) this.limit(route, bytes(route.maxBody));
    return {
      ingress: route.stripPrefix ? { [`${ANNOTATION}/router.middlewares`]: `${this.strip(route.path)}@file` } : {},
      service: {
        ...(route.grpc && { [`${ANNOTATION}/service.serversscheme`]: 'h2c' }),
        ...((route.responseTimeout ?? route.idleTimeout) && {
          [`${ANNOTATION}/service.serverstransport`]: `${this.transport(route)}@file`,
        }),
      },
    };
  }

  publish(scope: Construct, port: OpenPort): void {
    const name = entryPoint(port);
    const other = this.ports.get(name);
    if (other)
      fail(scope, {
        what: 'a published port must be used once',
        got: `${port.protocol} ${port.port}, which ${other.owner} has`,
        fix: 'choose another port for one of the two',
      });
    this.ports.set(name, { ...port, owner: scope.node.path });
    this.connections.allowFrom('anywhere', { port: INSIDE + port.port, protocol: port.protocol });
  }

  /** Ports of the pod, behind the ports of the nodes. */
  get containerPorts(): (k8s.ContainerPort & { readonly protocol: 'TCP' | 'UDP' })[] {
    return this.inOrder().map((port) => ({
      name: entryPoint(port),
      containerPort: INSIDE + port.port,
      hostPort: port.port,
      protocol: port.protocol,
    }));
  }

  /** Entry points of the ports. */
  get args(): string[] {
    return this.inOrder().flatMap((port) => {
      const option = `--entrypoints.${entryPoint(port)}`;
      return port.protocol === 'UDP'
        ? // As long as the connection tracking of Linux keeps an answered exchange; Traefik's default of 3 s would lose late answers.
          [`${option}.address=:${INSIDE + port.port}/udp`, `${option}.udp.timeout=120s`]
        : [`${option}.address=:${INSIDE + port.port}`, `${option}.transport.lifecycle.gracetimeout=20s`];
    });
  }

  /** The file; undefined without any route that needs it. */
  get file(): string | undefined {
    const http = {
      ...(this.routers.size > 0 && { routers: sorted(this.routers) }),
      ...(this.middlewares.size > 0 && { middlewares: sorted(this.middlewares) }),
      ...(this.transports.size > 0 && { serversTransports: sorted(this.transports) }),
    };
    const file = {
      ...(Object.keys(http).length > 0 && { http }),
      ...this.portsOf('TCP'),
      ...this.portsOf('UDP'),
    };
    return Object.keys(file).length > 0 ? Yaml.stringify(file) : undefined;
  }

  /** Named by the prefix, so that the same middleware serves all routes with it. */
  private strip(prefix: string): string {
    const name = `strip:${prefix}`;
    this.middlewares.set(name, { stripPrefix: { prefixes: [prefix] } });
    return name;
  }

  /**
   * A router that takes only requests whose Content-Length is too large, and answers 413. The middleware `buffering` on the route
   * itself would hold back every request and every answer, on Traefik's disk, and no stream would work. Its priority is one above
   * that of the route (the length of the rule, Traefik's default), so that a route for a longer path still comes first.
   */
  private limit({ hosts, path }: ExtendedRoute, limit: number): void {
    const middleware = `limit:${limit}`;
    this.middlewares.set(middleware, { buffering: { maxRequestBodyBytes: limit } });
    for (const host of hosts) {
      const rule = `Host("${host}") && ${pathRule(path)}`;
      this.routers.set(`limit:${host}${path}`, {
        entryPoints: ['websecure'],
        rule: `${rule} && HeaderRegexp("Content-Length", "${numbersAbove(limit)}")`,
        priority: rule.length + 1,
        middlewares: [middleware],
        service: 'noop@internal',
      });
    }
  }

  private transport({ service, responseTimeout, idleTimeout }: ExtendedRoute): string {
    const name = `${service.namespace}.${service.name}`;
    this.transports.set(name, {
      forwardingTimeouts: {
        ...(responseTimeout && { responseHeaderTimeout: `${responseTimeout.toSeconds()}s` }),
        ...(idleTimeout && { idleConnTimeout: `${idleTimeout.toSeconds()}s` }),
      },
    });
    return name;
  }

  private portsOf(protocol: 'TCP' | 'UDP'): object {
    const ports = this.inOrder().filter((port) => port.protocol === protocol);
    if (ports.length === 0) return {};
    const byName = (value: (port: OpenPort) => object) =>
      Object.fromEntries(ports.map((port) => [entryPoint(port), value(port)]));
    return {
      [protocol.toLowerCase()]: {
        routers: byName((port) => ({
          entryPoints: [entryPoint(port)],
          ...(protocol === 'TCP' && { rule: 'HostSNI(`*`)' }),
          service: entryPoint(port),
        })),
        services: byName(({ address }) => ({ loadBalancer: { servers: [{ address }] } })),
      },
    };
  }

  private inOrder(): OpenPort[] {
    return [...this.ports.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
  }
}

function entryPoint({ port, protocol }: OpenPort): string {
  return `${protocol.toLowerCase()}-${port}`;
}

function sorted(map: ReadonlyMap<string, object>): object {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As Traefik itself writes it for a path of an Ingress with `strictPrefixMatching`. */
function pathRule(path: string): string {
  return path === '/' ? 'PathPrefix("/")' : `(Path("${path}") || PathPrefix("${path}/"))`;
}

/** A regular expression for the decimal numbers above one, with leading zeros or without. */
export function numbersAbove(limit: number): string {
  const digits = String(limit);
  const greater = [...digits].flatMap((digit, index) => {
    if (digit === '9') return [];
    const rest = digits.length - index - 1;
    return [`${digits.slice(0, index)}[${Number(digit) + 1}-9]${rest > 0 ? `[0-9]{${rest}}` : ''}`];
  });
  return `^0*(${[`[1-9][0-9]{${digits.length},}`, ...greater].join('|')})$`;
}
