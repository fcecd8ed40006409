import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publicHalf, sshKey } from '../../scripts/secrets/ssh-key';

test('ssh reads the generated key, and derives the same public key', () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'ssh-key-'));
  const file = join(folder, 'key');
  const key = sshKey('mongodb-backup');
  fs.writeFileSync(file, key, { mode: 0o600 });
  const shown = execFileSync('ssh-keygen', ['-y', '-P', '', '-f', file], { encoding: 'utf8' }).trim();
  fs.rmSync(folder, { recursive: true });
  expect(shown).toBe(publicHalf(key, 'mongodb-backup'));
  expect(sshKey('mongodb-backup')).not.toBe(key);
});

test('another text has no public key', () => {
  expect(publicHalf('text', 'x')).toBeUndefined();
  expect(
    publicHalf('-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', 'x'),
  ).toBeUndefined();
});
