import { ApiObject } from 'cdk8s';
import type { Construct } from 'constructs';
import type {
  HttpRouteSpec,
  HttpRouteSpecRulesFilters,
  HttpRouteSpecRulesFiltersType,
  HttpRouteSpecRulesFiltersUrlRewritePathType,
  HttpRouteSpecRulesMatchesPathType,
} from '../imports/gateway-gateway.networking.k8s.io';
import type { RouteOptions } from '../values/routes';
import type { Peer } from './connections';
import { hostsOf, portOf, type RouteTarget } from './outside-route';
import { fail } from './validation';

/** A route by the Gateway API, for a cluster that has its CRDs and a Gateway. */
export interface GatewayRouteProps extends RouteOptions {
  /** Host names that clients use, each one DNS name: a wildcard is refused. */
  readonly host: string | readonly string[];
  /** The Gateway that it attaches to, or one listener of it (`sectionName`); it must allow the service's namespace. */
  readonly gateway: { readonly name: string; readonly namespace: string; readonly sectionName?: string };
  /** The pods that serve the gateway: only they may reach the service. */
  readonly controller: Peer;
}

/** Options that an HTTPRoute of the standard channel cannot express, and why. */
const MISSING = {
  tls: 'the certificate belongs to the listener of the Gateway; name it there, in certificateRefs',
  responseTimeout:
    'the timeouts of an HTTPRoute also count the rest of the answer, so they would end streams; set `timeouts` with overrideManifest if the service has none',
  idleTimeout: 'an HTTPRoute has no field for it; set it in the policy of your gateway',
  maxBody:
    'an HTTPRoute has no field for it; set it in the policy of your gateway, or let the service refuse large bodies',
} as const;

export function gatewayRoute(scope: Construct, target: RouteTarget, name: string, props: GatewayRouteProps): void {
  const { namespace, labels, service, connections } = target;
  for (const [option, why] of Object.entries(MISSING) as [keyof typeof MISSING, string][])
    if (props[option] !== undefined)
      fail(scope, { what: `a route by the Gateway API must do without ${option}`, got: props[option], fix: why });
  const port = portOf(scope, target, props.port, ['http', 'grpc']);
  const path = props.path ?? '/';
  connections.allowFrom(props.controller, { port: port.container });
  const spec: HttpRouteSpec = {
    parentRefs: [{ ...props.gateway }],
    hostnames: [...hostsOf(props)],
    rules: [
      {
        matches: [{ path: { type: PATH_PREFIX, value: path } }],
        filters: props.stripPrefix ? withoutPrefix(path) : undefined,
        backendRefs: [{ name: service.name, port: port.service }],
      },
    ],
  };
  // By its types only: the class comes with 7,000 lines, which every synth would load for a route that few have.
  new ApiObject(scope, `http-route-${name}`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace, labels: { ...labels } },
    spec,
  });
}

/** The header as Traefik's middleware sets it, so that a service behind either finds its prefix. */
function withoutPrefix(path: string): HttpRouteSpecRulesFilters[] {
  return [
    {
      type: 'RequestHeaderModifier' as HttpRouteSpecRulesFiltersType,
      requestHeaderModifier: { set: [{ name: 'X-Forwarded-Prefix', value: path }] },
    },
    {
      type: 'URLRewrite' as HttpRouteSpecRulesFiltersType,
      urlRewrite: {
        path: {
          type: 'ReplacePrefixMatch' as HttpRouteSpecRulesFiltersUrlRewritePathType,
          replacePrefixMatch: '/',
        },
      },
    },
  ];
}

const PATH_PREFIX = 'PathPrefix' as HttpRouteSpecRulesMatchesPathType;
