import { backups } from '../../checks';
import { changed, renderedHomelab } from '../homelab';

const sftp = (host: string, more: object = {}) => ({
  target: { kind: 'sftp', host, user: 'backup', path: '/backup', hostKeys: ['ssh-ed25519 AAAA'] },
  ...more,
});

function found(change: (homelab: any) => void): string[] {
  const findings = backups.find({ rendering: renderedHomelab(), homelab: changed(change) });
  return findings.map(({ severity, message }) => `${severity}: ${message}`);
}

test('a database without a backup is a warning, unless homelab.ts gives a reason', () => {
  const none = (h: any) => delete h.backup;
  expect(found(none)).toEqual([
    expect.stringContaining('warning: databases.cassandra has no backup'),
    expect.stringContaining('warning: databases.mongodb has no backup'),
  ]);
  expect(found((h) => (none(h), (h.databases.mongodb.backup = false)))).toHaveLength(1);
  expect(found((h) => (none(h), (h.databases.mongodb.state = 'retired')))).toHaveLength(1);
});

test.each([
  ['the Proxmox host', sftp('proxmox')],
  ['one of its machines', sftp('192.168.1.30')],
  ['a claim', { target: { kind: 'claim', claim: 'backup' } }],
  ['a store on it', { target: { kind: 's3', endpoint: 'https://192.168.1.30:9000', bucket: 'b' } }],
])('fails on a backup target that is lost together with the databases: %s', (_what, backup: object) => {
  const set = (more: object) => (h: any) => (h.backup = { ...backup, ...more });
  expect(found(set({}))).toEqual([
    expect.stringMatching(/^error: backup.target of cassandra is /),
    expect.stringMatching(/^error: backup.target of mongodb is .*write backup.sameHost with the reason$/),
  ]);
  expect(found(set({ sameHost: 'copied away every night' }))).toEqual([]);
});

test('reports a reason that is not needed', () => {
  const own = sftp('mac', { sameHost: 'there is no other' });
  expect(found((h) => ((h.backup = sftp('mac')), (h.databases.mongodb.backup = own)))).toEqual([
    expect.stringContaining('warning: databases.mongodb.backup.sameHost is not needed'),
  ]);
});
