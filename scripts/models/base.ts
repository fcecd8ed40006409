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

/** Time to download 16 GB at 8 Mbit/s. The next run resumes a download that was cut off. */
const DOWNLOAD_SECONDS = 5 * 3600;
/** Exit code of our Python scripts for a problem that the user must fix. The last line of standard error is the reason. */
const REFUSED = 3;

/** Whether the base is a local folder, not a repository on Hugging Face. */
export function isFolder({ repository }: BaseModel): boolean {
  return /^\.{0,2}\//.test(repository);
}

/** Path of a base that is a local folder. */
export function localFolder({ repository }: BaseModel): string {
  return resolve(ROOT, repository);
}

/**
 * Returns the verified folder of the base at its revision. Downloads a repository once, into the cache of huggingface_hub.
 * @throws Blocked when the revision is gone, a file changed or the download failed
 */
export async function baseFolder(context: Pick<Context, 'commands'>, python: string, base: BaseModel): Promise<string> {
  if (isFolder(base)) return verifiedFolder(base);
  console.error(
    `base: ${base.repository} at ${base.revision.slice(0, 12)} (verifies it; downloads it first if it is not cached)`,
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
      `base.revision must be the digest of ${base.repository}, got\n  ${base.revision}\nThe folder has the digest\n  ${digest}\nThe folder changed. Find out why before you write its digest into homelab.ts.`,
    );
  return folder;
}

/** @throws Blocked with the reason when one of our scripts exits with REFUSED */
export async function orRefused<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof CommandFailed) || error.output.code !== REFUSED) throw error;
    throw new Blocked(error.output.stderr.trim().split('\n').at(-1)!);
  }
}
