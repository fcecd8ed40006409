import { Duration } from 'cdk8s';
import { DatabaseBackup, type BackupProps } from '../../constructs/backup';
import { BackupTarget, type S3Target, type SftpTarget } from '../../constructs/backup-target';
import { Connections } from '../../constructs/connections';
import { chartIn, objectOf, objects } from './render';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE mac';
const sftp = (more: Partial<SftpTarget> = {}) =>
  BackupTarget.sftp({ host: '192.168.1.50', user: 'backup', path: '/Users/backup/homelab/', hostKeys: [KEY], ...more });
const s3 = (more: Partial<S3Target> = {}) =>
  BackupTarget.s3({ endpoint: 'https://192.168.1.60:9000', bucket: 'homelab', ...more });

function made(backup: BackupProps) {
  const chart = chartIn('db');
  const own = new DatabaseBackup(chart, 'backup', {
    backup,
    name: 'db',
    namespace: 'db',
    labels: {},
    dataPath: '/data/db',
    keeper: 'db-0',
    group: 'tags',
  });
  const connections = new Connections(chart, 'connections', { name: 'db', namespace: 'db', selector: {}, labels: {} });
  own.openFor(connections);
  const egress = objectOf(chart, 'NetworkPolicy').spec.egress;
  const env = Object.fromEntries(own.container().env!.map(({ name, value }) => [name, value]));
  return { chart, own, env, egress, files: objectOf(chart, 'ConfigMap', 'db-backup').data };
}

test('by SFTP: allows one machine and one port, with its own key and the given host key', () => {
  const { own, env, egress, files } = made({ target: sftp({ port: 2222 }) });
  expect(env.RESTIC_REPOSITORY).toBe('sftp:target:/Users/backup/homelab/db');
  expect(egress[1]).toEqual({
    to: [{ ipBlock: { cidr: '192.168.1.50/32' } }],
    ports: [{ port: 2222, protocol: 'TCP' }],
  });
  expect(egress).toHaveLength(2);
  expect(own.secret.keys).toEqual({
    password: { generate: 'alphanumeric', length: 40 },
    'ssh-key': { generate: 'ssh-ed25519' },
  });
  expect(files.known_hosts).toBe('[192.168.1.50]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE\n');
  expect(files.ssh_config).toContain('StrictHostKeyChecking yes');
});

test('by S3: the owner is asked for the access keys, and a host name needs its networks', () => {
  const { own, env, egress } = made({ target: s3({ prefix: 'home' }) });
  expect(env.RESTIC_REPOSITORY).toBe('s3:https://192.168.1.60:9000/homelab/home/db');
  expect(egress[1]).toMatchObject({ to: [{ ipBlock: { cidr: '192.168.1.60/32' } }], ports: [{ port: 9000 }] });
  expect(Object.keys(own.secret.keys)).toEqual(['password', 'access-key-id', 'secret-access-key']);
  const named = made({ target: s3({ endpoint: 'https://s3.example.org', networks: ['203.0.113.0/24'] }) });
  expect(named.egress[1]).toMatchObject({ to: [{ ipBlock: { cidr: '203.0.113.0/24' } }], ports: [{ port: 443 }] });
});

test('an NFS server is mounted by a PersistentVolume, because the restricted policy forbids NFS in a pod', () => {
  const { chart, own, egress } = made({ target: BackupTarget.nfs({ server: '192.168.1.60', path: '/export' }) });
  const volume = objectOf(chart, 'PersistentVolume');
  expect(volume.metadata).toMatchObject({ name: 'db-db-backup' });
  expect(volume.metadata.namespace).toBeUndefined();
  expect(volume.spec).toMatchObject({
    nfs: { server: '192.168.1.60' },
    claimRef: { name: 'db-backup', namespace: 'db' },
  });
  expect(own.volumes()).toContainEqual({ name: 'backup-target', persistentVolumeClaim: { claimName: 'db-backup' } });
  expect(egress).toHaveLength(1);
});

test('mounts an existing claim', () => {
  const { own, chart } = made({ target: BackupTarget.claim('shared') });
  expect(own.container().volumeMounts).toContainEqual({ name: 'backup-target', mountPath: '/target' });
  expect(objects(chart).map(({ kind }) => kind)).not.toContain('PersistentVolume');
});

test('the container mounts the data read-only, and the secret as a file', () => {
  const { own } = made({ target: sftp() });
  expect(own.container().volumeMounts).toContainEqual({ name: 'data', mountPath: '/data/db', readOnly: true });
  expect(JSON.stringify(own.container().env)).not.toContain('secretKeyRef');
});

test.each<[string, BackupProps]>([
  ['host of an SFTP target', { target: sftp({ host: 'mac.local' }) }],
  ['port of an SFTP target', { target: sftp({ port: 0 }) }],
  ['a user name', { target: sftp({ user: 'a b' }) }],
  ['path of a backup target', { target: sftp({ path: 'homelab' }) }],
  ['path of a backup target', { target: sftp({ path: '/a/../b' }) }],
  ['public keys of that machine', { target: sftp({ hostKeys: [] }) }],
  ['public keys of that machine', { target: sftp({ hostKeys: ['SHA256:abc'] }) }],
  ['must begin with https://', { target: s3({ endpoint: 'http://192.168.1.60:9000' }) }],
  ['an address without a path', { target: s3({ endpoint: '192.168.1.60:9000' }) }],
  ['a NetworkPolicy cannot hold names', { target: s3({ endpoint: 'https://s3.example.org' }) }],
  ['name of a bucket', { target: s3({ bucket: 'A' }) }],
  ['prefix must be a folder', { target: s3({ prefix: '/a/' }) }],
  ['1 hour to 7 days', { target: sftp(), every: Duration.minutes(10) }],
  ['1 hour to 7 days', { target: sftp(), every: Duration.days(8) }],
  ['keep.daily must be', { target: sftp(), keep: { daily: -1 } }],
  ['claim of a backup target', { target: BackupTarget.claim('A B') }],
])('rejects: %s', (message, backup) => {
  expect(() => made(backup)).toThrow(message);
});
