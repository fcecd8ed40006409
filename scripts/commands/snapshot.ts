import * as fs from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Context } from '../clients/context';
import { EXIT, Blocked } from '../engine/problem';
import { etcdSnapshot } from '../stages/talos/kubernetes';

/**
 * A copy of all that Kubernetes knows, for a nightly schedule: in .homelab/etcd/, and in a folder on another disk when one
 * is given. Secrets in it are encrypted with the key in the secrets of Talos, which the repository keeps.
 */
export async function snapshot(context: Context, [folder]: readonly string[]): Promise<number> {
  const target = folder === undefined ? undefined : resolve(folder);
  if (target !== undefined && !fs.existsSync(target))
    throw new Blocked(`${target} must be an existing folder; mount the disk, or create the folder`);
  context.commands.changing = true;
  const file = await etcdSnapshot(context.talos, 'scheduled');
  if (target !== undefined) {
    const copy = join(target, basename(file));
    fs.copyFileSync(file, `${copy}.part`);
    fs.renameSync(`${copy}.part`, copy);
  }
  console.log(target === undefined ? file : `${file}, and in ${target}`);
  return EXIT.done;
}
