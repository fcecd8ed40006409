import { Size } from 'cdk8s';
import type { Change } from './changes';
import { homelabStep, risksOf, told } from './steps';

const disksOf = (h: any, machine = 'talos-worker-02') => h.machines[machine].dataDisks;

/** Documents keeps uploads on a disk. */
const single =
  (volume: object = {}, size = 50, machine?: string): Change =>
  (h) => {
    h.services.documents.volumes = { uploads: { path: '/uploads', disk: 'up', ...volume } };
    disksOf(h, machine).up = Size.gibibytes(size);
  };
/** Search keeps an index for each replica. */
const replicated =
  (replicas = 2, volume: object = {}, size = 5): Change =>
  (h) => {
    h.services.search.replicas = replicas;
    h.services.search.volumes = { index: { path: '/index', disk: 'ix', perReplica: true, ...volume } };
    for (let n = 0; n < replicas; n += 1) disksOf(h)[`ix-${n}`] = Size.gibibytes(size);
  };
const onClass =
  (storageClass: string, size = 50): Change =>
  (h) =>
    (h.services.documents.volumes = {
      uploads: { path: '/uploads', storageClass, size: Size.gibibytes(size) },
    });
const unconnected: Change = (h) => {
  for (const service of [...Object.values<any>(h.services), ...Object.values<any>(h.webApps)])
    service.connects = service.connects.filter((each: any) => !['documents', 'search'].includes(each.service));
};
const all =
  (...changes: readonly Change[]): Change =>
  (h) =>
    changes.forEach((change) => change(h));
const retired =
  (name: string): Change =>
  (h) =>
    (h.services[name].state = 'retired');
const removed =
  (name: string): Change =>
  (h) => {
    const { [name]: _, ...others } = h.services;
    h.services = others;
  };

/** The namespace holds no data of homelab.ts any more. */
const KEEP = 'services.keep: Prune=false, Delete=false -> none';

