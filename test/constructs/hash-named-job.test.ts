import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { Connectable } from '../../constructs/connections';
import { HashNamedJob, type HashNamedJobProps } from '../../constructs/hash-named-job';
import { chartIn, objectOf } from './render';

/** A job that reads one ConfigMap. */
function rendered(change: Partial<HashNamedJobProps> = {}, with_: (job: HashNamedJob) => void = () => undefined) {
  const chart = chartIn('db');
  const map = new k8s.KubeConfigMap(chart, 'files', { metadata: { name: 'files' }, data: { a: '1' } });
  with_(
    new HashNamedJob(chart, 'job', {
      name: 'schema',
      namespace: 'db',
      image: 'python:3.13.5',
      command: ['python3', 'a'],
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      user: 999,
      reads: { '/schema': map },
      ...change,
    }),
  );
  return objectOf(chart, 'Job');
}

test('it runs as its user, without permissions in the cluster, with a read-only root, and restarts in its pod', () => {
  const { spec } = rendered();
  expect(spec.backoffLimit).toBe(100);
  // A finished job that vanishes would be made again.
  expect(spec).not.toHaveProperty('ttlSecondsAfterFinished');
  expect(spec.template.spec).toMatchObject({
    restartPolicy: 'OnFailure',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: { runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999 },
  });
  const [container] = spec.template.spec.containers;
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  });
  expect(container.command).toEqual(['python3', 'a']);
  expect(container.env).toEqual([{ name: 'HOME', value: '/tmp' }]);
  expect(container.resources).toEqual({
    limits: { memory: '64Mi' },
    requests: { cpu: '10m', memory: '64Mi' },
  });
});

test('it may write to /tmp, and reads its ConfigMaps and nothing else', () => {
  const { containers, volumes } = rendered().spec.template.spec;
  expect(containers[0].volumeMounts).toEqual([
    { name: 'tmp', mountPath: '/tmp' },
    { name: 'files-0', mountPath: '/schema', readOnly: true },
  ]);
  expect(volumes).toEqual([
    { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    { name: 'files-0', configMap: { name: 'files' } },
  ]);
});

test('its pods carry the labels of its policy', () => {
  const { metadata, spec } = rendered();
  const identity = { 'app.kubernetes.io/name': 'job', 'app.kubernetes.io/instance': 'schema' };
  expect(metadata.labels).toMatchObject(identity);
  expect(spec.template.metadata.labels).toMatchObject(identity);
});

test('a hash fits after a name of 52 characters, but not after a longer one', () => {
  expect(rendered({ name: 'a'.repeat(52) }).metadata.name).toMatch(/^a{52}-[0-9a-f]{10}$/);
  expect(() => rendered({ name: 'a'.repeat(53) })).toThrow('the name of a job must be a DNS label');
});

test('its command may refer to its variables, but not to variables that are not set', () => {
  const command = ['python3', '$(KEYSPACE)'];
  const set = rendered({ command }, (job) => job.addEnv({ KEYSPACE: 'chat' }));
  expect(set.spec.template.spec.containers[0].command).toEqual(command);
  expect(() => rendered({ command })).toThrow('KEYSPACE');
});

test('it reaches what it is connected to', () => {
  const accept = jest.fn();
  rendered({}, (job) => {
    job.connectTo({ accept } as unknown as Connectable<{ keyspace: string }>, { keyspace: 'chat' });
    expect(accept).toHaveBeenCalledWith(job, { keyspace: 'chat' });
    expect(job.name).toBe('schema');
  });
  expect(accept).toHaveBeenCalledTimes(1);
});

test('sets priority, pull secrets and sync wave', () => {
  const { metadata, spec } = rendered({ priorityClassName: 'high', pullSecrets: ['registry'], wave: 3 });
  expect(spec.template.spec).toMatchObject({ priorityClassName: 'high', imagePullSecrets: [{ name: 'registry' }] });
  expect(metadata.annotations).toEqual({ 'argocd.argoproj.io/sync-wave': '3' });
  expect(rendered().metadata.annotations).toEqual({ 'argocd.argoproj.io/sync-wave': '0' });
  expect(rendered().spec.template.spec).not.toHaveProperty('imagePullSecrets');
});

describe('it runs again', () => {
  const name = (...args: Parameters<typeof rendered>): string => rendered(...args).metadata.name;

  test.each<[string, Parameters<typeof rendered>]>([
    ['its command', [{ command: ['true'] }]],
    ['its user', [{ user: 1000 }]],
    ['its resources', [{ resources: { memory: Size.mebibytes(65), cpu: Cpu.millis(10) } }]],
    ['its priority', [{ priorityClassName: 'high' }]],
    ['its environment', [{}, (job) => job.addEnv({ A: 'b' })]],
    ['what it reads', [{ reads: {} }]],
  ])('when %s changes', (_, args) => {
    expect(name(...args)).not.toBe(name());
  });

  test('not when its namespace or its wave changes', () => {
    expect(name({ namespace: 'other', wave: 7 })).toBe(name());
  });
});
