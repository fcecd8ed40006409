import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { architectureOfConfig, trainingMemory, type Training, type TunedModel } from '../../../inventory';
import { mlxPython } from './binaries';
import type { ModelPart } from './suite';

/** Our estimate of the memory of a training, against the peak of MLX on a CPU. */
export const TRAINING_PEAK: ModelPart = { name: 'training-peak', seconds: 60, run };

/** How far ours may lie above the peak; it may never lie below. MLX on a Mac keeps more buffers than on a CPU. */
const ABOVE = 2;

const CONFIG = {
  model_type: 'llama',
  hidden_size: 256,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 32,
  intermediate_size: 768,
  vocab_size: 4096,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
};

type Settings = Pick<Training, 'kind' | 'layers' | 'rank' | 'batch' | 'maxSequence' | 'gradientCheckpoint'>;
interface Case {
  readonly config: typeof CONFIG;
  readonly training: Settings;
}

function one(change: Settings, config: Partial<typeof CONFIG> = {}): Case {
  const training = { kind: 'lora', layers: 4, rank: 8, batch: 2, maxSequence: 256, gradientCheckpoint: true } as const;
  return { config: { ...CONFIG, ...config }, training: { ...training, ...change } };
}

/** Without gradient checkpoints first: mlx_lm turns them on for a class, and they stay on in that process. */
const CASES: readonly Case[] = [
  one({ gradientCheckpoint: false }),
  one({ gradientCheckpoint: false, batch: 1, maxSequence: 512 }),
  one({}),
  one({ kind: 'full' }),
  one({ batch: 1 }, { vocab_size: 32000 }),
];

async function run({ tally, laps }: Parameters<ModelPart['run']>[0]): Promise<void> {
  const peaks = execFileSync(join(mlxPython(), 'bin', 'python'), [resolve(__dirname, 'peak.py')], {
    input: JSON.stringify(CASES),
    encoding: 'utf8',
    timeout: 600_000,
  })
    .trim()
    .split('\n')
    .map((line): number => JSON.parse(line).peak);
  tally.check('each training has a peak', peaks.length === CASES.length, String(peaks));
  const ratios = peaks.map((peak, at) => {
    const { config, training } = CASES[at]!;
    const model = { base: { repository: 'someone/base-bf16' }, training } as unknown as TunedModel;
    const { total, activations } = trainingMemory(architectureOfConfig(config), model);
    const what = `${training.kind}, ${training.batch} x ${training.maxSequence} tokens, vocabulary ${config.vocab_size}, ${training.gradientCheckpoint ? 'with' : 'without'} checkpoints`;
    const ratio = total / peak;
    tally.check(
      `memory of a training (${what}) is from 1 to ${ABOVE} of its peak`,
      ratio >= 1 && ratio <= ABOVE,
      String(ratio),
    );
    tally.check(`an estimate without activations is noticed (${what})`, total - activations < peak);
    return ratio;
  });
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  laps.lap(`memory of ${CASES.length} trainings against MLX on a CPU: ${range} of its peak`);
}
