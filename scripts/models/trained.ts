import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import type { BaseModel } from '../../inventory';
import type { Context } from '../clients/context';
import { json } from '../engine/json';
import { Blocked } from '../engine/problem';
import { ROOT } from '../engine/root';
import { fileDigest, folderDigest } from './digests';
import { trainFolder } from './folders';
import { runPython } from './python';

/** What train.py writes once a training has ended: the part that an export needs. */
export interface TrainingRecord {
  readonly base: string;
  readonly revision: string;
  /** Folder of the best checkpoint. */
  readonly adapter: string;
  readonly adapterDigest: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** @throws Blocked when there is no finished training, or its weights are no longer what it wrote */
export async function finishedTraining(name: string): Promise<TrainingRecord> {
  const again = `npm run models -- train ${name}`;
  const file = join(trainFolder(name), 'training.json');
  if (!fs.existsSync(file))
    throw new Blocked(`${name} must be trained first, and there is no finished training:\n  ${again}`);
  const record: TrainingRecord = json(fs.readFileSync(file, 'utf8'), file);
  const adapter = resolve(trainFolder(name), record.adapter);
  const weights = join(adapter, 'adapters.safetensors');
  const got = fs.existsSync(weights) ? `sha256:${await fileDigest(weights)}` : 'none';
  if (got !== record.adapterDigest)
    throw new Blocked(
      `the weights of the last training must have the digest\n  ${record.adapterDigest}\nand have\n  ${got}\nThe file changed after the training (${weights}); train again:\n  ${again}`,
    );
  return { ...record, adapter };
}

/** How long the download of a base may take: 6 GB on a line of 4 Mbit/s. */
const DOWNLOAD_SECONDS = 4 * 3600;

/** Folder of a base on this machine. @throws Blocked when it is no longer what homelab.ts names */
export async function baseFolder(
  context: Pick<Context, 'commands'>,
  python: string,
  { repository, revision }: BaseModel,
): Promise<string> {
  if (!/^\.{0,2}\//.test(repository)) {
    const input = { repository, revision, offline: false };
    const { stdout } = await runPython(context, python, 'base.py', input, DOWNLOAD_SECONDS);
    return json(stdout, 'base.py').folder;
  }
  const folder = resolve(ROOT, repository);
  const got = fs.existsSync(folder) ? await folderDigest(folder) : 'no such folder';
  if (got === revision) return folder;
  throw new Blocked(
    `the base ${repository} must be the one that homelab.ts names\n  ${revision}\nand is\n  ${got}\nThe base has moved: review it, then write its digest into homelab.ts and train again`,
  );
}
