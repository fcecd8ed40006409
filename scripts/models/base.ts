import * as fs from 'node:fs';
import { resolve } from 'node:path';
import type { BaseModel } from '../../inventory';
import type { Context } from '../clients/context';
import { CommandFailed } from '../engine/commands';
import { json } from '../engine/json';
import { Blocked } from '../engine/problem';
import { ROOT } from '../engine/root';
import { folderDigest } from './digests';
import { runPython } from './python';

/** Time to download 16 GB on a line of 8 Mbit/s; a download that ends early goes on with the next run. */
const DOWNLOAD_SECONDS = 5 * 3600;
/** Of our Python scripts: what they were told cannot be done, and the last line of standard error says why. */
const REFUSED = 3;

/** Whether the base is a folder on this machine, and not a repository of Hugging Face. */
export function isFolder({ repository }: BaseModel): boolean {
  return /^\.{0,2}\//.test(repository);
}

/** Folder of a base that is one on this machine. */
export function localFolder({ repository }: BaseModel): string {
  return resolve(ROOT, repository);
}

/**
 * Folder of the base at exactly its revision, verified; a repository is downloaded once, into the cache of huggingface_hub.
 * @throws Blocked when it moved, changed or cannot be had
 */
export async function baseFolder(context: Pick<Context, 'commands'>, python: string, base: BaseModel): Promise<string> {
  if (isFolder(base)) return verifiedFolder(base);
  console.error(
    `base: ${base.repository} at ${base.revision.slice(0, 12)} (verified, and downloaded when it is not here)`,
  );
  const { repository, revision } = base;
  const input = { repository, revision, offline: process.env.HF_HUB_OFFLINE === '1' };
  const { stdout } = await orRefused(() => runPython(context, python, 'base.py', input, DOWNLOAD_SECONDS));
  const { folder } = json(stdout, 'base.py');
  return folder as string;
}

async function verifiedFolder(base: BaseModel): Promise<string> {
  const folder = localFolder(base);
  if (!fs.existsSync(`${folder}/config.json`))
    throw new Blocked(`base.repository must be a folder with config.json and model.safetensors, got ${folder}`);
  const digest = await folderDigest(folder);
  if (digest !== base.revision)
    throw new Blocked(
      `base.revision must be the digest of ${base.repository}, got ${base.revision}, and the folder has\n  ${digest}\nit changed; find out why, and only then write this digest`,
    );
  return folder;
}

/** @throws Blocked with the reason when a script of ours refuses */
export async function orRefused<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof CommandFailed) || error.output.code !== REFUSED) throw error;
    throw new Blocked(error.output.stderr.trim().split('\n').at(-1)!);
  }
}
