import { App, Chart, Size, Testing } from 'cdk8s';
import {
  DataStorage,
  DeclaredVolume,
  MicroserviceDeployment,
  PersistentVolumes,
  RetiredMicroservice,
  type MicroserviceDeploymentProps,
} from '../../constructs';

const SIZE = Size.gibibytes(50);
const DISK = DataStorage.localDisks(SIZE, { nodeOf: () => 'worker-1' });
const CLASS = DataStorage.storageClass(SIZE, 'nfs');

function objects(props: Partial<MicroserviceDeploymentProps>, make = MicroserviceDeployment as any): any[] {
  const chart = new Chart(new App(), 'apps', { namespace: 'services', disableResourceNameHashes: true });
  new make(chart, 'documents', { image: 'registry.example.org/documents:1.2.3', ...props });
  new PersistentVolumes(chart, 'volumes');
  return Testing.synth(chart);
}

const find = (all: any[], kind: string, name = 'documents') =>
  all.find((object) => object.kind === kind && object.metadata.name === name);
const podOf = (all: any[]) => (find(all, 'Deployment') ?? find(all, 'StatefulSet')).spec.template.spec;

const uploads = { path: '/uploads', storage: DISK };

test('a volume on a disk: one pod, one claim that only its volume binds, and a check of the mount', () => {
  const all = objects({ volumes: { uploads } });
  const deployment = find(all, 'Deployment');
  expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  expect(find(all, 'PersistentVolumeClaim', 'documents-uploads')).toMatchObject({
    metadata: {
      namespace: 'services',
      annotations: { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'local-data',
      volumeName: 'services-documents-uploads',
      resources: { requests: { storage: '1Mi' } },
    },
  });
  expect(find(all, 'PersistentVolume', 'services-documents-uploads').spec).toMatchObject({
    capacity: { storage: '50Gi' },
    claimRef: { namespace: 'services', name: 'documents-uploads' },
    local: { path: '/var/mnt/documents-uploads' },
    persistentVolumeReclaimPolicy: 'Retain',
  });
  const pod = podOf(all);
  expect(pod.volumes).toContainEqual({ name: 'uploads', persistentVolumeClaim: { claimName: 'documents-uploads' } });
  expect(pod.containers[0].volumeMounts).toContainEqual({ name: 'uploads', mountPath: '/uploads' });
  expect(pod.initContainers).toHaveLength(1);
  expect(pod.initContainers[0]).toMatchObject({
    name: 'check-uploads-mount',
    command: ['sh', '-ec', expect.stringContaining('mountinfo'), 'check-data-mount', '/volumes/uploads'],
    volumeMounts: [{ name: 'uploads', mountPath: '/volumes/uploads' }],
  });
  expect(pod.securityContext).toMatchObject({ fsGroup: 10001, fsGroupChangePolicy: 'OnRootMismatch' });
});

test('a volume of a storage class has no check and binds what the class makes', () => {
  const all = objects({ volumes: { uploads: { path: '/uploads', storage: CLASS } } });
  expect(podOf(all).initContainers).toBeUndefined();
  const { spec } = find(all, 'PersistentVolumeClaim', 'documents-uploads');
  expect(spec).toMatchObject({ storageClassName: 'nfs' });
  expect(spec.volumeName).toBeUndefined();
  expect(find(all, 'PersistentVolume')).toBeUndefined();
});

test('a folder of the volume is made by the user who then owns it', () => {
  const volumes = { data: { path: '/var/lib/postgresql/data', folder: 'pgdata', storage: DISK } };
  const pod = podOf(objects({ volumes, user: 999 }));
  expect(pod.initContainers.map(({ name }: any) => name)).toEqual(['check-data-mount', 'make-data-folder']);
  expect(pod.initContainers[1].command).toEqual(['mkdir', '-p', '/volumes/data/pgdata']);
  expect(pod.containers[0].volumeMounts).toContainEqual({
    name: 'data',
    mountPath: '/var/lib/postgresql/data',
    subPath: 'pgdata',
  });
  expect(pod.securityContext).toMatchObject({ runAsUser: 999, fsGroup: 999 });
});

test('a volume for each replica: a StatefulSet with claim templates and a headless Service', () => {
  const all = objects({ replicas: 3, volumes: { data: { path: '/data', perReplica: true, storage: DISK } } });
  expect(find(all, 'Deployment')).toBeUndefined();
  expect(find(all, 'PersistentVolumeClaim')).toBeUndefined();
  const { spec } = find(all, 'StatefulSet');
  expect(spec).toMatchObject({
    serviceName: 'documents-pods',
    replicas: 3,
    podManagementPolicy: 'Parallel',
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    volumeClaimTemplates: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data' },
        spec: { storageClassName: 'local-data', resources: { requests: { storage: '1Mi' } } },
        status: { phase: 'Pending' },
      },
    ],
  });
  expect(spec.template.spec.volumes.map(({ name }: any) => name)).toEqual(['tmp']);
  expect(find(all, 'Service', 'documents-pods').spec).toMatchObject({ clusterIP: 'None' });
  expect(find(all, 'PodDisruptionBudget')).toBeDefined();
  const claims = all.flatMap(({ kind, spec: { claimRef, local } = {} as any }) =>
    kind === 'PersistentVolume' ? [[claimRef.name, local.path]] : [],
  );
  expect(claims).toEqual(
    [0, 1, 2].map((ordinal) => [`data-documents-${ordinal}`, `/var/mnt/documents-data-${ordinal}`]),
  );
});

