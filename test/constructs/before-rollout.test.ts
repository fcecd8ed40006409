import {
  DataStorage,
  MicroserviceDeployment,
  MongoReplicaSet,
  type MicroserviceDeploymentProps,
} from '../../constructs';
import { Cpu } from 'cdk8s-plus-28';
import { Duration, Size } from 'cdk8s';
import { chartIn, objectOf, objects, yamlOf } from './render';

const image = 'ghcr.io/owner/documents:1.4.2';
const beforeRollout = { command: ['node', 'migrate.js'] };

function rendered(props: Partial<MicroserviceDeploymentProps> = {}) {
  const chart = chartIn();
  const service = new MicroserviceDeployment(chart, 'documents', { image, beforeRollout, ...props });
  return { chart, service, job: objectOf(chart, 'Job') };
}

test('renders the job and its policy', () => {
  const { chart } = rendered({ files: { '/etc/app/app.yaml': 'level: info' } });
  expect(yamlOf(objects(chart).filter(({ metadata }) => /-before/.test(metadata.name)))).toMatchSnapshot();
});

test('runs the image of the service with its variables and files, without probes and ports', () => {
  const { job } = rendered({ env: { LEVEL: 'info' }, files: { '/etc/app/app.yaml': 'level: info' } });
  const { containers, volumes, restartPolicy } = job.spec.template.spec;
  expect(restartPolicy).toBe('Never');
  expect(containers[0]).toMatchObject({
    image,
    command: ['node', 'migrate.js'],
    env: [{ name: 'LEVEL', value: 'info' }],
  });
  for (const field of ['ports', 'readinessProbe', 'livenessProbe', 'startupProbe', 'lifecycle'])
    expect(containers[0]).not.toHaveProperty(field);
  expect(volumes).toContainEqual({ name: 'files', configMap: { name: 'documents-before' } });
});

test.each<[string, Partial<MicroserviceDeploymentProps>]>([
  ['the image', { image: 'ghcr.io/owner/documents:1.4.3' }],
  ['a variable', { env: { LEVEL: 'debug' } }],
  ['a file', { files: { '/etc/app/app.yaml': 'b' } }],
  ['the command', { beforeRollout: { command: ['node', 'migrate.js', '--force'] } }],
  ['the deadline', { beforeRollout: { ...beforeRollout, deadline: Duration.minutes(1) } }],
])('a change of %s runs it again under another name', (_name, change) => {
  const base = { files: { '/etc/app/app.yaml': 'a' } };
  const name = (props: Partial<MicroserviceDeploymentProps>) => rendered({ ...base, ...props }).job.metadata.name;
  expect(name(change)).not.toBe(name({}));
});

test('more replicas do not run it again', () => {
  expect(rendered({ replicas: 3 }).job.metadata.name).toBe(rendered().job.metadata.name);
});

test('what changes the pods that run waits in a wave behind it', () => {
  const { chart } = rendered({ replicas: 2, files: { '/etc/app/app.yaml': 'a' } });
  const waves = objects(chart).map(({ kind, metadata }) => [
    `${kind} ${metadata.name.replace(/-[0-9a-f]{10}$/, '')}`,
    metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? '0',
  ]);
  expect(Object.fromEntries(waves)).toEqual({
    'NetworkPolicy documents': '0',
    'NetworkPolicy documents-before': '0',
    'ServiceAccount documents': '0',
    'Service documents': '0',
    'ConfigMap documents-before': '0',
    'Job documents-before': '1',
    'ConfigMap documents': '2',
    'Deployment documents': '2',
    'PodDisruptionBudget documents': '2',
  });
});

test('reaches what the service reaches, and its targets admit it; the Service and the budget do not select it', () => {
  const { chart, service } = rendered({ replicas: 2 });
  const target = new MicroserviceDeployment(chart, 'identity', { image });
  service.connectTo(target);
  const job = objects(chart).find(({ kind }) => kind === 'Job')!;
  const { labels } = job.spec.template.metadata;
  const from = objectOf(chart, 'NetworkPolicy', 'identity').spec.ingress[0].from;
  expect(from.some(({ podSelector }: any) => matches(podSelector.matchLabels, labels))).toBe(true);
  const own = objectOf(chart, 'NetworkPolicy', 'documents-before').spec;
  expect(own.egress).toEqual(objectOf(chart, 'NetworkPolicy', 'documents').spec.egress);
  expect(own.ingress).toBeUndefined();
  expect(matches(objectOf(chart, 'Service', 'documents').spec.selector, labels)).toBe(false);
  expect(matches(objectOf(chart, 'PodDisruptionBudget').spec.selector.matchLabels, labels)).toBe(false);
});

test('uses the login of the service in a database', () => {
  const { chart, service } = rendered();
  const mongodb = new MongoReplicaSet(chart, 'mongodb', {
    members: 1,
    resources: { memory: Size.gibibytes(1), cpu: Cpu.millis(100) },
    storage: DataStorage.storageClass(Size.gibibytes(10), 'standard'),
  });
  service.connectTo(mongodb, { database: 'documents' });
  const env = (object: any) => object.spec.template.spec.containers[0].env;
  const job = objects(chart).find(({ kind, metadata }) => kind === 'Job' && /documents-before/.test(metadata.name))!;
  expect(env(job)).toEqual(env(objectOf(chart, 'Deployment')));
});

test('refuses a name that leaves no room for the hash', () => {
  expect(() => rendered({ name: 'd'.repeat(46) })).toThrow(
    'the name of a service with beforeRollout must be a DNS label',
  );
});

function matches(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}
