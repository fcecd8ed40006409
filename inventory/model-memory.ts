import { bytes, GIB } from '../values/quantity';
import type { UbuntuMachine } from './homelab';
import type { KvCacheType, ModelArchitecture } from './models';
import type { WeightBytes } from './model-weights';

/** Bits of a number in the cache, with the scales of its blocks of 32 (ggml-common.h of llama.cpp). */
const CACHE_BITS: Readonly<Record<KvCacheType, number>> = { f16: 16, q8_0: 8.5, q4_0: 4.5 };

/** Tokens in one batch from Ollama to llama.cpp (num_batch). The cache of a sliding window holds them in addition. */
const BATCH = 512;

/** With flash attention, the length of the cache is a multiple of this. */
const PADDING = 256;

/** Inputs for the memory of one loaded model. */
export interface ModelLoad {
  /** Numbers of the transformer. */
  readonly architecture: ModelArchitecture;
  /** Size of its weights. */
  readonly weights: WeightBytes;
  /** Tokens of one request. */
  readonly context: number;
  /** Requests at the same time. */
  readonly parallel: number;
  /** Type of the cache for keys and values. */
  readonly cache: KvCacheType;
  /**
   * Whether Ollama computes with flash attention. Without it, the cache is in f16, and the scores of all pairs of tokens take
   * memory. Ollama 0.9.6 uses none for embeddings and on a machine without a GPU.
   */
  readonly flash: boolean;
}

/** Memory of one loaded model in bytes, an upper bound. */
export interface ModelMemory {
  /** Loaded weights. */
  readonly weights: number;
  /** Keys and values of all tokens. */
  readonly cache: number;
  /** Compute buffers, and other memory of the process. */
  readonly compute: number;
  /** Sum of these. */
  readonly total: number;
}

/** Memory of a model that Ollama loads onto one GPU, including the host memory of the process. */
export function modelMemory(load: ModelLoad): ModelMemory {
  const weights = Math.ceil(load.weights.loaded);
  const cache = Math.ceil(cacheBytes(load));
  const compute = Math.ceil(computeBytes(load));
  return { weights, cache, compute, total: weights + cache + compute };
}

/** Bits of a number in the loaded cache. */
function cacheBits({ cache, flash }: ModelLoad): number {
  return flash ? CACHE_BITS[cache] : CACHE_BITS.f16;
}

function cacheBytes(load: ModelLoad): number {
  const { architecture, context, parallel } = load;
  const { layers, kvHeads, headSize, window } = architecture;
  const ofToken = (2 * kvHeads * headSize * cacheBits(load)) / 8;
  const tokens = padded(context * parallel);
  if (window === undefined) return layers * ofToken * tokens;
  const everywhere = Math.ceil(layers / window.every);
  const near = Math.min(tokens, padded(window.tokens * parallel + BATCH));
  return ofToken * (everywhere * tokens + (layers - everywhere) * near);
}

/**
 * The largest compute buffer of a layer that llama.cpp reserves for a batch on the GPU, plus the one on the host: the logits,
 * twice, or the cache of one layer. `npm run test:real -- models` compares it with gguf-parser-go and Ollama.
 */
function computeBytes(load: ModelLoad): number {
  const { architecture, context, parallel, cache, flash } = load;
  const { width, heads, kvHeads, headSize, vocabulary, feedForward, experts, layers, window, embedding } = architecture;
  const tokens = padded(context * parallel);
  // The whole text of an embedding is one batch.
  const batch = Math.min(tokens, embedding === true ? Math.max(context, BATCH) : BATCH);
  const row = (numbers: number) => numbers * batch * 4;
  // The attention mask in f32 on GPU and host, and in f16. A sliding window needs a second mask.
  const masks = tokens * batch * (window === undefined ? 10 : 12);
  const inputs = 2 * row(width) + 16 * batch;
  const keysAndValues = 2 * headSize * kvHeads * tokens;
  // Flash attention converts a quantized cache of one layer to f16.
  const scratch = row(heads * headSize) + (cache === 'f16' || !flash ? 0 : keysAndValues * 2);
  const scores = flash ? 0 : row(tokens * heads);
  const attention = row(4 * width + heads * headSize + 2 * kvHeads * headSize) + scratch + scores;
  const hidden = experts === undefined ? 3 * feedForward : experts.used * (3 * feedForward + width) + 2 * experts.count;
  const feedForwardMoment = row(4 * width + heads * headSize + hidden) + (window === undefined ? 0 : scratch);
  const logits = row(embedding === true ? width : vocabulary + width);
  const ofHost = logits + Math.max(logits, (keysAndValues * cacheBits(load)) / 8 + row(2 * (width + feedForward)));
  return masks + inputs + Math.max(attention, feedForwardMoment) + ofHost + ofProcess(vocabulary, layers);
}

/** Vocabulary with its map, descriptions of tensors, and the graph, counted like gguf-parser-go. */
function ofProcess(vocabulary: number, layers: number): number {
  return 24 * 1024 ** 2 + vocabulary * 200 + layers * 100_000;
}

function padded(tokens: number): number {
  return Math.ceil(tokens / PADDING) * PADDING;
}

/**
 * Memory that the GPU may not take: 1.5 GiB for the operating system, about 1 GiB that Ollama needs beside the model, and the
 * same again for the page cache of the model's file.
 */
const NOT_FOR_GPU = 4 * GIB;

/** Reserved on a machine without a GPU: 1.5 GiB for the operating system, and 1 GiB for Ollama. */
const NOT_FOR_MODELS = 2.5 * GIB;

/** Memory of a machine that its GPU may take (GTT). On a small machine this is half, the default of Linux. */
export function gpuMemory(total: number): number {
  return Math.max(total - NOT_FOR_GPU, total / 2);
}

/** Memory that models may take on a machine, in bytes. */
export function roomForModels({ memory, gpu }: Pick<UbuntuMachine, 'memory' | 'gpu'>): number {
  const total = bytes(memory);
  return gpu === true ? Math.min(gpuMemory(total), total - NOT_FOR_MODELS) : total - NOT_FOR_MODELS;
}

/** Least memory of a machine for models of this size, in whole GiB. */
export function machineFor(size: number, gpu: boolean): number {
  const least = size + NOT_FOR_MODELS;
  return Math.ceil((gpu ? Math.max(least, Math.min(size + NOT_FOR_GPU, 2 * size)) : least) / GIB);
}

/**
 * Memory bandwidth of a GMKtec K8 Plus in bytes per second: DDR5-5600 on two channels of 8 bytes, 5.6e9 x 8 x 2. No program
 * reaches it. Its Ryzen 7 8845HS takes up to DDR5-5600 and is a 7840HS under another name (notebookcheck.net), which has two
 * channels (AMD's table of specifications, in felixsteinke/cpu-spec-dataset). AMD's own page was not read, nor a K8 Plus measured.
 */
export const MEMORY_BANDWIDTH = 89.6e9;

/**
 * Upper bound of tokens per second: each token reads all weights, and the keys and values of the tokens before it.
 * @param filled tokens of the context that are in use
 */
export function tokensPerSecond(load: ModelLoad, filled: number): number {
  const cache = cacheBytes({ ...load, context: filled, parallel: 1 });
  return MEMORY_BANDWIDTH / (load.weights.read + cache);
}