test('the variables of a connection reach the pods of a StatefulSet', () => {
  const chart = new Chart(new App(), 'apps', { namespace: 'services', disableResourceNameHashes: true });
  const volumes = { data: { path: '/data', perReplica: true, storage: CLASS } };
  const made = new MicroserviceDeployment(chart, 'documents', { image: 'a.example.org/a:1', volumes });
  made.connectTo(new MicroserviceDeployment(chart, 'chat', { image: 'a.example.org/a:1' }));
  const { env } = podOf(Testing.synth(chart)).containers[0];
  expect(env.map(({ name }: any) => name)).toContain('CHAT_URL');
});

test.each([
  [{ replicas: 2, volumes: { uploads } }, 'replicas must be 1 with a volume that pods share, got 2'],
  [
    { autoscaling: { minReplicas: 1, maxReplicas: 2 }, volumes: { uploads } },
    'autoscaling must not be set with volumes',
  ],
  [{ volumes: { Uploads: uploads } }, 'must be a DNS label of at most 20 characters'],
  [{ volumes: { uploads: { ...uploads, path: '/etc' } } }, 'a mount would hide the files of the image'],
  [{ volumes: { uploads }, scratch: { '/uploads/a': SIZE } }, 'overlaps no other mount'],
  [{ scratch: { '/dev/shm': { memory: Size.gibibytes(1) } } }, 'in memory must leave memory to its program'],
])('refuses %j', (props, message) => {
  expect(() => objects(props)).toThrow(message);
});

test('a retired service keeps claims, volumes and policy, and has no pods, no Service and no account', () => {
  const single = objects({ volumes: { uploads } }, RetiredMicroservice);
  expect(single.map(({ kind }) => kind).sort()).toEqual([
    'NetworkPolicy',
    'PersistentVolume',
    'PersistentVolumeClaim',
    'StorageClass',
  ]);
  const running = objects({ volumes: { uploads } });
  for (const object of single) expect(running).toContainEqual(object);

  const each = { replicas: 2, volumes: { data: { path: '/data', perReplica: true, storage: DISK } } };
  const replicated = objects(each, RetiredMicroservice);
  for (const object of replicated) expect(objects(each)).toContainEqual(object);
  expect(replicated.filter(({ kind }) => kind === 'PersistentVolume')).toHaveLength(2);
  expect(() => objects({}, RetiredMicroservice)).toThrow('a retired service must have volumes');
});

test('the job before a rollout mounts no volume, and the claim comes with the pod', () => {
  const all = objects({ volumes: { uploads }, beforeRollout: { command: ['migrate'] } });
  const { spec } = all.find(({ kind }) => kind === 'Job').spec.template;
  expect(spec.initContainers).toBeUndefined();
  expect(spec.volumes.map(({ name }: any) => name)).toEqual(['tmp']);
  expect(spec.containers[0].volumeMounts.map(({ name }: any) => name)).toEqual(['tmp']);
  const wave = (object: any) => object.metadata.annotations['argocd.argoproj.io/sync-wave'];
  expect(wave(find(all, 'PersistentVolumeClaim', 'documents-uploads'))).toBe('2');
  expect(wave(find(all, 'Deployment'))).toBe('2');
});

test('a disk that no PersistentVolumes renders is reported', () => {
  const chart = new Chart(new App(), 'apps', { namespace: 'services' });
  new MicroserviceDeployment(chart, 'documents', { image: 'a.example.org/a:1', volumes: { uploads } });
  expect(chart.node.root.node.validate().join()).toContain(
    'the disk of claim documents-uploads must be rendered as a volume',
  );
  expect(DeclaredVolume.all(chart)).toHaveLength(1);
});

test('scratch folders are empty, limited, and shared memory is in memory', () => {
  const scratch = {
    '/var/cache/app': Size.mebibytes(200),
    '/var/cache_app': Size.mebibytes(1),
    '/dev/shm': { memory: Size.mebibytes(64) },
  };
  const pod = podOf(objects({ scratch }));
  expect(pod.volumes).toEqual([
    { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    { name: 'scratch-var-cache-app', emptyDir: { sizeLimit: '200Mi' } },
    { name: 'scratch-var-cache-app-2', emptyDir: { sizeLimit: '1Mi' } },
    { name: 'scratch-dev-shm', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
  ]);
  expect(pod.containers[0].volumeMounts.map(({ mountPath }: any) => mountPath)).toEqual([
    '/tmp',
    '/var/cache/app',
    '/var/cache_app',
    '/dev/shm',
  ]);
  expect(podOf(objects({ scratch: { '/tmp': Size.gibibytes(1) } })).volumes).toEqual([
    { name: 'tmp', emptyDir: { sizeLimit: '1Gi' } },
  ]);
});
