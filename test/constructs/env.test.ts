import { Size, type App, type Chart } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import fc from 'fast-check';
import {
  CassandraStatefulSet,
  DataStorage,
  Env,
  ExternalLlmService,
  HashNamedJob,
  LlmEndpoint,
  MicroserviceDeployment,
  MongoReplicaSet,
  ScheduledJob,
  type MicroserviceDeploymentProps,
} from '../../constructs';
import { environmentOf } from './kubelet';
import { chartIn, objectOf, type Json } from './render';

const image = 'ghcr.io/owner/documents:1.4.2';
const resources = { memory: Size.gibibytes(4), cpu: Cpu.units(1) };
const storage = DataStorage.storageClass(Size.gibibytes(10), 'standard');

function service(env: Record<string, string>, more: Partial<MicroserviceDeploymentProps> = {}) {
  const chart = chartIn();
  return { chart, service: new MicroserviceDeployment(chart, 'documents', { image, env, ...more }) };
}

const container = (chart: Chart): Json => objectOf(chart, 'Deployment', 'documents').spec.template.spec.containers[0];
const names = (chart: Chart) => container(chart).env.map(({ name }: Json) => name);
const said = (chart: Chart) => () => (chart.node.root as App).synthYaml();

test('env may refer to variables of a connection, in any order', () => {
  const { chart, service: client } = service({
    DATABASE_URL: '$(MONGODB_URI)&appName=$(APP)',
    APP: 'documents',
  });
  client.connectTo(new MongoReplicaSet(chart, 'mongodb', { storage, resources }), { database: 'documents' });
  const got = environmentOf(container(chart), { 'mongodb-documents/password-in-uri': 'p$(APP)$$' });
  expect(got.DATABASE_URL).toMatch(/^mongodb:\/\/.*:p\$\(APP\)\$\$@.*\/documents\?.*&appName=documents$/);
  expect(names(chart)).toEqual([
    'MONGODB_USERNAME',
    'MONGODB_PASSWORD',
    'MONGODB_PASSWORD_IN_URI',
    'MONGODB_DATABASE',
    'MONGODB_URI',
    'APP',
    'DATABASE_URL',
  ]);
});

test('resolves a variable that is added later, and a chain of them', () => {
  const { chart, service: client } = service({ A: '$(B)a', B: '$(C)b', D: 'd' });
  client.addEnv({ C: '$(D)c' });
  expect(environmentOf(container(chart))).toEqual({ A: 'dcba', B: 'dcb', C: 'dc', D: 'd' });
});

test('the pod gives its address, name, namespace and node, before what refers to them', () => {
  const env = {
    URL: 'http://$(IP):80',
    IP: Env.pod('ip'),
    A: Env.pod('name'),
    B: Env.pod('namespace'),
    C: Env.pod('node'),
  };
  const chart = chartIn();
  new MicroserviceDeployment(chart, 'documents', { image, env });
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  expect(container(chart).env).toEqual([
    field('IP', 'status.podIP'),
    { name: 'URL', value: 'http://$(IP):80' },
    field('A', 'metadata.name'),
    field('B', 'metadata.namespace'),
    field('C', 'spec.nodeName'),
  ]);
  expect(said(chart)).not.toThrow();
  expect(() => new MicroserviceDeployment(chart, 'other', { image, env: { A: Env.pod('nmae' as 'name') } })).toThrow(
    'environment variable A must take what a pod knows of itself, got "nmae" (allowed: ip, name, namespace, node); did you mean name?',
  );
});

test.each([
  ['pa$$word', 'pa$$word'],
  ['$', '$'],
  ['$$', '$$'],
  ['$$$', '$$$'],
  ['a$b', 'a$b'],
  ['$$(X)', '$(X)'],
  ['$$$$(X)', '$$(X)'],
  ['$$$(X)', '$x'],
  ['$(X)$$$(X)', 'x$x'],
  ['$(', '$('],
  ['$(X', '$(X'],
  ['', ''],
])('passes %p as %p', (written, arrives) => {
  const { chart } = service({ X: 'x', VALUE: written });
  expect(environmentOf(container(chart)).VALUE).toBe(arrives);
});

test('passes text without $( unchanged', () => {
  const text = fc.array(fc.constantFrom('$', '$$', 'a', ')', '{', ' ', '\n', 'é')).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (written) => {
      const { chart } = service({ VALUE: written });
      expect(environmentOf(container(chart)).VALUE).toBe(written);
    }),
    { numRuns: 100 },
  );
});

test.each([
  [
    { A: '$(MONGODB_URL)' },
    'environment variable A must refer to variables that are set before it, got "$(MONGODB_URL)" (allowed: MONGODB_USERNAME, MONGODB_PASSWORD, MONGODB_PASSWORD_IN_URI, MONGODB_DATABASE, MONGODB_URI, A); did you mean MONGODB_URI?',
  ],
  [{ A: '$(date)' }, 'got "$(date)" (allowed: MONGODB_USERNAME'],
  [{ A: '$(date)' }, 'write $$(date) for the text itself'],
  [{ A: '$()' }, 'got "$()"'],
  [{ PATH: '$(PATH):/app' }, 'let no variable refer to itself'],
  [{ A: '$(B)', B: '$(A)' }, 'let no variable refer to itself, nor two to each other'],
])('rejects %j with a fix', (env, message) => {
  const { chart, service: client } = service(env);
  client.connectTo(new MongoReplicaSet(chart, 'mongodb', { storage, resources }), { database: 'documents' });
  expect(said(chart)).toThrow(message);
});

