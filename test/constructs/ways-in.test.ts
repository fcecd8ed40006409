import { Chart, Duration, Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { Connections, DeclaredSecret } from '../../constructs';
import { MicroserviceDeployment, type MicroserviceDeploymentProps } from '../../constructs/microservice-deployment';
import {
  OutsideRoute,
  type GatewayRouteProps,
  type IngressRouteProps,
  type PortRouteProps,
} from '../../constructs/outside-route';
import { TraefikIngress } from '../../constructs/traefik-ingress';
import { numbersAbove } from '../../constructs/traefik-routes';
import type { ServicePort } from '../../values/ports';
import { Tls } from '../../values/tls';
import { chartIn, objectOf, objects } from './render';

const HOST = 'app.collab.home.arpa';

type Route = Omit<IngressRouteProps, 'controller'>;

/** A controller of ours, and web apps with routes by it. */
function site(apps: Record<string, readonly Partial<Route>[]>, props: Partial<MicroserviceDeploymentProps> = {}) {
  const ingress = chartIn('ingress');
  const controller = new TraefikIngress(ingress, 'traefik', {
    watchNamespaces: ['web'],
    statusAddress: '192.168.1.22',
    dnsNames: ['*.collab.home.arpa'],
    apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 },
  });
  const web = new Chart(ingress.node.root as any, 'web', { namespace: 'web' });
  for (const [name, routes] of Object.entries(apps))
    new MicroserviceDeployment(web, name, {
      image: 'a:1',
      routes: routes.map((route) => OutsideRoute.ingress({ host: HOST, controller, ...route })),
      ...props,
    });
  return { ingress, web, controller };
}

const dynamic = (ingress: Chart) => parse(objectOf(ingress, 'ConfigMap').data['routes.yaml'] ?? '{}');

const nginx = { ingressClassName: 'nginx', peer: { namespace: 'nginx', labels: { app: 'nginx' } } };
const byNginx = (route: Partial<IngressRouteProps>) => {
  const web = chartIn('web');
  new MicroserviceDeployment(web, 'app', {
    image: 'a:1',
    routes: [OutsideRoute.ingress({ host: HOST, controller: nginx, ...route })],
  });
  return web;
};
const byGateway = (route: Partial<GatewayRouteProps>) => {
  const web = chartIn('web');
  const controller = { namespace: 'gateway', labels: { app: 'gateway' } };
  new MicroserviceDeployment(web, 'app', {
    image: 'a:1',
    routes: [
      OutsideRoute.gateway({ host: HOST, gateway: { name: 'main', namespace: 'gateway' }, controller, ...route }),
    ],
  });
  return web;
};

