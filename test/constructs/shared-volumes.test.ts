import { Size } from 'cdk8s';
import {
  DataStorage,
  MicroserviceDeployment,
  PersistentVolumes,
  ScheduledJob,
  type MicroserviceDeploymentProps,
} from '../../constructs';
import { chartIn, objectOf, type Json } from './render';

const image = 'registry.example.org/forge:1.2.3';
const DISK = DataStorage.localDisks(Size.gibibytes(50), { nodeOf: () => 'worker-1' });
const CLASS = DataStorage.storageClass(Size.gibibytes(50), 'nfs');
const data = { path: '/var/lib/forge', storage: DISK };

function forge(props: Partial<MicroserviceDeploymentProps> = {}) {
  const chart = chartIn();
  const owner = new MicroserviceDeployment(chart, 'forge', { image, user: 1000, volumes: { data }, ...props });
  const job = new ScheduledJob(chart, 'dump', { image, user: 1000, schedule: '30 3 * * *' });
  return { chart, owner, job };
}

test('a job mounts the volume of a server: the same claim, checked, as the user that owns the files', () => {
  const { chart, owner, job } = forge({ volumes: { data: { ...data, folder: 'repos' } } });
  job.mountVolume(owner, { volume: 'data', path: '/data', readOnly: true });
  new PersistentVolumes(chart, 'volumes');
  const { spec }: Json = objectOf(chart, 'CronJob', 'dump').spec.jobTemplate.spec.template;
  expect(spec.volumes).toContainEqual({ name: 'shared-0', persistentVolumeClaim: { claimName: 'forge-data' } });
  expect(spec.containers[0].volumeMounts).toContainEqual({
    name: 'shared-0',
    mountPath: '/data',
    subPath: 'repos',
    readOnly: true,
  });
  expect(spec.initContainers).toHaveLength(1);
  expect(spec.initContainers[0]).toMatchObject({
    name: 'check-shared-0-mount',
    volumeMounts: [{ name: 'shared-0', mountPath: '/volumes/shared-0' }],
  });
  expect(spec.securityContext).toMatchObject({ runAsUser: 1000, fsGroup: 1000 });
});

test('a worker mounts two volumes of a service, and rolls as other workers do', () => {
  const { chart, owner } = forge({ volumes: { data, more: { ...data, path: '/more' } } });
  const worker = new MicroserviceDeployment(chart, 'previews', { image, user: 1000, kind: 'worker' });
  worker.mountVolume(owner, { volume: 'data', path: '/data' });
  worker.mountVolume(owner, { volume: 'more', path: '/more' });
  new PersistentVolumes(chart, 'volumes');
  const { spec } = objectOf(chart, 'Deployment', 'previews');
  expect(spec.strategy.type).toBe('RollingUpdate');
  const claims = spec.template.spec.volumes.flatMap((each: Json) => each.persistentVolumeClaim?.claimName ?? []);
  expect(claims).toEqual(['forge-data', 'forge-more']);
  expect(spec.template.spec.initContainers.map(({ name }: Json) => name)).toEqual([
    'check-shared-0-mount',
    'check-shared-1-mount',
  ]);
});

test.each<[string, Partial<MicroserviceDeploymentProps>, { volume?: string; path?: string }, string]>([
  ['an unknown volume', {}, { volume: 'dat' }, 'a mounted volume must be one of forge, got "dat" (allowed: data)'],
  ['a service without volumes', { volumes: undefined }, {}, 'forge must have volumes, of which dump mounts one'],
  [
    'another user',
    { user: 999 },
    {},
    'the volume at /data must be mounted by the user that owns its files, 999, got 1000; set user: 999',
  ],
  [
    'a volume of each replica',
    { volumes: { data: { ...data, perReplica: true } } },
    {},
    'the volume at /data must be a volume that its service has once, got "forge.volumes.data, which is one for each replica"',
  ],
  [
    'a volume of a class',
    { volumes: { data: { ...data, storage: CLASS } } },
    {},
    'must be a disk of a machine, got "forge.volumes.data, which a storage class makes"',
  ],
  ['another namespace', { namespace: 'web' }, {}, 'must be mounted in the namespace of its claim, web'],
  ['a path of another mount', {}, { path: '/tmp/data' }, 'overlaps no other mount'],
])('refuses %s', (_, props, options, message) => {
  const { owner, job } = forge(props);
  expect(() => job.mountVolume(owner, { volume: 'data', path: '/data', ...options })).toThrow(message);
});
