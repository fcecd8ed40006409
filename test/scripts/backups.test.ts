import type { Backup, Database, Homelab } from '../../inventory';
import { backupKeys } from '../../scripts/commands/doctor-here';
import { backupFinding } from '../../scripts/verify/backups';

const NOW = Date.parse('2026-11-28T12:00:00Z');
const ago = (hours: number) => new Date(NOW - hours * 3600_000).toISOString();
const status = (hours: number | null, error: string | null = null) => ({
  newest: hours === null ? null : ago(hours),
  tried: null,
  error,
});

function found(kind: 'mongodb' | 'cassandra', ...all: (ReturnType<typeof status> | undefined)[]): string {
  const pods = new Map(all.map((each, index) => [`db-${index}`, each]));
  const { state, saw } = backupFinding('db', { kind } as Database, {} as Backup, pods, NOW);
  return `${state}: ${saw}`;
}

test('the age of a MongoDB backup is that of the newest, of Cassandra that of the oldest among its nodes', () => {
  expect(found('mongodb', status(3), status(30), undefined)).toBe('good: 3.0 h old');
  expect(found('cassandra', status(3), status(30))).toBe('good: 30.0 h old');
});

test('a backup that is older than two intervals is bad, with the reason', () => {
  expect(found('mongodb', status(48), status(49, 'connection refused'))).toMatch(
    /^warning: 48.0 h old; db-1: connection refused$/,
  );
  expect(found('mongodb', status(48.1, 'connection refused'))).toBe(
    'bad: 48.1 h old, and one is due every 24 h; db-0: connection refused',
  );
});

test('no backup is bad, and so is a Cassandra node without information', () => {
  expect(found('mongodb', status(null, 'Permission denied'))).toBe(
    'bad: some parts have no backup yet; db-0: Permission denied',
  );
  expect(found('cassandra', status(3), undefined)).toBe('bad: some parts have no backup yet; db-1 tells nothing');
});

test('does not accept the host key of the example', () => {
  const database = { kind: 'mongodb' } as Database;
  const saw = (backup: object | undefined) =>
    backupKeys({ databases: { db: database }, backup } as unknown as Homelab).saw;
  const target = (key: string) => ({ target: { kind: 'sftp', hostKeys: [`ssh-ed25519 ${key}`] } });
  expect(saw(target('AAAAEXAMPLE00'))).toBe('the key of the example is still there');
  expect(saw(target('AAAAC3Nz'))).toBe('ssh-ed25519');
  expect(saw(undefined)).toBe('no database is stored by SSH');
});
