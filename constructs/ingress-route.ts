import { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import type { CertificateSpec } from '../imports/certificate-cert-manager.io';
import type { ServicePort } from '../values/ports';
import { takenTwice, type RouteOptions } from '../values/routes';
import type { AcmeIssuer } from '../values/tls';
import { hostsOf, portOf, type IngressController, type RouteTarget } from './outside-route';
import { jsonOf } from './rendering';
import type { RouteAnnotations } from './route-extensions';
import { DeclaredSecret } from './secrets';
import { assertValid, fail, validateTree } from './validation';

/** A route by an Ingress. */
export interface IngressRouteProps extends RouteOptions {
  /** Host names that clients use, each one DNS name: a wildcard is refused. */
  readonly host: string | readonly string[];
  /** Who serves the host; the service lets in nobody but its pods. */
  readonly controller: IngressController;
  /**
   * Annotations of the Ingress for a controller that is not ours, such as nginx.ingress.kubernetes.io/proxy-body-size. They replace
   * the options `stripPrefix`, `responseTimeout`, `idleTimeout` and `maxBody`, which differ between controllers. @default none
   */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Options that an Ingress has no field for. */
const EXTENDED = ['stripPrefix', 'responseTimeout', 'idleTimeout', 'maxBody'] as const;

export function ingressRoute(scope: Construct, target: RouteTarget, name: string, props: IngressRouteProps): void {
  const { namespace, labels, connections, service } = target;
  const { controller, path = '/' } = props;
  const hosts = hostsOf(props);
  if (hosts.length === 0)
    fail(scope, { what: 'a route must have a host', got: [], fix: "give one, as host: 'app.collab.home.arpa'" });
  const port = portOf(scope, target, props.port, ['http', 'grpc']);
  const annotations = annotationsOf(scope, target, port, props);
  const secretName = certificateOf(scope, target, props);
  connections.allowFrom(controller.peer, { port: port.container });
  controller.connections?.allowTo(connections.peer, { port: port.container });
  for (const [key, value] of Object.entries(annotations.service)) service.metadata.addAnnotation(key, value);
  const ingress = { ...annotations.ingress, ...props.annotations };
  new k8s.KubeIngress(scope, `ingress-${name}`, {
    metadata: {
      name,
      namespace,
      labels: { ...labels },
      annotations: Object.keys(ingress).length > 0 ? ingress : undefined,
    },
    spec: {
      ingressClassName: controller.ingressClassName,
      tls: [{ hosts: [...hosts], secretName }],
      rules: hosts.map((host) => ({
        host,
        http: {
          paths: [
            { path, pathType: 'Prefix', backend: { service: { name: service.name, port: { number: port.service } } } },
          ],
        },
      })),
    },
  });
  validateTree(scope, routedTwice);
}

function annotationsOf(
  scope: Construct,
  target: RouteTarget,
  port: ServicePort,
  props: IngressRouteProps,
): RouteAnnotations {
  const { controller, path = '/' } = props;
  const grpc = port.protocol === 'grpc';
  const used = EXTENDED.filter((option) => props[option] !== undefined && props[option] !== false);
  if (!grpc && used.length === 0) return { ingress: {}, service: {} };
  if (controller.extensions)
    return controller.extensions.extend({
      ...props,
      path,
      grpc,
      hosts: hostsOf(props),
      service: { name: target.service.name, namespace: target.namespace },
    });
  if (used.length > 0)
    fail(scope, {
      what: `a route by the controller ${controller.ingressClassName} must do without ${used.join(' and ')}`,
      got: used.map((option) => `${option}: ${String(props[option])}`).join(', '),
      allowed: 'these options with a TraefikIngress',
      fix: 'give `annotations` of that controller instead: an Ingress has no field for them',
    });
  if (!props.annotations)
    fail(scope, {
      what: `a route to gRPC by the controller ${controller.ingressClassName} must have annotations`,
      got: undefined,
      fix: "give the annotation of that controller, as annotations: { 'nginx.ingress.kubernetes.io/backend-protocol': 'GRPC' }",
    });
  return { ingress: {}, service: {} };
}

/** The Secret with the certificate of the route; undefined for the certificate of the controller. */
function certificateOf(
  scope: Construct,
  { name, namespace, labels }: RouteTarget,
  props: IngressRouteProps,
): string | undefined {
  const { tls, controller } = props;
  const hosts = hostsOf(props);
  if (tls === undefined) {
    assertValid(scope, ...hosts.map((host) => controller.extensions?.hostProblem(host)));
    return undefined;
  }
  const { source } = tls;
  if ('secret' in source) return source.secret;
  // By the host, so that another order of the routes renames nothing, and routes of one host share it.
  const secretName = `${name}.${hosts[0]}-tls`;
  const id = `certificate-${secretName}`;
  if (scope.node.tryFindChild(id)) return secretName;
  if ('acme' in source)
    certificate(scope, id, { name: secretName, namespace, labels: { ...labels } }, hosts, source.acme);
  else
    new DeclaredSecret(scope, id, {
      name: secretName,
      namespaces: [namespace],
      type: 'kubernetes.io/tls',
      keys: {
        'tls.crt': { ask: `the certificate for ${hosts.join(', ')}, with those of its issuers` },
        'tls.key': { ask: `the private key of the certificate for ${hosts[0]}` },
      },
    });
  return secretName;
}

function certificate(
  scope: Construct,
  id: string,
  metadata: { readonly name: string; readonly namespace: string; readonly labels: Record<string, string> },
  hosts: readonly string[],
  { issuer, kind }: AcmeIssuer,
): void {
  const spec: CertificateSpec = {
    secretName: metadata.name,
    dnsNames: [...hosts],
    issuerRef: { group: 'cert-manager.io', kind: kind ?? 'ClusterIssuer', name: issuer },
  };
  // By its types only, as the HTTPRoute: a synth need not load the class.
  new ApiObject(scope, id, {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata,
    spec,
  });
}

/** Reports a host and path that two Ingresses of one class have: the controller would choose one of them. */
function routedTwice(root: Construct): string[] {
  const ingresses = root.node
    .findAll()
    .filter((node): node is ApiObject => ApiObject.isApiObject(node) && node.kind === 'Ingress')
    .map((object) => [object.node.path, jsonOf(object)] as const);
  const classes = new Set(ingresses.map(([, { spec }]) => spec.ingressClassName));
  return [...classes].flatMap((each) =>
    takenTwice(
      ingresses
        .filter(([, { spec }]) => spec.ingressClassName === each)
        .flatMap(([place, { spec }]) =>
          (spec.rules ?? []).flatMap(({ host = '', http }: any) =>
            (http?.paths ?? []).map(({ path = '/' }: any) => ({ place, host, path })),
          ),
        ),
    ),
  );
}