test('may refer to the variables of the API server, and to those that overridePodSpec put first', () => {
  const { chart } = service(
    { API: 'https://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)', ME: '$(POD_IP)' },
    {
      overridePodSpec: (spec) => {
        const [only] = spec.containers;
        const ip = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };
        return { ...spec, containers: [{ ...only!, env: [ip, ...only!.env!] }] };
      },
    },
  );
  expect(said(chart)).not.toThrow();
});

test('a command may refer to variables; rejects a misspelt one, and ignores $(command) of a shell', () => {
  const misspelt = service({ LEVEL: 'info' }, { args: ['--level=$(LEVLE)'] });
  expect(said(misspelt.chart)).toThrow(
    'a command must refer to variables that are set before it, got "$(LEVLE)" (allowed: LEVEL); did you mean LEVEL?',
  );
  const shell = service({ LEVEL: 'info' }, { command: ['sh', '-c', 'echo $(date) $(LEVEL)'] });
  expect(said(shell.chart)).not.toThrow();
});

test('validates a job and an exporter alike', () => {
  const chart = chartIn('db');
  const job = new HashNamedJob(chart, 'job', {
    name: 'import',
    namespace: 'db',
    image,
    command: ['true'],
    resources,
    user: 999,
    reads: {},
  });
  job.addEnv({ TARGET: '$(HOME)/$(NAME)', NAME: 'x' });
  expect(environmentOf(objectOf(chart, 'Job').spec.template.spec.containers[0])).toEqual({
    HOME: '/tmp',
    NAME: 'x',
    TARGET: '/tmp/x',
  });
  job.addEnv({ OTHER: '$(NOPE)' });
  expect(said(chart)).toThrow('db/job');
  expect(said(chart)).toThrow(
    'environment variable OTHER must refer to variables that are set before it, got "$(NOPE)"',
  );

  const ring = chartIn('ring');
  new CassandraStatefulSet(ring, 'cassandra', {
    clusterName: 'shop',
    storage,
    resources,
    exporter: { image, port: 9500, resources, env: { URI: '$(HOST)' } },
  });
  expect(said(ring)).toThrow('environment variable URI must refer to variables that are set before it, got "$(HOST)"');
});

test('validates a scheduled job, and init containers of an escape hatch', () => {
  const chart = chartIn();
  const overridePodSpec = (spec: k8s.PodSpec): k8s.PodSpec => ({
    ...spec,
    initContainers: [{ name: 'first', image, env: [{ name: 'A', value: '$(NOPE)' }] }],
  });
  const job = new ScheduledJob(chart, 'tidy', { image, schedule: '0 3 * * *', args: ['--keyspace=$(KEYSPACE)'] });
  const ring = new CassandraStatefulSet(chart, 'ring', { clusterName: 'shop', storage, resources });
  job.connectTo(ring, { keyspace: 'shop' });
  job.addEnv({ KEYSPACE: Env.from('ring', 'keyspace') });
  expect(said(chart)).not.toThrow();
  const [container] = objectOf(chart, 'CronJob').spec.jobTemplate.spec.template.spec.containers;
  expect(environmentOf(container).KEYSPACE).toBe('shop');
  job.addEnv({ OTHER: '$(CASSANDRA_NOPE)' });
  expect(said(chart)).toThrow('environment variable OTHER must refer to variables that are set before it');

  const other = chartIn();
  new ScheduledJob(other, 'tidy', { image, schedule: '0 3 * * *', overridePodSpec });
  expect(said(other)).toThrow('environment variable A must refer to variables that are set before it, got "$(NOPE)"');
});

test('passes the tag of a model as literal text', () => {
  const { chart, service: client } = service({});
  const endpoint = LlmEndpoint.endpointSlice({ address: '192.168.1.30' });
  client.connectTo(new ExternalLlmService(chart, 'llm', { endpoint, models: { chat: { tag: 'a$(LLM_HOST):$$1' } } }), {
    model: 'chat',
  });
  expect(environmentOf(container(chart)).LLM_MODEL).toBe('a$(LLM_HOST):$$1');
});

test.each([
  [undefined, 'must be text, got nothing'],
  [5, "must be text, got 5; write it in quotes: '5'"],
  [null, 'must be text, got null'],
  [{ secret: 'mongodb' }, 'must be text, got {"secret":"mongodb"}'],
  ['a\0b', 'remove the NUL character'],
  ['\ud800', 'unpaired surrogate'],
])('rejects the value %p', (value, message) => {
  expect(() => service({ A: value as string })).toThrow(message);
});

test('renders a variable only for the container of its own object', () => {
  const chart = chartIn();
  const config = new k8s.KubeConfigMap(chart, 'config', { metadata: { name: 'config' }, data: { a: '$(X)' } });
  expect(config.name).toBe('config');
  new MicroserviceDeployment(chart, 'documents', { image, files: { '/app/run.sh': 'echo $(X)' }, env: { A: 'a' } });
  expect(said(chart)).not.toThrow();
});
