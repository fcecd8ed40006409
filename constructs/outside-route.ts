import { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import type { HttpRouteSpec, HttpRouteSpecRulesMatchesPathType } from '../imports/gateway-gateway.networking.k8s.io';
import { dnsNameProblem } from '../values/names';
import type { Connections, Peer } from './connections';
import type { Labels } from './labels';
import { insist, refuse } from './refuse';

/** An ingress controller as routes see it: `TraefikIngress`, or one that runs already, described by its class and its pods. */
export interface IngressController {
  readonly ingressClassName: string;
  /** Its pods: only they may reach the service. */
  readonly peer: Peer;
  /** Its own connections, opened towards the service. @default none: what it may reach is not rendered here */
  readonly connections?: Connections;
}

export interface IngressRouteProps {
  /** Host name that clients use. */
  readonly host: string;
  /** Prefix of the path. @default / */
  readonly path?: string;
  readonly controller: IngressController;
  /** Certificate of the host, as a secret in the service's namespace. @default the controller's own certificate */
  readonly tlsSecretName?: string;
}

export interface GatewayRouteProps {
  readonly host: string;
  /** Prefix of the path. @default / */
  readonly path?: string;
  readonly gateway: { readonly name: string; readonly namespace: string; readonly sectionName?: string };
  /** The pods that serve the gateway: only they may reach the service. */
  readonly controller: Peer;
}

/** What a route is rendered for. */
export interface RouteTarget {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly serviceName: string;
  readonly port: number;
  readonly connections: Connections;
}

/** A way in from outside the cluster, by host name over TLS. */
export class OutsideRoute {
  /** By an Ingress. TLS always: with the controller's certificate where no other is named. */
  static ingress(props: IngressRouteProps): OutsideRoute {
    return new OutsideRoute(props.host, (scope, target) => ingress(scope, target, props));
  }

  /** By an HTTPRoute of the Gateway API. TLS ends at the gateway, whose listener holds the certificate. */
  static gateway(props: GatewayRouteProps): OutsideRoute {
    return new OutsideRoute(props.host, (scope, target) => gateway(scope, target, props));
  }

  private constructor(
    private readonly host: string,
    private readonly make: (scope: Construct, target: RouteTarget) => void,
  ) {}

  /** Makes the route and opens the network for it, on both sides. */
  render(scope: Construct, target: RouteTarget): void {
    if (this.host.startsWith('*')) {
      refuse(scope, {
        what: 'the host of a route must be one name',
        got: this.host,
        fix: 'give each service a host name of its own; the certificate may be a wildcard, the route may not',
      });
    }
    insist(scope, dnsNameProblem(this.host, 'the host of a route'));
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
