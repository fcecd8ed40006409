import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { DeclaredSecret } from '../../constructs/secrets';
import { MicroserviceDeployment, type MicroserviceDeploymentProps } from '../../constructs/microservice-deployment';
import { Placement } from '../../constructs/placement';
import { Probes } from '../../values/probes';
import { chartIn, objectOf, objects, yamlOf } from './render';

const image = 'ghcr.io/owner/documents:1.4.2';

function rendered(props: Partial<MicroserviceDeploymentProps> = {}) {
  const chart = chartIn();
  const service = new MicroserviceDeployment(chart, 'documents', { image, ...props });
  return {
    chart,
    service,
    spec: objectOf(chart, 'Deployment').spec,
    pod: objectOf(chart, 'Deployment').spec.template.spec,
  };
}

test('the selector contains only name and instance, because it is immutable', () => {
  const { spec, chart } = rendered();
  const selector = { 'app.kubernetes.io/name': 'microservice', 'app.kubernetes.io/instance': 'documents' };
  expect(spec.selector.matchLabels).toEqual(selector);
  expect(objectOf(chart, 'Service').spec.selector).toEqual(selector);
  expect(spec.template.metadata.labels).toMatchObject(selector);
});

test('a rolling update never goes below the wanted count', () => {
  expect(rendered().spec.strategy).toEqual({
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  });
});

test('the memory limit is the request, and no CPU limit throttles an idle node', () => {
  const { pod } = rendered({ resources: { memory: Size.mebibytes(512), cpu: Cpu.millis(250) } });
  expect(pod.containers[0].resources).toEqual({
    requests: { cpu: '250m', memory: '512Mi' },
    limits: { memory: '512Mi' },
  });
});

test('renders a CPU limit if one is set', () => {
  const resources = { memory: Size.mebibytes(512), cpu: Cpu.millis(250), cpuLimit: Cpu.units(1) };
  expect(rendered({ resources }).pod.containers[0].resources).toEqual({
    requests: { cpu: '250m', memory: '512Mi' },
    limits: { cpu: '1', memory: '512Mi' },
  });
  const wrong = { ...resources, cpuLimit: 1 as unknown as Cpu };
  expect(() => rendered({ resources: wrong })).toThrow('cpuLimit must be a Cpu');
});

test('limits the size of /tmp', () => {
  const { pod } = rendered({ scratch: { '/tmp': Size.gibibytes(1) } });
  expect(pod.volumes).toContainEqual({ name: 'tmp', emptyDir: { sizeLimit: '1Gi' } });
});

test('the pod satisfies the restricted Pod Security Standard and may write to /tmp only', () => {
  const { pod } = rendered();
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 10001,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  expect(pod.containers[0].securityContext).toEqual({
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
  });
  expect(pod.containers[0].volumeMounts).toEqual([{ name: 'tmp', mountPath: '/tmp' }]);
  expect(pod.volumes).toEqual([{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }]);
});

test('mounts no ServiceAccount token, and sets no service links', () => {
  const { pod, chart } = rendered();
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    serviceAccountName: 'documents',
  });
  expect(objectOf(chart, 'ServiceAccount').automountServiceAccountToken).toBe(false);
});

test.each([0, 101, 70.5])('rejects cpuPercent %p', (cpuPercent) => {
  expect(() => rendered({ autoscaling: { minReplicas: 1, maxReplicas: 2, cpuPercent } })).toThrow(
    'autoscaling.cpuPercent must be a whole number from 1 to 100',
  );
});

test('a second replica restarts nothing: the template is the same', () => {
  const template = (replicas: number) => objectOf(rendered({ replicas }).chart, 'Deployment').spec.template;
  expect(template(1)).toEqual(template(2));
});

test('spreads only pods of one revision: otherwise the old pod would push the new one off the preferred node', () => {
  expect(rendered().pod.topologySpreadConstraints[0].matchLabelKeys).toEqual(['pod-template-hash']);
});

test('a service without variables renders no empty list, which the API server would drop', () => {
  expect(rendered().pod.containers[0]).not.toHaveProperty('env');
});

test('one replica has no PodDisruptionBudget, which would block a drain; two have one, and are spread', () => {
  expect(objects(rendered().chart).map((object) => object.kind)).not.toContain('PodDisruptionBudget');
  const { chart, pod } = rendered({ replicas: 2 });
  expect(objectOf(chart, 'PodDisruptionBudget').spec).toMatchObject({
    maxUnavailable: 1,
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
  });
  expect(pod.topologySpreadConstraints[0]).toMatchObject({
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
  });
});