describe('a route by an Ingress of ours', () => {
  test('takes several hosts, all in one Ingress and under TLS', () => {
    const { web } = site({ app: [{ host: [HOST, 'www.collab.home.arpa'] }] });
    const { spec } = objectOf(web, 'Ingress');
    expect(spec.rules.map(({ host }: any) => host)).toEqual([HOST, 'www.collab.home.arpa']);
    expect(spec.tls).toEqual([{ hosts: [HOST, 'www.collab.home.arpa'] }]);
  });

  test('shares a host with another web app, by path', () => {
    const { web } = site({ app: [{}], api: [{ path: '/api' }] });
    const ways = objects(web)
      .filter(({ kind }) => kind === 'Ingress')
      .map(({ metadata, spec }) => [metadata.name, spec.rules[0].http.paths[0].path]);
    expect(ways).toEqual([
      ['app', '/'],
      ['api.api', '/api'],
    ]);
  });

  test('names further routes of a service by their path, and keeps the names apart', () => {
    const { web } = site({
      app: [{}, { path: '/a/b' }, { path: '/a-b' }, { path: '/A_b', host: 'b.collab.home.arpa' }],
    });
    expect(
      objects(web)
        .filter(({ kind }) => kind === 'Ingress')
        .map(({ metadata }) => metadata.name),
    ).toEqual(['app', 'app.a-b', 'app.a-b.2', 'app.a-b.3']);
  });

  test('renders nothing for options that are not used', () => {
    const { ingress, web } = site({ app: [{}] });
    expect(Object.keys(objectOf(ingress, 'ConfigMap').data)).toEqual(['tls.yaml']);
    expect(objectOf(web, 'Ingress').metadata).not.toHaveProperty('annotations');
    expect(objectOf(web, 'Service').metadata).not.toHaveProperty('annotations');
  });

  test('matches paths by whole elements, and strips the prefix by a middleware that all routes with it share', () => {
    const route = { path: '/api', stripPrefix: true };
    const { ingress, web } = site({ app: [route], other: [{ ...route, host: 'other.collab.home.arpa' }] });
    expect(objectOf(web, 'Ingress', 'app.api').metadata.annotations).toEqual({
      'traefik.ingress.kubernetes.io/router.middlewares': 'strip:/api@file',
    });
    expect(dynamic(ingress)).toEqual({
      http: { middlewares: { 'strip:/api': { stripPrefix: { prefixes: ['/api'] } } } },
    });
    expect(objectOf(ingress, 'DaemonSet').spec.template.spec.containers[0].args).toContain(
      '--providers.kubernetesingress.strictprefixmatching=true',
    );
  });

  test('limits the body in a router of its own, which no small request passes', () => {
    const { ingress, web } = site({ app: [{ path: '/up', maxBody: Size.mebibytes(1) }] });
    expect(objectOf(web, 'Ingress').metadata).not.toHaveProperty('annotations');
    const { routers, middlewares } = dynamic(ingress).http;
    const rule = `Host("${HOST}") && (Path("/up") || PathPrefix("/up/"))`;
    expect(routers[`limit:${HOST}/up`]).toEqual({
      entryPoints: ['websecure'],
      rule: `${rule} && HeaderRegexp("Content-Length", "${numbersAbove(1048576)}")`,
      priority: rule.length + 1,
      middlewares: ['limit:1048576'],
      service: 'noop@internal',
    });
    expect(middlewares).toEqual({ 'limit:1048576': { buffering: { maxRequestBodyBytes: 1048576 } } });
  });

  test('the expression for a limit takes every larger number and no other', () => {
    const numbers = fc.integer({ min: 0, max: 2 ** 41 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 40 }),
        numbers,
        fc.integer({ min: -2, max: 2 }),
        (limit, far, near) => {
          const above = new RegExp(numbersAbove(limit));
          for (const number of [far, Math.max(0, limit + near), limit * 10])
            expect(above.test(String(number))).toBe(number > limit);
          expect(above.test(`00${limit + 1}`)).toBe(true);
          expect(above.test(`00${limit}`)).toBe(false);
        },
      ),
    );
  });

  test('keeps timeouts by a transport that the Service names', () => {
    const timeouts = { responseTimeout: Duration.minutes(2), idleTimeout: Duration.seconds(4) };
    const { ingress, web } = site({ app: [timeouts] });
    expect(objectOf(web, 'Service').metadata.annotations).toEqual({
      'traefik.ingress.kubernetes.io/service.serverstransport': 'web.app@file',
    });
    expect(dynamic(ingress).http.serversTransports).toEqual({
      'web.app': { forwardingTimeouts: { responseHeaderTimeout: '120s', idleConnTimeout: '4s' } },
    });
  });

  test('a change of these options restarts no controller', () => {
    const template = (route: Partial<Route>) => objectOf(site({ app: [route] }).ingress, 'DaemonSet').spec.template;
    expect(template({ path: '/api', stripPrefix: true, maxBody: Size.mebibytes(1) })).toEqual(template({}));
  });

  test('asks for a certificate that the owner has, and lets nothing else hold it', () => {
    const { web } = site({ app: [{ host: 'shop.example.org', tls: Tls.asked() }] });
    expect(objectOf(web, 'Ingress').spec.tls).toEqual([
      { hosts: ['shop.example.org'], secretName: 'app.shop.example.org-tls' },
    ]);
    const [secret] = DeclaredSecret.all(web);
    expect(secret).toMatchObject({ name: 'app.shop.example.org-tls', namespaces: ['web'], type: 'kubernetes.io/tls' });
    expect(Object.keys(secret!.keys)).toEqual(['tls.crt', 'tls.key']);
  });

  test('routes of one host share its certificate', () => {
    const host = 'shop.example.org';
    const { web } = site({
      app: [
        { host, tls: Tls.asked() },
        { host, path: '/api', tls: Tls.asked() },
      ],
    });
    expect(DeclaredSecret.all(web).map(({ name }) => name)).toEqual(['app.shop.example.org-tls']);
  });

  test('lets cert-manager get a certificate, with the issuer of the owner', () => {
    const { web } = site({
      app: [{ host: ['shop.example.org', 'www.example.org'], tls: Tls.acme({ issuer: 'letsencrypt' }) }],
    });
    expect(objectOf(web, 'Certificate')).toMatchObject({
      apiVersion: 'cert-manager.io/v1',
      metadata: { name: 'app.shop.example.org-tls', namespace: 'web' },
      spec: {
        secretName: 'app.shop.example.org-tls',
        dnsNames: ['shop.example.org', 'www.example.org'],
        issuerRef: { group: 'cert-manager.io', kind: 'ClusterIssuer', name: 'letsencrypt' },
      },
    });
    expect(objectOf(web, 'Ingress').spec.tls[0].secretName).toBe('app.shop.example.org-tls');
    expect(DeclaredSecret.all(web)).toEqual([]);
  });
});

