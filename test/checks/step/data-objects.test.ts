import type { Manifest } from '../../../checks/step/objects';
import { engineOf, versionProblem } from '../../../checks/step/data/versions';
import { editStep, plainStep, told } from './steps';

/** Edits every object of a kind in the test homelab, or only the one with the given name. */
const edited = (kind: string, name: string | undefined, edit: (object: any) => void) =>
  told(
    editStep((object) => {
      if (object.kind === kind && (name === undefined || object.metadata.name === name)) edit(object);
      return object;
    }),
  );
const removed = (kind: string, name: string) =>
  told(editStep((object) => (object.kind === kind && object.metadata.name === name ? undefined : object)));
const text = (from: string | RegExp, to: string) =>
  told(editStep((object) => JSON.parse(JSON.stringify(object).replaceAll(from, to))));
const volume = (edit: (spec: any) => void) =>
  edited('PersistentVolume', 'mongodb-data-mongodb-0', ({ spec }) => edit(spec));
const set = (edit: (spec: any) => void) => edited('StatefulSet', 'mongodb', ({ spec }) => edit(spec));
const KEEP = 'argocd.argoproj.io/sync-options';

describe('rings and sets', () => {
  test.each([
    ['num_tokens: 16', 'num_tokens: 8', 'cassandra.num_tokens: 16 -> 8'],
    [
      'Murmur3Partitioner',
      'RandomPartitioner',
      'cassandra.partitioner: org.apache.cassandra.dht.Murmur3Partitioner -> org.apache.cassandra.dht.RandomPartitioner',
    ],
    [
      'GossipingPropertyFileSnitch',
      'SimpleSnitch',
      'cassandra.endpoint_snitch: GossipingPropertyFileSnitch -> SimpleSnitch',
    ],
    ['  - /var/lib/cassandra/data', '  - /tmp', 'cassandra.data_file_directories: /var/lib/cassandra/data -> /tmp'],
    [
      'commitlog_directory: /var/lib/cassandra/commitlog',
      'commitlog_directory: /tmp',
      'cassandra.commitlog_directory: /var/lib/cassandra/commitlog -> /tmp',
    ],
    ['\\"chat\\": 3', '\\"chat\\": 1', 'cassandra.keyspaces.chat.copies: 3 -> 1'],
    ['cassandra:5.0.8', 'cassandra:4.1.11', 'cassandra.version: 5.0.8 -> 4.1.11'],
    ['cassandra:5.0.8', 'cassandra:7.0.0', 'cassandra.version: 5.0.8 -> 7.0.0'],
    ['mongo:8.0.26', 'mongo:7.0.37', 'mongodb.version: 8.0.26 -> 7.0.37'],
    ['--dbpath=/data/db', '--dbpath=/data/db/new', 'mongodb.dbpath: /data/db -> /data/db/new'],
  ])('%s becomes %s', (from, to, expected) => expect(text(from, to)).toEqual([expected]));

  test.each([
    ['cassandra:5.0.8', 'cassandra:5.0.9'],
    ['mongo:8.0.26', 'mongo:9.0.0'],
    ['docker.io/library/mongo:', 'registry.home.arpa/mongo:'],
    ['\\"chat\\": 3', '\\"chat\\": 5'],
    ['file_cache_size: 320MiB', 'file_cache_size: 300MiB'],
  ])('%s becomes %s: no risk', (from, to) => expect(text(from, to)).toEqual([]));

  test('versions are compared by series', () => {
    expect(versionProblem('mongodb', [4, 4], [5, 0])).toBeUndefined();
    expect(versionProblem('mongodb', [4, 2], [5, 0])?.by).toBe('skip');
    expect(versionProblem('mongodb', [6, 0], [8, 0])?.by).toBe('skip');
    expect(versionProblem('mysql', [5, 7], [8, 0])).toBeUndefined();
    expect(versionProblem('postgresql', [16, 2], [17, 0])?.by).toBe('skip');
    expect(versionProblem('postgresql', [16, 2], [16, 4])).toBeUndefined();
    expect(versionProblem('cassandra', [5, 0, 8], [5, 0, 6])?.by).toBe('lower');
    expect(
      ['x/bitnami/mongodb:1', 'percona/mongodb_exporter:1', 'mongo-express:1', 'my-cassandra@sha256:0'].map(engineOf),
    ).toEqual(['mongodb', undefined, undefined, 'cassandra']);
  });
});