test('with autoscaling the manifest holds no replicas, or each sync would undo the scaling', () => {
  const { chart, spec } = rendered({ autoscaling: { minReplicas: 2, maxReplicas: 5 } });
  expect(spec).not.toHaveProperty('replicas');
  expect(objectOf(chart, 'HorizontalPodAutoscaler')).toMatchObject({
    apiVersion: 'autoscaling/v2',
    spec: { minReplicas: 2, maxReplicas: 5, scaleTargetRef: { kind: 'Deployment', name: 'documents' } },
  });
});

test('a start may take as long as the probes allow before a restart', () => {
  const probe = rendered({ probes: Probes.http({ startup: Duration.minutes(5) }) }).pod.containers[0].startupProbe;
  expect(probe.periodSeconds * probe.failureThreshold).toBe(300);
});

test.each([
  ['TCP', Probes.tcp(), { tcpSocket: { port: 'http' } }],
  ['gRPC', Probes.grpc({ port: 9000 }), { grpc: { port: 9000, service: '' } }],
  ['exec', Probes.exec({ live: ['true'] }), { exec: { command: ['true'] } }],
])('renders %s probes', (_name, probes, action) => {
  const container = rendered({ probes }).pod.containers[0];
  expect(container.livenessProbe).toMatchObject(action);
  expect(container.readinessProbe).toMatchObject(action);
});

test('without connections a policy for both directions allows only DNS', () => {
  const { spec } = objectOf(rendered().chart, 'NetworkPolicy');
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  expect(spec.ingress).toBeUndefined();
  expect(spec.egress).toHaveLength(1);
  expect(spec.egress[0].ports).toEqual([
    { port: 53, protocol: 'TCP' },
    { port: 53, protocol: 'UDP' },
  ]);
});

test('connecting opens both policies and gives the client the address of the target', () => {
  const chart = chartIn();
  const target = new MicroserviceDeployment(chart, 'documents', { image });
  const client = new MicroserviceDeployment(chart, 'gateway', { image });
  client.connectTo(target);
  const pod = objectOf(chart, 'Deployment', 'gateway').spec.template.spec;
  expect(pod.containers[0].env).toEqual([
    { name: 'DOCUMENTS_HOST', value: 'documents.apps.svc.cluster.local' },
    { name: 'DOCUMENTS_PORT', value: '8080' },
    { name: 'DOCUMENTS_URL', value: 'http://documents.apps.svc.cluster.local:8080' },
  ]);
  const peer = (name: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'apps' } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'microservice', 'app.kubernetes.io/instance': name } },
  });
  const ports = [{ port: 8080, protocol: 'TCP' }];
  expect(objectOf(chart, 'NetworkPolicy', 'documents').spec.ingress).toEqual([{ from: [peer('gateway')], ports }]);
  expect(objectOf(chart, 'NetworkPolicy', 'gateway').spec.egress).toContainEqual({ to: [peer('documents')], ports });
});

test('the order of connections does not change the policies', () => {
  const policies = (order: readonly string[]) => {
    const chart = chartIn();
    const all = Object.fromEntries(['a', 'b', 'c'].map((id) => [id, new MicroserviceDeployment(chart, id, { image })]));
    for (const id of order) all[id]!.connectTo(all.c!);
    return objectOf(chart, 'NetworkPolicy', 'c').spec;
  };
  expect(policies(['a', 'b'])).toEqual(policies(['b', 'a']));
});

test('the environment refers to a secret, which records its readers and their namespaces', () => {
  const chart = chartIn();
  const secret = new DeclaredSecret(chart, 'mail', {
    name: 'mail',
    namespaces: [],
    keys: { password: { ask: 'the password of the mail server' } },
  });
  new MicroserviceDeployment(chart, 'documents', { image, env: { MAIL_PASSWORD: secret.key('password') } });
  const [variable] = objectOf(chart, 'Deployment').spec.template.spec.containers[0].env;
  expect(variable).toEqual({ name: 'MAIL_PASSWORD', valueFrom: { secretKeyRef: { name: 'mail', key: 'password' } } });
  expect(secret.namespaces).toEqual(['apps']);
  expect(secret.readers).toEqual(['apps/documents']);
});

test('both escape hatches can set fields that the types lack', () => {
  const { pod, chart } = rendered({
    overridePodSpec: (spec) => ({ ...spec, hostname: 'fixed' }),
    overrideManifest: (object) => {
      if (object.kind === 'Deployment')
        object.spec.template.spec.containers[0].lifecycle = { preStop: { sleep: { seconds: 5 } } };
      return object;
    },
  });
  expect(pod.hostname).toBe('fixed');
  expect(objectOf(chart, 'Deployment').spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds).toBe(5);
});

