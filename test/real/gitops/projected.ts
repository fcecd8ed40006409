import * as fs from 'node:fs';
import { join } from 'node:path';

/**
 * Writes files as kubelet does for a ConfigMap: into a folder with a time in its name, to which `..data` points, and a link for
 * each file. A change swaps that one link, which is all that a program can watch.
 */
export function project(folder: string, data: Readonly<Record<string, string>>): void {
  const old = fs.existsSync(join(folder, '..data')) ? fs.readlinkSync(join(folder, '..data')) : undefined;
  const now = `..${new Date().toISOString().replace(/\W/g, '_')}`;
  fs.mkdirSync(join(folder, now), { recursive: true });
  for (const [name, text] of Object.entries(data)) fs.writeFileSync(join(folder, now, name), text);
  fs.symlinkSync(now, join(folder, '..data_tmp'));
  fs.renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const name of Object.keys(data))
    if (!fs.existsSync(join(folder, name))) fs.symlinkSync(join('..data', name), join(folder, name));
  if (old === undefined) return;
  for (const name of fs.readdirSync(join(folder, old))) if (!(name in data)) fs.unlinkSync(join(folder, name));
  fs.rmSync(join(folder, old), { recursive: true });
}