describe('StatefulSets', () => {
  test('changed names, services and claims by which pods find their data', () => {
    expect(set((spec) => (spec.serviceName = 'other'))).toEqual(['mongodb.serviceName: mongodb -> other']);
    expect(set((spec) => (spec.volumeClaimTemplates[0].metadata.name = 'db'))).toEqual(['mongodb.claims: data -> db']);
    expect(set((spec) => (spec.volumeClaimTemplates[0].spec.storageClassName = 'x'))).toEqual([
      'mongodb.storageClass: local-data -> x',
    ]);
    expect(set((spec) => (spec.persistentVolumeClaimRetentionPolicy.whenScaled = 'Delete'))).toEqual([
      'mongodb.whenScaled: Retain -> Delete',
    ]);
    expect(edited('StatefulSet', 'mongodb', ({ metadata }) => (metadata.namespace = 'other'))).toContain(
      'mongodb.namespace: mongodb -> other',
    );
    expect(edited('StatefulSet', 'mongodb', ({ metadata }) => (metadata.name = 'other'))).toContain(
      'mongodb.name: mongodb/mongodb -> mongodb/other',
    );
  });

  test('the data mount is moved, removed, or an empty folder', () => {
    const mounts = (edit: (container: any, spec: any) => void) =>
      set((spec) => edit(spec.template.spec.containers[0], spec.template.spec));
    expect(mounts((container) => (container.volumeMounts[0].mountPath = '/data'))).toEqual([
      'mongodb.mounts./data/db: claim data -> at /data',
    ]);
    expect(mounts((container) => container.volumeMounts.shift())).toEqual([
      'mongodb.mounts./data/db: claim data -> no lasting volume',
    ]);
    expect(mounts((container) => (container.volumeMounts[0].subPath = 'a'))).toEqual([
      'mongodb.mounts./data/db: claim data -> claim data, folder a',
    ]);
    expect(mounts((container) => (container.volumeMounts[0].name = 'tmp'))).toEqual([
      'mongodb.mounts./data/db: claim data -> no lasting volume',
    ]);
    expect(mounts((container) => container.volumeMounts.reverse())).toEqual([]);
  });
});

describe('static volumes', () => {
  test.each<[string, (spec: any) => void, string]>([
    ['path', (spec) => (spec.local.path = '/x'), 'mongodb-0.path: /var/mnt/mongodb-0 -> /x'],
    ['size', (spec) => (spec.capacity.storage = '50Gi'), 'mongodb-0.size: 100Gi -> 50Gi'],
    ['policy', (spec) => (spec.persistentVolumeReclaimPolicy = 'Delete'), 'mongodb-0.reclaimPolicy: Retain -> Delete'],
    [
      'claim',
      (spec) => (spec.claimRef.name = 'data-mongodb-1'),
      'mongodb-0.claim: mongodb/data-mongodb-0 -> mongodb/data-mongodb-1',
    ],
    ['class', (spec) => (spec.storageClassName = 'x'), 'mongodb-0.storageClass: local-data -> x'],
  ])('another %s', (_, edit, expected) => expect(volume(edit)).toEqual([expected]));

  test('a larger or retained volume is no risk; a swap of two is reported for both', () => {
    expect(volume((spec) => (spec.capacity.storage = '0.5Ti'))).toEqual([]);
    expect(volume((spec) => (spec.capacity.storage = '1Pi'))).toEqual([]);
    expect(removed('PersistentVolume', 'mongodb-data-mongodb-0')).toEqual([]);
    expect(removed('StorageClass', 'local-data')).toEqual([]);
    const swapped = edited('PersistentVolume', undefined, ({ spec }) => {
      spec.claimRef.name =
        { 'data-mongodb-0': 'data-mongodb-1', 'data-mongodb-1': 'data-mongodb-0' }[spec.claimRef.name as string] ??
        spec.claimRef.name;
    });
    expect(swapped.map((each) => each.split(':')[0])).toEqual(['mongodb-0.claim', 'mongodb-1.claim']);
  });
});

