import type { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { transportOf, type ServicePort } from '../values/ports';
import type { PublishedPort } from '../values/published-ports';
import { publishedPortProblem } from '../values/published-ports';
import { routeHostProblem, routeProblem, sharedTimeoutsProblem, type RouteOptions } from '../values/routes';
import type { Connections, Peer } from './connections';
import { gatewayRoute, type GatewayRouteProps } from './gateway-route';
import { ingressRoute, type IngressRouteProps } from './ingress-route';
import type { Labels } from './labels';
import type { RouteExtensions } from './route-extensions';
import { assertValid, fail } from './validation';

export type { GatewayRouteProps, IngressRouteProps };

/** An ingress controller for routes: `TraefikIngress`, or an existing one, described by its class and its pods. */
export interface IngressController {
  /** IngressClass of each Ingress, so that no other controller serves it. */
  readonly ingressClassName: string;
  /** Its pods: only they may reach the service. */
  readonly peer: Peer;
  /** Its connections, to which an egress rule to the service is added. @default none: its egress is managed elsewhere */
  readonly connections?: Connections;
  /** What it does beyond the fields of an Ingress. @default nothing: such an option is refused, and `annotations` replace it */
  readonly extensions?: RouteExtensions;
}

/** A port of the nodes that leads to a port of the service, for what is not HTTP: Git over SSH, MQTT, DNS. */
export interface PortRouteProps extends PublishedPort {
  /** Opens the port on its nodes. */
  readonly controller: IngressController;
}

/** The target of a route. */
export interface RouteTarget {
  /** Name of the service; the names of its routes start with it. */
  readonly name: string;
  /** Of the route and of the Service that it leads to. */
  readonly namespace: string;
  /** Labels of the route, as on the other objects of the service. */
  readonly labels: Labels;
  /** The Service that requests go to. */
  readonly service: k8s.KubeService;
  /** Its ports, the default one first. */
  readonly ports: readonly ServicePort[];
  /** Those of the service's pods; the controller's pods are let in there. */
  readonly connections: Connections;
}

/** A route from outside the cluster to a service. */
export class OutsideRoute {
  /** A route by an Ingress, by host names and path, always with TLS. */
  static ingress(props: IngressRouteProps): OutsideRoute {
    return new OutsideRoute(props, (scope, target, id) => ingressRoute(scope, target, id, props));
  }

  /** A route by an HTTPRoute of the Gateway API. The gateway terminates TLS with the certificate of its listener. */
  static gateway(props: GatewayRouteProps): OutsideRoute {
    return new OutsideRoute(props, (scope, target, id) => gatewayRoute(scope, target, id, props));
  }

  /**
   * A route by a TCP or UDP port of the nodes, without TLS of its own. Only `TraefikIngress` can open one: an Ingress knows only
   * HTTP, and the TCPRoute and UDPRoute of the Gateway API are experimental.
   */
  static port(props: PortRouteProps): OutsideRoute {
    return new OutsideRoute(undefined, (scope, target) => portRoute(scope, target, props));
  }

  /** Creates the routes of a service, and adds the network rules for them, on both sides. */
  static render(scope: Construct, target: RouteTarget, routes: readonly OutsideRoute[]): void {
    const options = routes.flatMap(({ http }) => http ?? []);
    options.forEach((route) =>
      assertValid(
        scope,
        ...hostsOf(route).map((host) => routeHostProblem(host, 'the host of a route')),
        routeProblem(route, 'route'),
      ),
    );
    assertValid(scope, sharedTimeoutsProblem(options, 'the routes of a service'));
    oneScheme(scope, target, options);
    const names = new Map<string, number>();
    for (const { http, make } of routes) {
      const id = http ? `${target.name}${suffix(http.path)}` : '';
      const count = (names.get(id) ?? 0) + 1;
      names.set(id, count);
      make(scope, target, count === 1 ? id : `${id}.${count}`);
    }
  }

  private constructor(
    /** Undefined for a port. */
    private readonly http: (RouteOptions & { readonly host: string | readonly string[] }) | undefined,
    private readonly make: (scope: Construct, target: RouteTarget, name: string) => void,
  ) {}
}

/** An ingress controller learns from the Service, not from its ports, that pods speak HTTP/2 without TLS. */
function oneScheme(scope: Construct, target: RouteTarget, routes: readonly RouteOptions[]): void {
  const ports = routes.map(({ port }) => portOf(scope, target, port, ['http', 'grpc']));
  if (new Set(ports.map(({ protocol }) => protocol)).size < 2) return;
  fail(scope, {
    what: 'the routes of a service must all lead to HTTP or all to gRPC',
    got: ports.map(({ name, protocol }) => `${name}: ${protocol}`).join(', '),
    fix: 'publish one of the two by a service of its own with the same image',
  });
}

/** Host names of a route, at least one. */
export function hostsOf({ host }: { readonly host: string | readonly string[] }): readonly string[] {
  return typeof host === 'string' ? [host] : host;
}

/** A dot stands in no name of a service, so the route of one service never has the name of another's. */
function suffix(path = '/'): string {
  const words = path.toLowerCase().split(/[^a-z0-9]+/);
  const text = words
    .filter((word) => word !== '')
    .join('-')
    .slice(0, 100);
  return path === '/' ? '' : `.${text || 'path'}`;
}

/** The port of a service that a route names. @throws when there is none, or when it does not speak the right protocol */
export function portOf(
  scope: Construct,
  { ports }: RouteTarget,
  name: string | undefined,
  protocols: readonly ServicePort['protocol'][],
): ServicePort {
  const found = name === undefined ? ports[0] : ports.find((port) => port.name === name);
  const usable = ports.filter(({ protocol }) => protocols.includes(protocol));
  const allowed = usable.map((port) => port.name).join(', ') || `none of this service is ${protocols.join(' or ')}`;
  if (found === undefined)
    return fail(scope, {
      what: 'the port of a route must be a port of the service',
      got: name,
      allowed,
      fix: 'correct the name, or add the port to `ports`',
    });
  if (protocols.includes(found.protocol)) return found;
  const isHttp = protocols.includes('http');
  return fail(scope, {
    what: `the port of a route must be of protocol ${protocols.join(' or ')}`,
    got: `${found.name}, which is ${found.protocol}`,
    allowed,
    fix: isHttp
      ? 'publish it by a port of the nodes instead'
      : 'publish it by a route with a host instead, which has TLS',
  });
}

function portRoute(scope: Construct, target: RouteTarget, { port, to, controller }: PortRouteProps): void {
  const found = portOf(scope, target, to, ['tcp', 'udp']);
  const protocol = transportOf(found);
  assertValid(scope, publishedPortProblem(port, 'the port of a route', protocol));
  if (!controller.extensions)
    fail(scope, {
      what: 'the controller of a port must be able to open one',
      got: controller.ingressClassName,
      allowed: 'a TraefikIngress',
      fix: 'open the port in the configuration of that controller: an Ingress knows only HTTP',
    });
  controller.extensions.publish(scope, {
    port,
    protocol,
    address: `${target.name}.${target.namespace}.svc.cluster.local:${found.service}`,
  });
  const inside = { port: found.container, protocol } as const;
  target.connections.allowFrom(controller.peer, inside);
  controller.connections?.allowTo(target.connections.peer, inside);
}
