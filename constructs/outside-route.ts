import { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import type { HttpRouteSpec, HttpRouteSpecRulesMatchesPathType } from '../imports/gateway-gateway.networking.k8s.io';
import { dnsNameProblem } from '../values/names';
import type { Connections, Peer } from './connections';
import type { Labels } from './labels';
import { assertValid, fail } from './validation';

/** An ingress controller for routes: `TraefikIngress`, or an existing one, described by its class and its pods. */
export interface IngressController {
  /** IngressClass of each Ingress, so that no other controller serves it. */
  readonly ingressClassName: string;
  /** Its pods: only they may reach the service. */
  readonly peer: Peer;
  /** Its connections, to which an egress rule to the service is added. @default none: its egress is managed elsewhere */
  readonly connections?: Connections;
}

/** A route by an Ingress. */
export interface IngressRouteProps {
  /** Host name that clients use. */
  readonly host: string;
  /** Prefix of the path. @default / */
  readonly path?: string;
  /** Who serves the host; the service lets in nobody but its pods. */
  readonly controller: IngressController;
  /** Certificate of the host, as a secret in the service's namespace. @default the controller's own certificate */
  readonly tlsSecretName?: string;
}

/** A route by the Gateway API, for a cluster that has its CRDs and a Gateway. */
export interface GatewayRouteProps {
  /** Host name that clients use: one DNS name, a wildcard is refused. */
  readonly host: string;
  /** Prefix of the path. @default / */
  readonly path?: string;
  /** The Gateway that it attaches to, or one listener of it (`sectionName`); it must allow the service's namespace. */
  readonly gateway: { readonly name: string; readonly namespace: string; readonly sectionName?: string };
  /** The pods that serve the gateway: only they may reach the service. */
  readonly controller: Peer;
}

/** The target of a route. */
export interface RouteTarget {
  /** Name of the Ingress or HTTPRoute. */
  readonly name: string;
  /** Of the route and of the Service that it leads to. */
  readonly namespace: string;
  /** Labels of the route, as on the other objects of the service. */
  readonly labels: Labels;
  /** The Service that requests go to. */
  readonly serviceName: string;
  /** Of that Service and of its pods: it stands in the route and in the policies. */
  readonly port: number;
  /** Those of the service's pods; the controller's pods are let in there. */
  readonly connections: Connections;
}

/** A route from outside the cluster to a service, by host name over TLS. */
export class OutsideRoute {
  /** A route by an Ingress, always with TLS: with the controller's certificate unless another is given. */
  static ingress(props: IngressRouteProps): OutsideRoute {
    return new OutsideRoute(props.host, props.path ?? '/', (scope, target) => ingress(scope, target, props));
  }

  /** A route by an HTTPRoute of the Gateway API. The gateway terminates TLS with the certificate of its listener. */
  static gateway(props: GatewayRouteProps): OutsideRoute {
    return new OutsideRoute(props.host, props.path ?? '/', (scope, target) => gateway(scope, target, props));
  }

  private constructor(
    private readonly host: string,
    private readonly path: string,
    private readonly make: (scope: Construct, target: RouteTarget) => void,
  ) {}

  /** Creates the route and adds the network rules for it, on both sides. */
  render(scope: Construct, target: RouteTarget): void {
    if (this.host.startsWith('*')) {
      fail(scope, {
        what: 'the host of a route must be one name',
        got: this.host,
        fix: 'give each service its own host name; only the certificate may be a wildcard',
      });
    }
    assertValid(scope, dnsNameProblem(this.host, 'the host of a route'));
    if (!/^\/[^\s?#]*$/.test(this.path))
      fail(scope, {
        what: 'the path of a route must start with a /',
        got: this.path,
        fix: 'leave it out for all paths',
      });
    this.make(scope, target);
  }
}

function ingress(
  scope: Construct,
  target: RouteTarget,
  { host, path, controller, tlsSecretName }: IngressRouteProps,
): void {
  const { name, namespace, labels, serviceName, port, connections } = target;
  connections.allowFrom(controller.peer, { port });
  controller.connections?.allowTo(connections.peer, { port });
  new k8s.KubeIngress(scope, 'ingress', {
    metadata: { name, namespace, labels: { ...labels } },
    spec: {
      ingressClassName: controller.ingressClassName,
      tls: [{ hosts: [host], secretName: tlsSecretName }],
      rules: [
        {
          host,
          http: {
            paths: [
              {
                path: path ?? '/',
                pathType: 'Prefix',
                backend: { service: { name: serviceName, port: { number: port } } },
              },
            ],
          },
        },
      ],
    },
  });
}

function gateway(scope: Construct, target: RouteTarget, props: GatewayRouteProps): void {
  const { name, namespace, labels, serviceName, port, connections } = target;
  connections.allowFrom(props.controller, { port });
  const spec: HttpRouteSpec = {
    parentRefs: [{ ...props.gateway }],
    hostnames: [props.host],
    rules: [
      {
        matches: [{ path: { type: PATH_PREFIX, value: props.path ?? '/' } }],
        backendRefs: [{ name: serviceName, port }],
      },
    ],
  };
  // By its types only: the class comes with 7,000 lines, which every synth would load for a route that few have.
  new ApiObject(scope, 'http-route', {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace, labels: { ...labels } },
    spec,
  });
}

const PATH_PREFIX = 'PathPrefix' as HttpRouteSpecRulesMatchesPathType;