describe('options of Argo CD', () => {
  test.each([
    ['Namespace', 'mongodb', 'mongodb.keep'],
    ['PersistentVolume', 'mongodb-data-mongodb-0', 'mongodb-data-mongodb-0.keep'],
    ['Application', 'mongodb', 'mongodb.keep'],
    ['StorageClass', 'local-data', 'local-data.keep'],
  ])('%s no longer kept', (kind, name, what) => {
    const drop = (object: any) => delete object.metadata.annotations['argocd.argoproj.io/sync-options'];
    expect(edited(kind, name, drop)).toEqual([`${what}: Prune=false, Delete=false -> none`]);
    expect(edited(kind, name, (object) => (object.metadata.annotations[KEEP] = 'Delete=false, Prune=false'))).toEqual(
      [],
    );
  });

  test('deletion, force and emptying are a risk only for an application with a database', () => {
    const finalizers = ['resources-finalizer.argocd.argoproj.io'];
    const application = (name: string, edit: (object: any) => void) => edited('Application', name, edit);
    expect(application('mongodb', ({ metadata }) => (metadata.finalizers = finalizers))).toEqual([
      `mongodb.finalizer: none -> ${finalizers[0]}`,
    ]);
    expect(application('mongodb', ({ spec }) => (spec.syncPolicy.automated.allowEmpty = true))).toEqual([
      'mongodb.allowEmpty: false -> true',
    ]);
    expect(application('mongodb', ({ spec }) => spec.syncPolicy.syncOptions.push('Force=true'))).toEqual([
      'mongodb.force: none -> Force=true',
    ]);
    expect(application('web', ({ metadata }) => (metadata.finalizers = finalizers))).toEqual([]);
    expect(
      edited(
        'AppProject',
        undefined,
        ({ spec }) => (spec.destinations = spec.destinations.filter(({ namespace }: any) => namespace !== 'mongodb')),
      ),
    ).toEqual(['collab.mongodb: permitted -> not permitted']);
  });
});

