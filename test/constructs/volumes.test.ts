import { Size, type App, type Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { DataStorage, mountCheck, PersistentVolumes, withClaimDefaults } from '../../constructs/volumes';
import { chartIn, objectOf, objects } from './render';

const LOCAL = DataStorage.localDisks(Size.gibibytes(100), { nodeOf: (pod) => (pod === 'db-0' ? 'n1' : 'n2') });

/** What is rendered for the disks of pods. */
function volumesOf(storage: DataStorage, pods: readonly string[], more: (chart: Chart) => void = () => undefined) {
  const chart = chartIn('db');
  storage.declare(chart, 'db', 'data', pods);
  more(chart);
  new PersistentVolumes(chart, 'volumes');
  return objects(chart);
}

test('each pod has a volume on the node of its disk, with the size and class of its claim', () => {
  const [storageClass, ...volumes] = volumesOf(LOCAL, ['db-0', 'db-1']);
  expect(storageClass).toMatchObject({
    kind: 'StorageClass',
    metadata: { name: 'local-data', annotations: { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' } },
    provisioner: 'kubernetes.io/no-provisioner',
    reclaimPolicy: 'Retain',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  expect(volumes.map(({ metadata }) => metadata.name)).toEqual(['db-data-db-0', 'db-data-db-1']);
  expect(volumes.map(({ spec }) => spec.local.path)).toEqual(['/var/mnt/db-0', '/var/mnt/db-1']);
  expect(volumes[1]!.spec).toMatchObject({
    capacity: { storage: '100Gi' },
    accessModes: ['ReadWriteOnce'],
    volumeMode: 'Filesystem',
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: 'local-data',
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['n2'] }] }],
      },
    },
  });
  expect(LOCAL.mountCanBeMissing).toBe(true);
});

test('disks may have other paths and another class; each class is rendered once', () => {
  const other = DataStorage.localDisks(Size.gibibytes(1), {
    nodeOf: () => 'n1',
    pathOf: (pod) => `/disks/${pod}`,
    storageClassName: 'fast',
  });
  const rendered = volumesOf(other, ['x-0', 'x-1'], (chart) => LOCAL.declare(chart, 'db', 'data', ['db-0']));
  const classes = rendered.filter(({ kind }) => kind === 'StorageClass').map(({ metadata }) => metadata.name);
  expect(classes).toEqual(['fast', 'local-data']);
  expect(rendered.find(({ metadata }) => metadata.name === 'db-data-x-1')!.spec).toMatchObject({
    local: { path: '/disks/x-1' },
    storageClassName: 'fast',
  });
});

test('renders no volumes for a provisioner', () => {
  const storage = DataStorage.storageClass(Size.gibibytes(1), 'standard');
  expect(volumesOf(storage, ['db-0'])).toEqual([]);
  expect(storage.mountCanBeMissing).toBe(false);
});

test('accepts an app that renders all disks', () => {
  const chart = chartIn('db');
  LOCAL.declare(chart, 'db', 'data', ['db-0']);
  new PersistentVolumes(chart, 'volumes');
  expect(() => (chart.node.root as App).synthYaml()).not.toThrow();
});

test('a claim requests one disk of its size', () => {
  const chart = chartIn('db');
  expect(LOCAL.claimTemplate(chart, 'data', { app: 'db' })).toEqual({
    metadata: { name: 'data', labels: { app: 'db' } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'local-data',
      volumeMode: 'Filesystem',
      resources: { requests: { storage: k8s.Quantity.fromString('100Gi') } },
    },
  });
  for (const size of [Size.gibibytes(NaN), 100 as unknown as Size])
    expect(() => DataStorage.storageClass(size, 'standard').claimTemplate(chart, 'data', {})).toThrow(
      'db: the size of a data volume must be a Size of at least 1 KiB',
    );
});

test('a claim template contains the defaults of the API server, and keeps its own values', () => {
  const chart = chartIn('db');
  const template = LOCAL.claimTemplate(chart, 'data', {});
  const spec = { selector: {}, serviceName: 'db', template: {}, volumeClaimTemplates: [template] };
  withClaimDefaults(new k8s.KubeStatefulSet(chart, 'set', { metadata: { name: 'db' }, spec }));
  const rendered = objectOf(chart, 'StatefulSet').spec;
  expect(rendered.serviceName).toBe('db');
  expect(rendered.volumeClaimTemplates).toMatchObject([
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { storageClassName: 'local-data' },
      status: { phase: 'Pending' },
    },
  ]);
});

test('the mount check reads the volume itself, with the same security context as the database', () => {
  const resources = { requests: { memory: k8s.Quantity.fromString('1Gi') } };
  expect(mountCheck('image:1', resources, 'data', '/data')).toMatchObject({
    name: 'check-data-mount',
    image: 'image:1',
    resources,
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  });
});