test('annotations replace the options for a controller that is not ours', () => {
  const annotations = { 'nginx.ingress.kubernetes.io/proxy-body-size': '1g' };
  expect(objectOf(byNginx({ annotations }), 'Ingress').metadata.annotations).toEqual(annotations);
});

test('the Gateway API strips a prefix with the same header as Traefik', () => {
  expect(objectOf(byGateway({ path: '/api', stripPrefix: true }), 'HTTPRoute').spec.rules[0].filters).toEqual([
    { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-Forwarded-Prefix', value: '/api' }] } },
    { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } },
  ]);
});

describe('a port of the nodes', () => {
  const PORTS: readonly ServicePort[] = [
    { name: 'http', container: 3000, service: 80, protocol: 'http' },
    { name: 'ssh', container: 2222, service: 22, protocol: 'tcp' },
    { name: 'dns', container: 5353, service: 53, protocol: 'udp' },
    { name: 'grpc', container: 9000, service: 9000, protocol: 'grpc' },
  ];
  /** A service with several ports, by the least that a route needs. */
  function published(...ports: readonly (Omit<PortRouteProps, 'controller'> | Partial<Route>)[]) {
    const { ingress, web, controller } = site({});
    const service = new k8s.KubeService(web, 'service', { metadata: { name: 'forge', namespace: 'web' }, spec: {} });
    const selector = { app: 'forge' };
    const connections = new Connections(web, 'connections', { name: 'forge', namespace: 'web', selector, labels: {} });
    const target = { name: 'forge', namespace: 'web', labels: {}, service, ports: PORTS, connections };
    const routes = ports.map((each) =>
      'to' in each
        ? OutsideRoute.port({ ...each, controller })
        : OutsideRoute.ingress({ host: HOST, controller, ...each }),
    );
    OutsideRoute.render(web, target, routes);
    return { ingress, web };
  }

  test('leads to the service by TCP and UDP, through a port that the controller may open', () => {
    const { ingress, web } = published({ port: 2222, to: 'ssh' }, { port: 53, to: 'dns' });
    const pod = objectOf(ingress, 'DaemonSet').spec.template.spec.containers[0];
    expect(pod.ports.slice(3)).toEqual([
      { name: 'udp-53', containerPort: 10053, hostPort: 53, protocol: 'UDP' },
      { name: 'tcp-2222', containerPort: 12222, hostPort: 2222, protocol: 'TCP' },
    ]);
    expect(pod.args).toEqual(
      expect.arrayContaining(['--entrypoints.tcp-2222.address=:12222', '--entrypoints.udp-53.address=:10053/udp']),
    );
    expect(dynamic(ingress)).toEqual({
      tcp: {
        routers: { 'tcp-2222': { entryPoints: ['tcp-2222'], rule: 'HostSNI(`*`)', service: 'tcp-2222' } },
        services: { 'tcp-2222': { loadBalancer: { servers: [{ address: 'forge.web.svc.cluster.local:22' }] } } },
      },
      udp: {
        routers: { 'udp-53': { entryPoints: ['udp-53'], service: 'udp-53' } },
        services: { 'udp-53': { loadBalancer: { servers: [{ address: 'forge.web.svc.cluster.local:53' }] } } },
      },
    });
    const policy = (chart: Chart, direction: 'ingress' | 'egress', name: string) =>
      objectOf(chart, 'NetworkPolicy', name).spec[direction].map(({ ports, from, to }: any) => [
        (from ?? to)?.[0].podSelector?.matchLabels,
        ports,
      ]);
    const inside = [
      { port: 2222, protocol: 'TCP' },
      { port: 5353, protocol: 'UDP' },
    ];
    expect(policy(web, 'ingress', 'forge')).toEqual([[expect.objectContaining({}), inside]]);
    expect(policy(ingress, 'egress', 'traefik')).toContainEqual([{ app: 'forge' }, inside]);
    expect(policy(ingress, 'ingress', 'traefik')).toEqual([
      [undefined, [8000, 8443, 10053, 12222].map((port) => ({ port, protocol: port === 10053 ? 'UDP' : 'TCP' }))],
    ]);
  });

  test('a route to gRPC tells the controller by the Service', () => {
    const { web } = published({ port: 'grpc' });
    expect(objectOf(web, 'Service').metadata.annotations).toEqual({
      'traefik.ingress.kubernetes.io/service.serversscheme': 'h2c',
    });
    expect(objectOf(web, 'Ingress').spec.rules[0].http.paths[0].backend.service.port).toEqual({ number: 9000 });
  });

  test.each<[string, () => unknown, string]>([
    ['the port of HTTPS', () => published({ port: 443, to: 'ssh' }), 'got 443'],
    [
      'the port of the kubelet',
      () => published({ port: 10250, to: 'ssh' }),
      'choose another: the API server reaches the kubelet there',
    ],
    ['the port of the network of the pods', () => published({ port: 8472, to: 'dns' }), 'flannel carries the traffic'],
    ['a port of NodePort Services', () => published({ port: 30022, to: 'ssh' }), 'Services of type NodePort'],
    ['a port of Talos', () => published({ port: 50000, to: 'ssh' }), 'Talos listens on 50000'],
    [
      'no number',
      () => published({ port: '2222' as any, to: 'ssh' }),
      'must be a free port of the workers, got "2222"',
    ],
    [
      'a port twice',
      () => published({ port: 2222, to: 'ssh' }, { port: 2222, to: 'ssh' }),
      'a published port must be used once, got "TCP 2222, which web has"',
    ],
    [
      'HTTP',
      () => published({ port: 8080, to: 'http' }),
      'got "http, which is http" (allowed: ssh, dns); publish it by a route with a host instead, which has TLS',
    ],
    [
      'an unknown port',
      () => published({ port: 2222, to: 'git' }),
      'must be a port of the service, got "git" (allowed: ssh, dns)',
    ],
    [
      'TCP by a host',
      () => published({ port: 'ssh' } as any),
      'the port of a route must be of protocol http or grpc, got "ssh, which is tcp"',
    ],
    [
      'HTTP and gRPC of one service',
      () => published({}, { port: 'grpc', host: 'b.collab.home.arpa' }),
      'must all lead to HTTP or all to gRPC',
    ],
  ])('refuses %s', (_, make, message) => expect(make).toThrow(message));

  test('refuses another controller, which cannot open one', () => {
    const web = chartIn('web');
    const routes = [OutsideRoute.port({ port: 2222, to: 'http', controller: nginx })];
    expect(() => new MicroserviceDeployment(web, 'app', { image: 'a:1', routes })).toThrow('which is http');
  });
});

