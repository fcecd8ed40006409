import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { OutsideRoute } from '../../constructs/outside-route';
import { Tls } from '../../values/tls';
import { TraefikIngress, type TraefikIngressProps } from '../../constructs/traefik-ingress';
import { Chart, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { chartIn, objectOf, objects, patience, yamlOf } from './render';

const minimal: TraefikIngressProps = {
  watchNamespaces: ['web'],
  statusAddress: '192.168.1.22',
  dnsNames: ['*.collab.home.arpa'],
  apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 },
};

function rendered(props: Partial<TraefikIngressProps> = {}) {
  const chart = chartIn('ingress');
  return { chart, traefik: new TraefikIngress(chart, 'traefik', { ...minimal, ...props }) };
}

function routed(host = 'app.collab.home.arpa') {
  const { chart, traefik } = rendered();
  const web = new Chart(chart.node.root as any, 'web', { namespace: 'web' });
  new MicroserviceDeployment(web, 'app', {
    image: 'a:1',
    routes: [OutsideRoute.ingress({ host, controller: traefik })],
  });
  return { chart, web };
}

describe('TraefikIngress', () => {
  const args = (props: Partial<TraefikIngressProps> = {}) =>
    objectOf(rendered(props).chart, 'DaemonSet').spec.template.spec.containers[0].args;

  test('uses host ports, not the host network, which no policy could select', () => {
    const pod = objectOf(rendered().chart, 'DaemonSet').spec.template.spec;
    expect(pod).not.toHaveProperty('hostNetwork');
    expect(pod.containers[0].ports.slice(0, 2)).toEqual([
      { name: 'web', containerPort: 8000, hostPort: 80, protocol: 'TCP' },
      { name: 'websecure', containerPort: 8443, hostPort: 443, protocol: 'TCP' },
    ]);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
    expect(pod.containers[0].securityContext.capabilities).toEqual({ drop: ['ALL'] });
  });

  test('serves its health check on a separate port, which no other pod may reach', () => {
    const [container] = objectOf(rendered().chart, 'DaemonSet').spec.template.spec.containers;
    expect(container.ports[2]).toEqual({ name: 'ping', containerPort: 8080, protocol: 'TCP' });
    expect(container.args).toContain('--entrypoints.ping.address=:8080');
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
      expect(container[probe].httpGet).toEqual({ path: '/ping', port: 'ping' });
    expect(patience(container)).toEqual([
      [60, 1],
      [30, 3],
      [10, 3],
    ]);
    // Longer than the 20 s in which it lets requests end.
    expect(objectOf(rendered().chart, 'DaemonSet').spec.template.spec.terminationGracePeriodSeconds).toBe(30);
    expect(container.args).toContain('--entrypoints.websecure.transport.lifecycle.gracetimeout=20s');
    const { ingress } = objectOf(rendered().chart, 'NetworkPolicy').spec;
    expect(ingress.flatMap(({ ports }: any) => ports.map(({ port }: any) => port))).toEqual([8000, 8443]);
  });

  test('requests the given resources, and small defaults', () => {
    const resources = (props: Partial<TraefikIngressProps> = {}) =>
      objectOf(rendered(props).chart, 'DaemonSet').spec.template.spec.containers[0].resources;
    expect(resources()).toEqual({ requests: { memory: '256Mi', cpu: '100m' }, limits: { memory: '256Mi' } });
    expect(resources({ resources: { memory: Size.gibibytes(1), cpu: Cpu.units(1) } })).toEqual({
      requests: { memory: '1Gi', cpu: '1' },
      limits: { memory: '1Gi' },
    });
  });

  test('rolls one node at a time, because host ports allow no surge', () => {
    expect(objectOf(rendered().chart, 'DaemonSet').spec.updateStrategy.rollingUpdate).toEqual({ maxUnavailable: 1 });
  });

  test('writes an address into the status of Ingresses, or Argo CD would never count them as healthy', () => {
    expect(args()).toContain('--providers.kubernetesingress.ingressendpoint.ip=192.168.1.22');
  });

  test('reads Secrets only in the namespaces that it serves', () => {
    const { chart } = rendered({ watchNamespaces: ['web', 'tools'] });
    const reading = objects(chart).filter(({ rules }) => JSON.stringify(rules ?? []).includes('secrets'));
    expect(reading.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`)).toEqual(['Role web', 'Role tools']);
    expect(objectOf(chart, 'ClusterRole').rules).toEqual([
      { apiGroups: ['networking.k8s.io'], resources: ['ingressclasses'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
    ]);
    expect(args({ watchNamespaces: ['web', 'tools'] })).toContain('--providers.kubernetesingress.namespaces=web,tools');
  });

  test('sends no usage data, and serves its certificate from a declared secret', () => {
    expect(args()).toEqual(
      expect.arrayContaining(['--global.checknewversion=false', '--global.sendanonymoususage=false']),
    );
    const { traefik } = rendered();
    expect(traefik.certificate.keys['tls.crt']).toEqual({ generate: 'certificate', dnsNames: ['*.collab.home.arpa'] });
    expect(traefik.certificate.type).toBe('kubernetes.io/tls');
  });

  test('admits Prometheus only with metrics: true', () => {
    const peer = { namespace: 'monitoring', labels: {} };
    expect(() => rendered().traefik.allowScrapingFrom(peer)).toThrow('metrics must be true to be scraped');
    const { chart, traefik } = rendered({ metrics: true });
    traefik.allowScrapingFrom(peer);
    expect(JSON.stringify(objectOf(chart, 'NetworkPolicy').spec.ingress)).toContain('9100');
  });

  test.each<[Partial<TraefikIngressProps>, string]>([
    [{ statusAddress: 'worker' }, 'statusAddress must be an IPv4 address, got "worker"'],
    [{ watchNamespaces: [] as any }, 'watchNamespaces must name at least one namespace'],
    [{ name: 'a'.repeat(53) }, 'the name of an ingress controller must be a DNS label'],
    [{ resources: { memory: Size.mebibytes(64), cpu: 1 as any } }, 'cpu must be a Cpu'],
    [{ image: 'traefik' }, 'image must be an image with an exact version, got "traefik"'],
  ])('refuses %j', (props, message) => {
    expect(() => rendered(props)).toThrow(message);
  });

  test('renders the controller', () => {
    expect(yamlOf(rendered().chart)).toMatchSnapshot();
  });
});

describe('OutsideRoute', () => {
  test('opens both policies: egress of the controller and ingress of the service, nothing else', () => {
    const { chart, web } = routed();
    const ports = [{ port: 8080, protocol: 'TCP' }];
    const instance = (peer: any) => peer.podSelector.matchLabels['app.kubernetes.io/instance'];
    const ingress = objectOf(web, 'NetworkPolicy', 'app').spec.ingress;
    expect(ingress.map((rule: any) => [instance(rule.from[0]), rule.ports])).toEqual([['traefik', ports]]);
    const egress = objectOf(chart, 'NetworkPolicy', 'traefik').spec.egress;
    expect(
      egress
        .filter((rule: any) => JSON.stringify(rule.ports) === JSON.stringify(ports))
        .map((rule: any) => instance(rule.to[0])),
    ).toEqual(['app']);
  });

  test('always uses TLS, with the certificate of the controller by default', () => {
    expect(objectOf(routed().web, 'Ingress').spec).toEqual({
      ingressClassName: 'traefik',
      tls: [{ hosts: ['app.collab.home.arpa'] }],
      rules: [
        {
          host: 'app.collab.home.arpa',
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'app', port: { number: 8080 } } } }],
          },
        },
      ],
    });
  });

  test('with the Gateway API only the pods of the gateway may reach the service', () => {
    const web = chartIn('web');
    const controller = { namespace: 'gateway', labels: { app: 'gateway' } };
    new MicroserviceDeployment(web, 'app', {
      image: 'a:1',
      routes: [
        OutsideRoute.gateway({
          host: 'app.collab.home.arpa',
          gateway: { name: 'main', namespace: 'gateway' },
          controller,
        }),
      ],
    });
    expect(objectOf(web, 'HTTPRoute').spec).toEqual({
      parentRefs: [{ name: 'main', namespace: 'gateway' }],
      hostnames: ['app.collab.home.arpa'],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }], backendRefs: [{ name: 'app', port: 8080 }] }],
    });
    expect(objectOf(web, 'NetworkPolicy').spec.ingress[0].from[0].podSelector.matchLabels).toEqual({ app: 'gateway' });
  });

  const controller = { ingressClassName: 'nginx', peer: { namespace: 'nginx', labels: { app: 'nginx' } } };
  const route = (outside: OutsideRoute) => {
    const web = chartIn('web');
    new MicroserviceDeployment(web, 'app', { image: 'a:1', routes: [outside] });
    return web;
  };

  test('routes a path prefix with its own certificate and controller', () => {
    const web = route(
      OutsideRoute.ingress({ host: 'app.home.arpa', path: '/api', controller, tls: Tls.secret('app-tls') }),
    );
    const { metadata, spec } = objectOf(web, 'Ingress');
    expect(metadata).toMatchObject({
      name: 'app.api',
      namespace: 'web',
      labels: { 'app.kubernetes.io/instance': 'app' },
    });
    expect(spec).toMatchObject({
      ingressClassName: 'nginx',
      tls: [{ hosts: ['app.home.arpa'], secretName: 'app-tls' }],
      rules: [{ host: 'app.home.arpa', http: { paths: [{ path: '/api', pathType: 'Prefix' }] } }],
    });
    expect(objectOf(web, 'NetworkPolicy').spec.ingress).toMatchObject([
      { from: [{ podSelector: { matchLabels: { app: 'nginx' } } }], ports: [{ port: 8080, protocol: 'TCP' }] },
    ]);
  });

  test('attaches to one listener of a gateway, for a prefix of the path', () => {
    const gateway = { name: 'main', namespace: 'gateway', sectionName: 'https' };
    const web = route(
      OutsideRoute.gateway({ host: 'app.home.arpa', path: '/api', gateway, controller: controller.peer }),
    );
    const { metadata, spec } = objectOf(web, 'HTTPRoute');
    expect(metadata).toMatchObject({
      name: 'app.api',
      namespace: 'web',
      labels: { 'app.kubernetes.io/instance': 'app' },
    });
    expect(spec.parentRefs).toEqual([gateway]);
    expect(spec.rules[0].matches).toEqual([{ path: { type: 'PathPrefix', value: '/api' } }]);
  });
});
