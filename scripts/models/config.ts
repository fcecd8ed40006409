import { stringify } from 'yaml';
import { trainingSettings, type Homelab, type MacHost, type TunedModel } from '../../inventory';
import { Blocked } from '../engine/problem';

/** Settings of a training and values derived from them. */
export interface TrainingConfig {
  readonly settings: ReturnType<typeof trainingSettings>;
  /** Iterations between two validations. Each validation saves a checkpoint, so a kill loses at most this many. */
  readonly every: number;
  /** Text of config.yaml. The same text resumes a training; another text starts it from the beginning. */
  readonly text: string;
}

/** Twenty points of the loss curve, at most 100 iterations apart (the default save_every of mlx_lm.lora). */
const VALIDATIONS = 20;
const MOST_BETWEEN = 100;

export function trainingConfig({ base, training }: TunedModel): TrainingConfig {
  const settings = trainingSettings(training);
  const every = Math.min(MOST_BETWEEN, Math.ceil(settings.iterations / VALIDATIONS));
  const lora =
    settings.kind === 'lora' ? { lora_parameters: { rank: settings.rank, scale: settings.scale, dropout: 0 } } : {};
  // Uses the option names of mlx_lm.lora, which can read this file too: mlx_lm.lora -c config.yaml
  const config = {
    model: base.repository,
    revision: base.revision,
    train: true,
    data: training.data,
    data_digest: training.digest,
    fine_tune_type: settings.kind,
    ...lora,
    num_layers: settings.layers,
    optimizer: 'adam',
    learning_rate: settings.learningRate,
    batch_size: settings.batch,
    iters: settings.iterations,
    max_seq_length: settings.maxSequence,
    seed: settings.seed,
    grad_checkpoint: settings.gradientCheckpoint,
    val_batches: 25,
    steps_per_eval: every,
    save_every: every,
    patience: settings.patience,
  };
  return { settings, every, text: stringify(config) };
}

/** The Mac that trains. @throws Blocked unless homelab.ts names exactly one */
export function trainingHost({ hosts }: Homelab, name: string, { training }: TunedModel): readonly [string, MacHost] {
  const macs = Object.entries(hosts).filter((entry): entry is [string, MacHost] => entry[1].kind === 'mac');
  const found = training.host === undefined ? macs : macs.filter(([each]) => each === training.host);
  if (found.length === 1) return found[0]!;
  const names = macs.map(([each]) => each).join(', ') || 'none';
  throw new Blocked(
    `training.host of ${name} must name one Mac of homelab.ts (there: ${names}), got ${training.host ?? 'nothing'}`,
  );
}