test('a given name does not change with the id of the construct', () => {
  const chart = chartIn();
  new MicroserviceDeployment(chart, 'new-id', { image, name: 'documents' });
  expect(objectOf(chart, 'Deployment').metadata.name).toBe('documents');
});

const wrong: [string, Partial<MicroserviceDeploymentProps>, string][] = [
  [
    'no replicas',
    { replicas: 0 },
    'apps/documents: replicas must be a whole number from 1 to 50, got 0; change the number, or remove the service to stop it',
  ],
  [
    'replicas beside autoscaling',
    { replicas: 2, autoscaling: { minReplicas: 1, maxReplicas: 2 } },
    'apps/documents: replicas must be left out with autoscaling',
  ],
  [
    'a range that is none',
    { autoscaling: { minReplicas: 3, maxReplicas: 3 } },
    'autoscaling must have more maxReplicas than minReplicas',
  ],
  [
    'an image that moves',
    { image: 'documents:latest' },
    'image must be an image with an exact version, got "documents:latest"',
  ],
  ['a port out of range', { port: 0 }, 'port must be a port, got 0'],
  ['a name that is no label', { name: 'Documents' }, 'the name of a service must be a DNS label, got "Documents"'],
  [
    'a plain number for memory',
    { resources: { memory: 256 as unknown as Size, cpu: Cpu.millis(1) } },
    'memory must be a Size of at least 1 KiB, got 256',
  ],
  ['a variable that no process gets', { env: { 'A=B': 'x' } }, 'an environment variable must be'],
  ['a variable that is no text', { env: { A: 1 as unknown as string } }, 'environment variable A must be text, got 1'],
];

test.each(wrong)('rejects %s, with the path of the construct', (_name, props, message) => {
  expect(() => rendered(props)).toThrow(message);
  expect(() => rendered(props)).toThrow(/^apps\/documents: /);
});

test('rejects two connections that set the same variable', () => {
  const chart = chartIn();
  const [a, b] = ['a', 'b'].map((id) => new MicroserviceDeployment(chart, id, { image }));
  a!.connectTo(b!);
  expect(() => a!.connectTo(b!)).toThrow('apps/a: environment variable B_HOST must be set once');
  expect(() => a!.connectTo(b!, { envPrefix: 'OTHER' })).not.toThrow();
});

test('renders no empty list or map that the API server would drop', () => {
  const { spec, pod } = rendered({
    ...{ args: [], pullSecrets: [], probes: Probes.http({ headers: {} }) },
    sidecars: { proxy: { image, args: [] } },
  });
  const empty = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    (Object.keys(value).length === 0 || Object.values(value).some((each) => empty(each)));
  expect(empty(spec)).toBe(false);
  expect(pod.initContainers[0].args).toBeUndefined();
});

test('variables of a sidecar resolve in order and keep their dollars', () => {
  const { pod } = rendered({
    env: { URL: '$(HOST):1', HOST: 'a' },
    sidecars: { proxy: { image, env: { A: '$(B) costs $$5', B: 'x', HOST: 'b' } } },
  });
  const env: { name: string; value: string }[] = pod.initContainers[0].env;
  expect(env.map(({ name, value }) => `${name}=${value}`)).toEqual([
    'HOST=b',
    'URL=$(HOST):1',
    'B=x',
    'A=$(B) costs $$$$5',
  ]);
});

test.each<[string, any, string]>([
  ['env', 'LOG_LEVEL=info', 'env must be values by name, got "LOG_LEVEL=info"'],
  ['env', null, 'env must be values by name, got null'],
  ['preStop', [], 'preStop must be a command and its arguments, got []'],
  ['preStop', 'sleep 5', 'preStop must be a command and its arguments, got "sleep 5"'],
])('refuses %s of %j', (field, value, message) => {
  expect(() => rendered({ [field]: value })).toThrow(message);
});

test('renders the smallest service', () => {
  expect(yamlOf(rendered().chart)).toMatchSnapshot();
});

test('renders a service with all options', () => {
  const { chart } = rendered({
    replicas: 3,
    port: 3000,
    env: { LOG_LEVEL: 'info' },
    files: { '/etc/app/app.yaml': 'level: info\n' },
    placement: Placement.preferNodesLabelled('storage-type', 'mongodb'),
    metrics: { port: 9090 },
    pullSecrets: ['registry'],
    priorityClassName: 'service',
    terminationGracePeriod: Duration.seconds(60),
    preStop: ['sleep', '5'],
  });
  expect(yamlOf(chart)).toMatchSnapshot();
});