const cases: readonly (readonly [string, Change, readonly string[], Change])[] = [
  ['a first volume', single(), [], () => undefined],
  ['nothing', single(), [], single()],
  [
    'a volume removed',
    () => undefined,
    ['documents.mounts./uploads: claim documents-uploads -> no lasting volume', KEEP],
    single(),
  ],
  [
    'a volume renamed',
    (h) => {
      h.services.documents.volumes = { media: { path: '/uploads', disk: 'up' } };
      disksOf(h).up = Size.gibibytes(50);
    },
    ['documents.mounts./uploads: claim documents-uploads -> claim documents-media'],
    single(),
  ],
  [
    'another path',
    single({ path: '/files' }),
    ['documents.mounts./uploads: claim documents-uploads -> at /files'],
    single(),
  ],
  [
    'another folder of the volume',
    single({ folder: 'a' }),
    ['documents.mounts./uploads: claim documents-uploads -> claim documents-uploads, folder a'],
    single(),
  ],
  [
    'another disk',
    (h) => {
      h.services.documents.volumes = { uploads: { path: '/uploads', disk: 'other' } };
      disksOf(h).other = Size.gibibytes(50);
    },
    ['services-documents-uploads.path: /var/mnt/up -> /var/mnt/other'],
    single(),
  ],
  [
    'another machine',
    single({}, 50, 'talos-worker-01'),
    ['services-documents-uploads.machine: talos-worker-02 -> talos-worker-01'],
    single(),
  ],
  ['a larger disk', single({}, 60), [], single()],
  ['a smaller disk', single({}, 40), ['services-documents-uploads.size: 50Gi -> 40Gi'], single()],
  ['another storage class', onClass('b'), ['documents-uploads.storageClass: a -> b'], onClass('a')],
  ['a smaller volume of a class', onClass('a', 40), ['documents-uploads.size: 50Gi -> 40Gi'], onClass('a')],
  [
    'a storage class for a disk',
    onClass('a'),
    ['documents-uploads.storageClass: local-data -> a', 'documents-uploads.volume: services-documents-uploads -> none'],
    single(),
  ],
  [
    'a volume for each replica',
    (h) => {
      h.services.documents.volumes = { uploads: { path: '/uploads', disk: 'up', perReplica: true } };
      disksOf(h)['up-0'] = Size.gibibytes(50);
    },
    ['documents.perReplica: false -> true'],
    single(),
  ],
  [
    'one volume for all replicas',
    (h) => {
      h.services.search.volumes = { index: { path: '/index', disk: 'ix' } };
      disksOf(h).ix = Size.gibibytes(5);
    },
    ['search.perReplica: true -> false'],
    replicated(),
  ],
  ['volumes of replicas removed', () => undefined, ['search.volumes: index -> none', KEEP], replicated()],
  ['another replica', replicated(3), [], replicated()],
  ['fewer replicas', replicated(1), ['search.replicas: 2 -> 1'], replicated()],
  [
    'a volume of replicas renamed',
    (h) => {
      h.services.search.replicas = 2;
      h.services.search.volumes = { data: { path: '/index', disk: 'ix', perReplica: true } };
      Object.assign(disksOf(h), { 'ix-0': Size.gibibytes(5), 'ix-1': Size.gibibytes(5) });
    },
    ['search.claims: index -> data'],
    replicated(),
  ],
  [
    'disks of replicas on another machine',
    (h) => {
      replicated()(h);
      const { 'ix-0': first, 'ix-1': second, ...others } = disksOf(h);
      h.machines['talos-worker-02'].dataDisks = others;
      Object.assign(disksOf(h, 'talos-worker-01'), { 'ix-0': first, 'ix-1': second });
    },
    ['search-0.machine: talos-worker-02 -> talos-worker-01', 'search-1.machine: talos-worker-02 -> talos-worker-01'],
    replicated(),
  ],
  [
    'smaller disks of replicas',
    replicated(2, {}, 4),
    ['search-0.size: 5Gi -> 4Gi', 'search-1.size: 5Gi -> 4Gi'],
    replicated(),
  ],
  ['larger disks of replicas', replicated(2, {}, 6), [], replicated()],
  ['a removed service', all(unconnected, removed('documents')), ['documents.state: active -> deleted', KEEP], single()],
  [
    'a removed service of replicas',
    all(unconnected, removed('search')),
    ['search.state: active -> deleted', KEEP],
    replicated(),
  ],
  ['a removed service without volumes', all(unconnected, removed('documents')), [], () => undefined],
  [
    'a renamed service',
    all(unconnected, single(), (h) => {
      h.services.files = h.services.documents;
      delete h.services.documents;
    }),
    ['documents.name: documents -> files'],
    single(),
  ],
  [
    'a service that becomes a web app',
    all(unconnected, single(), (h) => {
      h.webApps.documents = { ...h.services.documents, host: 'documents' };
      delete h.services.documents;
    }),
    ['documents.namespace: services -> web', KEEP],
    single(),
  ],
  ['a retired service', all(unconnected, single(), retired('documents')), [], single()],
  ['a retired service of replicas', all(unconnected, replicated(), retired('search')), [], replicated()],
  ['a retired service that runs again', single(), [], all(unconnected, single(), retired('documents'))],
  [
    'fewer replicas of a retired service',
    all(unconnected, replicated(1), retired('search')),
    ['search.replicas: 2 -> 1'],
    all(unconnected, replicated(), retired('search')),
  ],
  [
    'another volume of a retired service',
    all(unconnected, retired('search'), (h) => {
      h.services.search.replicas = 2;
      h.services.search.volumes = { data: { path: '/index', disk: 'ix', perReplica: true } };
      Object.assign(disksOf(h), { 'ix-0': Size.gibibytes(5), 'ix-1': Size.gibibytes(5) });
    }),
    ['search.volumes: index -> data'],
    all(unconnected, replicated(), retired('search')),
  ],
  [
    'a retired service removed, the last with data in its namespace',
    all(unconnected, removed('documents')),
    [KEEP],
    all(unconnected, single(), retired('documents')),
  ],
  [
    'a retired service removed, beside another with data',
    all(unconnected, replicated(), removed('documents')),
    [],
    all(unconnected, replicated(), single(), retired('documents')),
  ],
];

test.each(cases)('%s', (_, after, expected, before) => {
  expect(told(homelabStep(after, before)).sort()).toEqual([...expected].sort());
});

test('the way to remove a service with data is to retire it first', () => {
  const risk = risksOf(homelabStep(all(unconnected, removed('documents')), single())).find(
    ({ what }) => what === 'documents.state',
  );
  expect(risk!.way![0]).toMatch(/^first commit: state: 'retired' in its entry of homelab.ts/);
});
