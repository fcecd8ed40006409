import { GIB } from '../values/quantity';
import { layerWeights } from './model-weights';
import { trainingSettings, type ModelArchitecture, type Training, type TunedModel } from './models';

/** Memory of a training with mlx_lm.lora and of the export after it, in bytes. */
export interface TrainingMemory {
  /** Weights that the training starts from. */
  readonly base: number;
  /** Weights that are trained, their gradients, and two moments of Adam. */
  readonly trained: number;
  /** What the backward pass needs of the forward pass. */
  readonly activations: number;
  /** All of these together, in bytes, while it trains. */
  readonly total: number;
  /** Base and fused weights at the same time. */
  readonly exported: number;
}

/**
 * Memory that macOS lets the GPU use (recommendedMaxWorkingSetSize of Metal): two thirds up to 32 GiB, three quarters of more.
 * Logs of llama.cpp say so: 10922.67 MiB of 16 GiB (ise-uiuc/magicoder#19; on an M4 ggml-org/llama.cpp#11083), 21845 MiB of 32 GiB
 * (ollama/ollama#434), 49152 MiB of 64 GiB (ggml-org/llama.cpp#1870), 73728 MiB of 96 GiB (#3213 there). That the step lies right
 * above 32 GiB is recalled. macOS 26 gives more of a large memory: 107.5 of 128 GiB (antirez/ds4#893).
 */
export function metalLimit(memory: number): number {
  return memory * (memory > 32 * GIB ? 3 / 4 : 2 / 3);
}

/** Memory of a training: an upper bound, because MLX frees buffers late. */
export function trainingMemory(architecture: ModelArchitecture, { base, training }: TunedModel): TrainingMemory {
  const { parameters, layers } = architecture;
  const ofLayer = layerWeights(architecture);
  const count = trainingSettings(training).layers;
  const trainedLayers = count < 0 ? layers : Math.min(count, layers);
  const bits = training.kind === 'full' ? 16 : baseBits(base.repository);
  const weights = (parameters * bits) / 8;
  const inLayers = trainedLayers * (ofLayer.attention + ofLayer.feedForward);
  const trained =
    training.kind === 'full' ? inLayers * BYTES_OF_FULL : adapterWeights(architecture, training, trainedLayers) * 16;
  const activations = activationBytes(architecture, training, trainedLayers);
  const fused = (training.kind === 'full' ? inLayers : bits < 16 ? parameters : inLayers) * 2;
  const total = weights + trained + activations;
  return { base: weights, trained, activations, total, exported: weights + fused };
}

/** bf16: gradient, two moments of Adam, and the new weight before the old one is free. */
const BYTES_OF_FULL = 8;

/** Bits of a weight of MLX, with scale and bias of each group of 64 in 16 bits. */
function baseBits(repository: string): number {
  const bits = /[-_](\d)-?bit(?:$|[-_.])/i.exec(repository)?.[1];
  return bits === undefined ? 16 : Number(bits) + 0.5;
}

/** Weights of an adapter on all matrices of a layer, each rank x (rows + columns), in f32. */
function adapterWeights(architecture: ModelArchitecture, training: Training, layers: number): number {
  const { rank } = trainingSettings(training);
  const { width, heads, kvHeads, headSize, feedForward } = architecture;
  const attention = 2 * (width + heads * headSize) + 2 * (width + kvHeads * headSize);
  return layers * rank * (attention + 3 * (width + feedForward));
}

/**
 * Of the trained layers the inputs alone, and one layer as a whole, when activations are computed again; else all of them. In
 * bf16, the scores of the attention in f32 too: its backward pass is not fused in MLX. The loss takes the logits in f32.
 */
function activationBytes(architecture: ModelArchitecture, training: Training, layers: number): number {
  const { width, heads, kvHeads, headSize, feedForward, vocabulary } = architecture;
  const { batch, maxSequence, gradientCheckpoint } = trainingSettings(training);
  const tokens = batch * maxSequence;
  const scores = batch * heads * maxSequence ** 2 * 8;
  const layer = tokens * 2 * (8 * width + 4 * (heads + kvHeads) * headSize + 5 * feedForward) + scores;
  const kept = gradientCheckpoint ? layers * tokens * width * 2 + 2 * layer : layers * layer + layer;
  return kept + tokens * vocabulary * 12;
}

/** Changes of which each alone makes a training fit, in words. */
export function smallerTrainings(architecture: ModelArchitecture, model: TunedModel, limit: number): string[] {
  const { training } = model;
  const fits = (change: Partial<Training>) =>
    trainingMemory(architecture, { ...model, training: { ...training, ...change } }).total <= limit;
  const halves = (from: number, least: number) =>
    Array.from({ length: 20 }, (_, index) => Math.floor(from / 2 ** (index + 1))).filter((each) => each >= least);
  const batch = halves(trainingSettings(training).batch, 1).find((each) => fits({ batch: each }));
  const maxSequence = halves(trainingSettings(training).maxSequence, 128).find((each) => fits({ maxSequence: each }));
  const both = halves(trainingSettings(training).maxSequence, 128).find((each) =>
    fits({ maxSequence: each, batch: 1 }),
  );
  return [
    ...(training.gradientCheckpoint === false && fits({ gradientCheckpoint: true }) ? ['gradientCheckpoint true'] : []),
    ...(batch === undefined ? [] : [`batch ${batch}`]),
    ...(maxSequence === undefined ? [] : [`maxSequence ${maxSequence}`]),
    ...(batch === undefined && maxSequence === undefined && both !== undefined
      ? [`batch 1 with maxSequence ${both}`]
      : []),
    ...(training.kind === 'full' && fits({ kind: 'lora' }) ? ["kind 'lora'"] : []),
  ];
}
