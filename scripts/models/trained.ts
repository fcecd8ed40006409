import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { json } from '../engine/json';
import { Blocked } from '../engine/problem';
import { fileDigest } from './digests';
import { trainFolder } from './folders';
import type { TrainingResult } from './training';

/** @throws Blocked when there is no finished training, or its weights changed since */
export async function finishedTraining(name: string): Promise<TrainingResult> {
  const again = `npm run models -- train ${name}`;
  const file = join(trainFolder(name), 'training.json');
  if (!fs.existsSync(file)) throw new Blocked(`${name} has no finished training. Train it first:\n  ${again}`);
  const record: TrainingResult = json(fs.readFileSync(file, 'utf8'), file);
  const adapter = resolve(trainFolder(name), record.adapter);
  const weights = join(adapter, 'adapters.safetensors');
  const got = fs.existsSync(weights) ? `sha256:${await fileDigest(weights)}` : 'none';
  if (got !== record.adapterDigest)
    throw new Blocked(
      `the weights of the last training must have the digest\n  ${record.adapterDigest}\ngot\n  ${got}\nThis file changed after the training:\n  ${weights}\nTrain again:\n  ${again}`,
    );
  return { ...record, adapter };
}