describe('objects of own charts', () => {
  const claim = (name: string, spec: object = {}, metadata: object = {}): Manifest => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'n', ...metadata },
    spec: { storageClassName: 'fast', resources: { requests: { storage: '10Gi' } }, ...spec },
  });
  const own = (kind: string, claimName: string, image = 'own:1'): Manifest => ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'own', namespace: 'n' },
    spec: {
      template: {
        spec: {
          containers: [{ name: 'c', image, volumeMounts: [{ name: 'd', mountPath: '/d' }] }],
          volumes: [{ name: 'd', persistentVolumeClaim: { claimName } }],
        },
      },
    },
  });
  const database = (name: string, replicas: number, more: object = {}, image = 'postgres:16.2'): Manifest => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace: 'n' },
    spec: {
      replicas,
      template: {
        spec: {
          containers: [
            {
              name: 'c',
              image,
              volumeMounts: [{ name: 'data', mountPath: '/d' }],
              env: [{ name: 'PGDATA', value: '/d/pg' }],
            },
          ],
        },
      },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }],
      ...more,
    },
  });
  const step = (before: readonly Manifest[], after: readonly Manifest[]) => told(plainStep(before, after));

  test('claims that are removed, renamed, smaller, or of another class', () => {
    expect(step([claim('a')], [])).toEqual(['a.claim: a -> none']);
    expect(step([claim('a'), own('Deployment', 'a')], [claim('b'), own('Deployment', 'b')])).toEqual([
      'a.claim: a -> none',
      'own.mounts./d: claim a -> claim b',
    ]);
    expect(step([claim('a', {}, { annotations: { [KEEP]: 'Prune=false' } })], [])).toEqual([]);
    expect(step([claim('a')], [claim('a', { resources: { requests: { storage: '9Gi' } } })])).toEqual([
      'a.size: 10Gi -> 9Gi',
    ]);
    expect(step([claim('a')], [claim('a', { resources: { requests: { storage: '11Gi' } } })])).toEqual([]);
    expect(step([claim('a')], [claim('a', { storageClassName: 'slow' })])).toEqual(['a.storageClass: fast -> slow']);
  });

  test('a database of an own chart: version, replicas, folder, rename, deletion, deletion after a stop', () => {
    expect(step([database('p', 1)], [database('p', 1, {}, 'postgres:17.0')])).toEqual(['p.version: 16.2 -> 17.0']);
    expect(step([database('p', 3)], [database('p', 2)])).toEqual(['p.replicas: 3 -> 2']);
    expect(step([database('p', 3)], [database('p', 5)])).toEqual([]);
    expect(step([database('p', 1)], [database('q', 1)])).toEqual(['p.name: p -> q']);
    expect(step([database('p', 1)], [])).toEqual(['p.state: active -> deleted']);
    expect(step([database('p', 1)], [database('p', 0)])).toEqual([]);
    expect(step([database('p', 0)], [])).toEqual([]);
    const moved = JSON.parse(JSON.stringify(database('p', 1)).replace('/d/pg', '/d/other'));
    expect(step([database('p', 1)], [moved])).toEqual(['p.PGDATA: /d/pg -> /d/other']);
  });

  test('a program with data that is not a known database', () => {
    const plain = (name: string, replicas = 1) => database(name, replicas, {}, 'files:1');
    expect(step([plain('f')], [plain('g')])).toEqual(['f.name: n/f -> n/g']);
    expect(step([plain('f')], [])).toEqual(['f.state: active -> deleted']);
    expect(step([plain('f')], [{ ...plain('f'), metadata: { name: 'f', namespace: 'm' } }])).toEqual([
      'f.namespace: n/f -> m/f',
    ]);
  });

  test('removed namespaces, definitions, classes and databases of operators', () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } };
    const kept = claim('a', {}, { annotations: { [KEEP]: 'Prune=false' } });
    expect(step([namespace, kept], [kept])).toEqual(['n.namespace: Namespace -> none']);
    expect(step([namespace], [])).toEqual([]);
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'xs.y.z' },
    };
    expect(step([definition], [])).toEqual(['xs.y.z.definition: CustomResourceDefinition -> none']);
    const cluster = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', metadata: { name: 'pg', namespace: 'n' } };
    expect(step([cluster], [])).toEqual(['pg.resource: Cluster -> none']);
    const storageClass = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'fast' },
      provisioner: 'a',
    };
    expect(step([storageClass, claim('a')], [claim('a')])).toEqual(['fast.class: fast -> none']);
    expect(step([storageClass, claim('a')], [{ ...storageClass, provisioner: 'b' }, claim('a')])).toEqual([
      'fast.provisioner: a -> b',
    ]);
    expect(step([storageClass], [])).toEqual([]);
  });

  test('the old application prunes a claim that moves to another folder', () => {
    const moved = step(
      [
        { ...claim('a'), folder: 'old' },
        { ...claim('b'), folder: 'old' },
      ],
      [
        { ...claim('a'), folder: 'new' },
        { ...claim('b'), folder: 'old' },
      ],
    );
    expect(moved).toEqual(['a.folder: old -> new']);
  });
});