describe('refuses', () => {
  const refusals: [string, () => unknown, string][] = [
    ...['api', '', ' /a'].map((path): [string, () => unknown, string] => [
      `the path ${JSON.stringify(path)}`,
      () => site({ app: [{ path }] }),
      'web/app: route.path must be a path that starts with a /',
    ]),
    ...['/a b', '/a?b', '/a#b', '/a//b', '/a/../b', '/*', '/{id}'].map((path): [string, () => unknown, string] => [
      `the path ${JSON.stringify(path)}`,
      () => site({ app: [{ path }] }),
      '; write it as the browser shows it, without a query and without wildcards',
    ]),
    [
      'a slash at the end',
      () => site({ app: [{ path: '/api/' }] }),
      'got "/api/" (allowed: /, or elements of letters, digits and . _ ~ : + - as /api/v1); write /api: it takes both forms',
    ],
    [
      'a wildcard host',
      () => site({ app: [{ host: '*.collab.home.arpa' }] }),
      'the host of a route must be one name, got "*.collab.home.arpa"; give each service its own host name',
    ],
    [
      'a host in upper case',
      () => site({ app: [{ host: 'App' }] }),
      'the host of a route must be a DNS name, got "App"',
    ],
    ['no host', () => site({ app: [{ host: [] }] }), 'a route must have a host, got []'],
    [
      'strip without a prefix',
      () => site({ app: [{ stripPrefix: true }] }),
      'route.stripPrefix must be used with a path',
    ],
    [
      'an unknown port',
      () => site({ app: [{ port: 'grpc' }] }),
      'the port of a route must be a port of the service, got "grpc" (allowed: http)',
    ],
    [
      'a plain number as timeout',
      () => site({ app: [{ responseTimeout: 30 as any }] }),
      'route.responseTimeout must be a Duration from 1 second to 1 day, got 30',
    ],
    [
      'a timeout of no time',
      () => site({ app: [{ idleTimeout: Duration.millis(100) }] }),
      'route.idleTimeout must be a Duration from 1 second to 1 day, got "0.1 s"',
    ],
    ['a plain number as size', () => site({ app: [{ maxBody: 10 as any }] }), 'route.maxBody must be a Size'],
    [
      'a body of petabytes',
      () => site({ app: [{ maxBody: Size.tebibytes(2) }] }),
      'route.maxBody must be at most 1 TiB',
    ],
    [
      'a name as certificate',
      () => site({ app: [{ tls: 'app-tls' as any }] }),
      'route.tls must be a Tls, got "app-tls"',
    ],
    [
      'an issuer of another kind',
      () => site({ app: [{ tls: Tls.acme({ issuer: 'a', kind: 'Vault' as any }) }] }),
      'route.tls.acme.kind must be one of ClusterIssuer, Issuer, got "Vault"',
    ],
    [
      'a nested host outside the wildcard',
      () => site({ app: [{ host: 'admin.app.collab.home.arpa' }] }),
      'the host of a route must be in the certificate of the ingress controller, got "admin.app.collab.home.arpa" (allowed: *.collab.home.arpa)',
    ],
    [
      'two timeouts of one service',
      () => site({ app: [{ responseTimeout: Duration.seconds(1) }, { path: '/a' }] }),
      'the routes of a service must have the same responseTimeout, got "1, none"',
    ],
    [
      'a host and path twice',
      () => objects(site({ app: [{}], other: [{}] }).web.node.root.node.findChild('web') as Chart),
      `must have a host and path of its own, got "${HOST}/, which web/app/ingress-app has"`,
    ],
    [
      'an option by another controller',
      () => byNginx({ maxBody: Size.mebibytes(1), stripPrefix: true, path: '/a' }),
      'a route by the controller nginx must do without stripPrefix and maxBody',
    ],
    [
      'a certificate by the Gateway API',
      () => byGateway({ tls: Tls.asked() }),
      'a route by the Gateway API must do without tls',
    ],
    [
      'a timeout by the Gateway API',
      () => byGateway({ responseTimeout: Duration.seconds(1) }),
      'so they would end streams',
    ],
    [
      'a limit by the Gateway API',
      () => byGateway({ maxBody: Size.mebibytes(1) }),
      'a route by the Gateway API must do without maxBody',
    ],
  ];
  test.each(refusals)('%s', (_, make, message) => expect(make).toThrow(message));
});
