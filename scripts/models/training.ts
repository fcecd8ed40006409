import * as fs from 'node:fs';
import { join } from 'node:path';

/** A point of the loss curve. */
export interface Loss {
  readonly iteration: number;
  /** Mean training loss since the previous point. The first point has none. */
  readonly train?: number;
  readonly valid: number;
}

/** Content of training.json, which a finished training writes. */
export interface TrainingResult {
  readonly name: string;
  readonly base: string;
  readonly revision: string;
  readonly license: string;
  /** All values of config.yaml. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly data: { readonly digest: string; readonly train: number; readonly valid: number };
  readonly iterations: number;
  /** The checkpoint with the lowest validation loss. `export` uses it. */
  readonly best: { readonly iteration: number; readonly loss: number };
  readonly losses: readonly Loss[];
  readonly seconds: number;
  /** Bytes. */
  readonly peakMemory: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Folder of the best checkpoint, relative to the training's folder. */
  readonly adapter: string;
  readonly adapterDigest: string;
}

/** What `train` does with the files of an earlier run. */
export type Decision =
  | { readonly what: 'start' }
  | { readonly what: 'resume'; readonly iteration: number }
  | { readonly what: 'done' }
  /** The settings changed. The training with the old settings is lost. */
  | { readonly what: 'restart'; readonly iteration: number; readonly finished: boolean };

/** @param configText text of config.yaml for the current settings */
export function decide(folder: string, configText: string): Decision {
  const config = join(folder, 'config.yaml');
  const iteration = lastCheckpoint(folder) ?? 0;
  const finished = fs.existsSync(join(folder, 'training.json'));
  if (!fs.existsSync(config)) return { what: 'start' };
  if (fs.readFileSync(config, 'utf8') !== configText)
    return iteration === 0 && !finished ? { what: 'start' } : { what: 'restart', iteration, finished };
  if (finished) return { what: 'done' };
  return iteration === 0 ? { what: 'start' } : { what: 'resume', iteration };
}

/** Iteration of the last complete checkpoint. */
export function lastCheckpoint(folder: string): number | undefined {
  const checkpoints = join(folder, 'checkpoints');
  if (!fs.existsSync(checkpoints)) return undefined;
  const whole = fs.readdirSync(checkpoints).filter((name) => /^\d+$/.test(name));
  return whole.length === 0 ? undefined : Math.max(...whole.map(Number));
}
