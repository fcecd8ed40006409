import * as fs from 'node:fs';
import { join } from 'node:path';

/** A loss curve's point. */
export interface Loss {
  readonly iteration: number;
  /** Mean of the batches since the point before; none at the first. */
  readonly train?: number;
  readonly valid: number;
}

/** What training.json says of a training that has ended. */
export interface TrainingResult {
  readonly name: string;
  readonly base: string;
  readonly revision: string;
  readonly license: string;
  /** All values of config.yaml. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly data: { readonly digest: string; readonly train: number; readonly valid: number };
  readonly iterations: number;
  /** The checkpoint with the lowest loss of validation: what is exported. */
  readonly best: { readonly iteration: number; readonly loss: number };
  readonly losses: readonly Loss[];
  readonly seconds: number;
  /** Bytes. */
  readonly peakMemory: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Folder of the best checkpoint, from the training's folder. */
  readonly adapter: string;
  readonly adapterDigest: string;
}

/** What `train` does with what an earlier run left. */
export type Decision =
  | { readonly what: 'begin' }
  | { readonly what: 'go on'; readonly iteration: number }
  | { readonly what: 'done' }
  /** Settings changed: what was trained with the old ones is lost. */
  | { readonly what: 'begin anew'; readonly iteration: number; readonly finished: boolean };

/** @param configText settings as they are now, as in config.yaml */
export function decide(folder: string, configText: string): Decision {
  const config = join(folder, 'config.yaml');
  const iteration = lastCheckpoint(folder) ?? 0;
  const finished = fs.existsSync(join(folder, 'training.json'));
  if (!fs.existsSync(config)) return { what: 'begin' };
  if (fs.readFileSync(config, 'utf8') !== configText)
    return iteration === 0 && !finished ? { what: 'begin' } : { what: 'begin anew', iteration, finished };
  if (finished) return { what: 'done' };
  return iteration === 0 ? { what: 'begin' } : { what: 'go on', iteration };
}

/** Iteration of the last whole checkpoint. */
export function lastCheckpoint(folder: string): number | undefined {
  const checkpoints = join(folder, 'checkpoints');
  if (!fs.existsSync(checkpoints)) return undefined;
  const whole = fs.readdirSync(checkpoints).filter((name) => /^\d+$/.test(name));
  return whole.length === 0 ? undefined : Math.max(...whole.map(Number));
}