test('only the scraper of the metrics may reach their port', () => {
  const peer = { namespace: 'monitoring', labels: { app: 'prometheus' } };
  const { chart } = rendered({ metrics: { port: 9090, scrapedBy: peer } });
  const [rule, ...others] = objectOf(chart, 'NetworkPolicy').spec.ingress;
  expect(others).toEqual([]);
  expect(rule.ports).toEqual([{ port: 9090, protocol: 'TCP' }]);
  expect(rule.from[0].podSelector.matchLabels).toEqual({ app: 'prometheus' });
});

test.each([
  [{ pullSecrets: ['My_Login'] }, 'apps/documents: the name of a pull secret must be a DNS name'],
  [{ name: '2048' }, 'apps/documents: the name of a service must be a DNS label that starts with a letter, got "2048"'],
])('rejects %j with its path', (props, message) => {
  expect(() => rendered(props)).toThrow(message);
});

test('renders several ports: Service ports, named container ports, policies and probes follow', () => {
  const chart = chartIn();
  const ports = {
    http: 3000,
    ssh: { port: 2222, service: 22, protocol: 'tcp' as const },
    dns: { port: 5353, protocol: 'udp' as const },
    metrics: 9100,
  };
  const git = new MicroserviceDeployment(chart, 'git', { image, ports });
  const { metadata, spec } = objectOf(chart, 'Deployment').spec.template;
  expect(spec.containers[0].ports).toEqual([
    { name: 'http', containerPort: 3000, protocol: 'TCP' },
    { name: 'ssh', containerPort: 2222, protocol: 'TCP' },
    { name: 'dns', containerPort: 5353, protocol: 'UDP' },
    { name: 'metrics', containerPort: 9100, protocol: 'TCP' },
  ]);
  expect(objectOf(chart, 'Service').spec.ports).toContainEqual({
    name: 'ssh',
    port: 22,
    targetPort: 'ssh',
    protocol: 'TCP',
  });
  expect(metadata.annotations).toMatchObject({ 'prometheus.io/port': '9100' });
  expect(spec.containers[0].readinessProbe.httpGet.port).toBe('http');
  expect(git.portOf('ssh')).toEqual({ name: 'ssh', container: 2222, service: 22, protocol: 'tcp' });
  expect(() => git.portOf('smtp')).toThrow(
    'a connection must name a port of its target, got "smtp" (allowed: http, ssh,',
  );
});

test('a gRPC port is probed by its number, and clients get no URL', () => {
  const chart = chartIn();
  const server = new MicroserviceDeployment(chart, 'cart', {
    image,
    ports: { grpc: { port: 7070, service: 70, protocol: 'grpc' } },
  });
  const client = new MicroserviceDeployment(chart, 'web', { image });
  client.connectTo(server);
  expect(objectOf(chart, 'Deployment', 'cart').spec.template.spec.containers[0].livenessProbe.grpc).toEqual({
    port: 7070,
    service: '',
  });
  const { env } = objectOf(chart, 'Deployment', 'web').spec.template.spec.containers[0];
  expect(env.map(({ name, value }: any) => [name, value])).toEqual([
    ['CART_HOST', 'cart.apps.svc.cluster.local'],
    ['CART_PORT', '70'],
  ]);
  expect(objectOf(chart, 'NetworkPolicy', 'cart').spec.ingress[0].ports).toEqual([{ port: 7070, protocol: 'TCP' }]);
});

test('a server sleeps 5 s before SIGTERM, without a shell; not with zero, nor with a command of its own', () => {
  const lifecycle = (props: Partial<MicroserviceDeploymentProps>) => rendered(props).pod.containers[0].lifecycle;
  expect(lifecycle({})).toEqual({ preStop: { sleep: { seconds: 5 } } });
  expect(lifecycle({ drain: Duration.seconds(20) })).toEqual({ preStop: { sleep: { seconds: 20 } } });
  expect(lifecycle({ drain: Duration.seconds(0) })).toBeUndefined();
  expect(lifecycle({ kind: 'worker' })).toBeUndefined();
  expect(lifecycle({ preStop: ['/drain'] })).toEqual({ preStop: { exec: { command: ['/drain'] } } });
});

test('the reason for no probes stands in the pods', () => {
  const { spec, pod } = rendered({ probes: Probes.none('answers only its peers') });
  expect(pod.containers[0]).not.toHaveProperty('readinessProbe');
  expect(spec.template.metadata.annotations['collab-homelab/no-probes']).toBe('answers only its peers');
});
