import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesBelow, writeRendered } from '../../scripts/commands/rendered';

test('writes the files of machines, and prints what changed', () => {
  const folder = join(fs.mkdtempSync(join(tmpdir(), 'rendered-')), 'rendered');
  const write = (files: Record<string, string>) => writeRendered(new Map(Object.entries(files)), folder);
  expect(write({ 'vms/a.sh': '1', 'talos/b.yaml': '1' })).toBe('scripts/rendered/: 2 added (talos/b.yaml, vms/a.sh)');
  expect(write({ 'vms/a.sh': '1', 'talos/b.yaml': '1' })).toBeUndefined();
  expect(write({ 'vms/a.sh': '2', 'talos/c.yaml': '1' })).toBe(
    'scripts/rendered/: 1 added (talos/c.yaml), 1 changed (vms/a.sh), 1 removed (talos/b.yaml)',
  );
  expect(filesBelow(folder).sort()).toEqual(['talos/c.yaml', 'vms/a.sh']);
  expect(fs.readFileSync(join(folder, 'vms/a.sh'), 'utf8')).toBe('2');
});
