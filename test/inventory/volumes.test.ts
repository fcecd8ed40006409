import { Size } from 'cdk8s';
import { defineHomelab, neededDisks } from '../../inventory';
import { changed, refusal } from '../homelab';

const disksOf = (h: any) => h.machines['talos-worker-02'].dataDisks;
/** A homelab whose service documents keeps uploads on a disk. */
const uploads = (h: any, volume: object = {}, name = 'uploads') => {
  h.services.documents.volumes = { [name]: { path: '/uploads', ...volume } };
  disksOf(h)['documents-uploads'] = Size.gibibytes(50);
};

const broken: [string, (homelab: any) => void, string][] = [
  ['volumes as a list', (h) => (h.services.documents.volumes = []), 'services.documents.volumes must be an object'],
  [
    'a volume without a path',
    (h) => uploads(h, { path: undefined }),
    'services.documents.volumes.uploads.path must be an absolute path that overlaps no other mount, got nothing; write it like',
  ],
  ['a path that is not absolute', (h) => uploads(h, { path: 'uploads' }), 'must be an absolute path'],
  ['a path over the image', (h) => uploads(h, { path: '/usr' }), 'a mount would hide the files of the image'],
  [
    'a path over /tmp',
    (h) => uploads(h, { path: '/tmp/up' }),
    '"/tmp/up, which is inside or contains /tmp"; choose another folder',
  ],
  [
    'a misspelt field',
    (h) => uploads(h, { perReplicas: true }),
    'services.documents.volumes.uploads.perReplicas must be a known property',
  ],
  ['a name in capitals', (h) => uploads(h, {}, 'Uploads'), 'must be a DNS label of at most 20 characters'],
  [
    'a name that the pod already has',
    (h) => uploads(h, {}, 'tmp'),
    'must differ from other volumes of the pod, got "tmp"',
  ],
  ['a folder with a path', (h) => uploads(h, { folder: 'a/b' }), '.folder must be the name of one folder, got "a/b"'],
  ['a folder that leads up', (h) => uploads(h, { folder: '..' }), '.folder must be the name of one folder, got ".."'],
  ['perReplica as text', (h) => uploads(h, { perReplica: 'yes' }), '.perReplica must be true or false, got "yes"'],
  [
    'a size of a disk twice',
    (h) => uploads(h, { size: Size.gibibytes(50) }),
    'services.documents.volumes.uploads.size must be left out for a volume on a disk, got 50Gi; the size is that of the disk in dataDisks',
  ],
  [
    'a storage class without a size',
    (h) => uploads(h, { storageClass: 'nfs' }),
    'services.documents.volumes.uploads.size must be set for a volume of a storage class, got nothing; write size: Size.gibibytes(50)',
  ],
  [
    'a storage class and a disk',
    (h) => uploads(h, { storageClass: 'nfs', disk: 'x', size: Size.gibibytes(1) }),
    '.disk must be left out for a volume of a storage class',
  ],
  [
    'the class of disks by name',
    (h) => uploads(h, { storageClass: 'local-data', size: Size.gibibytes(1) }),
    '.storageClass must be one that makes volumes, got "local-data"; leave storageClass and size out',
  ],
  [
    'a size as a number',
    (h) => uploads(h, { storageClass: 'nfs', size: 50 }),
    '.size must be a Size of at least 1 KiB, got 50',
  ],
  [
    'several pods on one volume',
    (h) => {
      uploads(h);
      h.services.documents.replicas = 2;
    },
    'services.documents.replicas must be 1 with a volume that pods share, got 2; set volumes.uploads.perReplica: true',
  ],
  [
    'volumes of both kinds',
    (h) => {
      uploads(h);
      h.services.documents.volumes.index = { path: '/index', perReplica: true };
    },
    'services.documents.volumes must all have perReplica, or none, got "uploads and index"',
  ],
  [
    'a volume without its disk',
    (h) => {
      uploads(h);
      delete disksOf(h)['documents-uploads'];
    },
    'services.documents.volumes.uploads must have a data disk, got "no disk for documents-uploads"; add dataDisks: { \'documents-uploads\': Size.gibibytes(100) } to the machine',
  ],
  [
    'a replica without its disk',
    (h) => {
      uploads(h, { perReplica: true, disk: 'up' });
      h.services.documents.replicas = 2;
      disksOf(h)['up-0'] = Size.gibibytes(50);
      delete disksOf(h)['documents-uploads'];
    },
    'must have a data disk, got "no disk for up-1"',
  ],
  [
    'replicas with disks of two sizes',
    (h) => {
      uploads(h, { perReplica: true, disk: 'up' });
      h.services.documents.replicas = 2;
      Object.assign(disksOf(h), { 'up-0': Size.gibibytes(50), 'up-1': Size.gibibytes(60) });
    },
    'services.documents.volumes.uploads must have disks of one size, got "up-0 50Gi, up-1 60Gi"',
  ],
  [
    'two volumes on one disk',
    (h) => {
      uploads(h);
      h.services.chat.volumes = { media: { path: '/media', disk: 'documents-uploads' } };
    },
    'services.chat.volumes.media must have a disk of its own, got "documents-uploads, which services.documents.volumes.uploads has"',
  ],
  [
    'a disk of a database',
    (h) => (h.services.chat.volumes = { media: { path: '/media', disk: 'mongodb-0' } }),
    'services.chat.volumes.media must have a disk of its own, got "mongodb-0, which databases.mongodb has"',
  ],
  [
    'a disk of no volume',
    (h) => (disksOf(h)['documents-upload'] = Size.gibibytes(1)),
    'data disk documents-upload of talos-worker-02 must belong to a pod of a database or a volume of a service',
  ],
  [
    'a serial that virtio would cut',
    (h) => (h.services.notifications.volumes = { uploads: { path: '/uploads' } }),
    'the disk of services.notifications.volumes.uploads must have a name of at most 20 characters, which is all that virtio shows of it, got "notifications-uploads"; set volumes.uploads.disk to a name of at most 20 characters, like notificati',
  ],
  [
    'claims of one name',
    (h) => {
      const volume = (disk: string) => ({ path: '/a', disk });
      h.services['chat-old'] = { connects: [], volumes: { media: volume('a') } };
      h.services.chat.volumes = { 'old-media': volume('b') };
      Object.assign(disksOf(h), { a: Size.gibibytes(1), b: Size.gibibytes(1) });
    },
    'the claim of services.chat-old.volumes.media must be used once, got "services/chat-old-media, which the claim of services.chat.volumes.old-media has"',
  ],
  [
    'scratch as a list',
    (h) => (h.services.chat.scratch = ['/tmp']),
    'services.chat.scratch must be an object of sizes',
  ],
  [
    'scratch without a unit',
    (h) => (h.services.chat.scratch = { '/var/cache/app': 200 }),
    'services.chat.scratch["/var/cache/app"] must be a Size of at least 1 KiB, got 200',
  ],
  [
    'scratch over a device',
    (h) => (h.services.chat.scratch = { '/dev/null': Size.mebibytes(1) }),
    'choose a subfolder',
  ],
  [
    'shared memory on a disk',
    (h) => (h.services.chat.scratch = { '/dev/shm': Size.mebibytes(1) }),
    'services.chat.scratch["/dev/shm"] must be in memory, got 1Mi; write { memory: Size.mebibytes(64) }',
  ],
  [
    'more shared memory than memory',
    (h) => {
      h.services.chat.memory = Size.mebibytes(256);
      h.services.chat.scratch = { '/dev/shm': { memory: Size.mebibytes(256) } };
    },
    'scratch folders of services.chat in memory must leave memory to its program, got "256 MiB of 256 MiB"',
  ],
  [
    'a volume over scratch',
    (h) => {
      uploads(h);
      h.services.documents.scratch = { '/uploads/tmp': Size.mebibytes(1) };
    },
    'each path in services.documents.volumes, sharedVolumes, scratch, files and secrets must be an absolute path that overlaps no other mount',
  ],
  ['a state of its own', (h) => (h.services.chat.state = 'off'), 'services.chat.state must be one of active, retired'],
  [
    'a retired service that keeps nothing',
    (h) => (h.services.presence.state = 'retired'),
    'services.presence.state must be active without volumes, got "retired"; remove the service: it keeps no data',
  ],
  [
    'a connection to a retired service',
    (h) => {
      uploads(h);
      h.services.documents.state = 'retired';
    },
    'services.gateway.connects[2].service must be an active service of this homelab, got "documents, which is retired"; set services.documents.state to \'active\', or remove the connection',
  ],
];

test.each(broken)('refuses %s', (_, breakIt, message) => {
  expect(refusal(breakIt)).toContain(message);
});

test('a disk belongs to a pod of a database, to a volume, or to the volume of a replica', () => {
  const homelab = defineHomelab(
    changed((h) => {
      uploads(h);
      h.services.search.replicas = 2;
      h.services.search.volumes = { index: { path: '/index', perReplica: true } };
      h.webApps.web.volumes = { nas: { path: '/nas', storageClass: 'nfs', size: Size.gibibytes(1) } };
      Object.assign(disksOf(h), { 'search-index-0': Size.gibibytes(5), 'search-index-1': Size.gibibytes(5) });
    }),
  );
  const needed = neededDisks(homelab).filter(({ place }) => !place.startsWith('databases'));
  expect(needed).toEqual([
    {
      disk: 'documents-uploads',
      namespace: 'services',
      claim: 'documents-uploads',
      owner: 'documents',
      place: 'services.documents.volumes.uploads',
    },
    ...[0, 1].map((ordinal) => ({
      disk: `search-index-${ordinal}`,
      namespace: 'services',
      claim: `index-search-${ordinal}`,
      owner: 'search',
      place: 'services.search.volumes.index',
    })),
  ]);
});
