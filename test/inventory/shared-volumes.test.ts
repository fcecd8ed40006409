import { Size } from 'cdk8s';
import { budgetRows } from '../../checks';
import { neededDisks } from '../../inventory';
import { changed, refusal, renderedHomelab } from '../homelab';

const disksOf = (h: any, machine = 'talos-worker-02') => h.machines[machine].dataDisks;

/** A job that mounts the uploads of the service documents. */
const shared = (h: any, more: object = {}, mount: object = {}, path = '/uploads') => {
  h.services.documents.volumes = { uploads: { path: '/uploads', disk: 'up' } };
  disksOf(h).up = Size.gibibytes(50);
  h.services.copy = {
    ...{ kind: 'job', schedule: '30 3 * * *', image: 'registry.example.org/copy:1.0.0', connects: [] },
    sharedVolumes: { [path]: { of: 'documents', volume: 'uploads', ...mount } },
    ...more,
  };
};

const broken: [string, (homelab: any) => void, string][] = [
  [
    'a list',
    (h) => shared(h, { sharedVolumes: [] }),
    'services.copy.sharedVolumes must be an object of volumes by path',
  ],
  ['a relative path', (h) => shared(h, {}, {}, 'uploads'), 'services.copy.sharedVolumes must be an absolute path'],
  ['a path in /tmp', (h) => shared(h, {}, {}, '/tmp/up'), '/tmp/up, which is inside or contains /tmp'],
  ['a misspelt field', (h) => shared(h, {}, { readonly: true }), '.readonly must be a known property'],
  [
    'an unknown service',
    (h) => shared(h, {}, { of: 'document' }),
    'services.copy.sharedVolumes["/uploads"].of must be another service with volumes, got "document" (allowed: documents); did you mean documents?',
  ],
  [
    'a service without volumes',
    (h) => shared(h, {}, { of: 'search' }),
    'must be another service with volumes, got "search"',
  ],
  ['itself', (h) => shared(h, {}, { of: 'copy' }), 'must be another service with volumes, got "copy"'],
  [
    'an unknown volume',
    (h) => shared(h, {}, { volume: 'upload' }),
    '.volume must be a volume of documents, got "upload" (allowed: uploads); did you mean uploads?',
  ],
  [
    'a retired service',
    (h) => (shared(h), (h.services.documents.state = 'retired'), (h.services.documents.replicas = undefined)),
    'got "documents, which is retired"; set services.documents.state to \'active\', or remove the mount',
  ],
  [
    'another user',
    (h) => shared(h, { user: 999 }),
    'must be mounted by the user that owns its files, 10001, got 999; set user: 10001',
  ],
  [
    'a volume of each replica',
    (h) => {
      shared(h);
      h.services.documents.volumes.uploads.perReplica = true;
      disksOf(h)['up-0'] = Size.gibibytes(50);
      delete disksOf(h).up;
    },
    'must be a volume that its service has once, got "documents.volumes.uploads, which is one for each replica"',
  ],
  [
    'a volume of a storage class',
    (h) => {
      shared(h);
      h.services.documents.volumes.uploads = { path: '/uploads', storageClass: 'nfs', size: Size.gibibytes(5) };
      delete disksOf(h).up;
    },
    'must be a disk of a machine, got "documents.volumes.uploads, which a storage class makes"',
  ],
  [
    'a job of another namespace',
    (h) => {
      shared(h);
      h.webApps.copy = h.services.copy;
      delete h.services.copy;
    },
    '.of must be a service of namespace web, got "documents, which runs in namespace services"; move copy to services',
  ],
  [
    'disks of two machines',
    (h) => {
      shared(h, { kind: 'worker', schedule: undefined, volumes: { index: { path: '/index', disk: 'ix' } } });
      disksOf(h, 'talos-worker-01').ix = Size.gibibytes(5);
    },
    'must be disks of one machine, with the volumes of copy itself, got "ix on talos-worker-01, up on talos-worker-02"',
  ],
  [
    'a job among web apps without a volume of them',
    (h) => (shared(h), (h.webApps.tidy = { ...h.services.copy, sharedVolumes: undefined })),
    'webApps.tidy.kind must be server, got "job"; move it to services',
  ],
  [
    'a job with a host',
    (h) => (shared(h), (h.webApps.copy2 = { ...h.services.copy, host: 'copy' })),
    'webApps.copy2.host must be left out of a job: it listens on no port, got "copy"',
  ],
];

test.each(broken)('refuses %s', (_, change, message) => {
  expect(refusal(change)).toContain(message);
});

test('a job runs on the machine of the disk, which is needed once', () => {
  const homelab = changed(shared);
  expect(neededDisks(homelab).filter(({ disk }) => disk === 'up')).toHaveLength(1);
  const rendering = renderedHomelab(shared);
  const rows = budgetRows(rendering, homelab).filter(({ workload }) => workload === 'services/copy');
  expect(new Set(rows.map(({ node }) => node))).toEqual(new Set(['talos-worker-02']));
});
