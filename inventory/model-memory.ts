import { bytes, GIB } from '../values/quantity';
import type { UbuntuMachine } from './homelab';
import type { KvCacheType, ModelArchitecture } from './models';
import type { WeightBytes } from './model-weights';

/** Bits of a number in the cache, with the scales of its blocks of 32 (ggml-common.h of llama.cpp). */
const CACHE_BITS: Readonly<Record<KvCacheType, number>> = { f16: 16, q8_0: 8.5, q4_0: 4.5 };

/** Tokens that Ollama gives to llama.cpp at once (num_batch). A cache of a window holds them besides. */
const BATCH = 512;

/** Length of a cache with flash attention is a multiple of this. */
const PADDING = 256;

/** What one model is loaded for. */
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
   * Whether Ollama computes with flash attention. Without it the cache stays in f16, and scores of all pairs of tokens are held:
   * Ollama 0.9.6 does so for embeddings, and on a machine without a GPU.
   */
  readonly flash: boolean;
}

/** Memory of one loaded model in bytes, an upper bound. */
export interface ModelMemory {
  /** Weights as they are loaded. */
  readonly weights: number;
  /** Keys and values of all tokens. */
  readonly cache: number;
  /** Buffers of the computation, and what the process keeps beside them. */
  readonly compute: number;
  /** All of these together. */
  readonly total: number;
}

/** Memory of a model as Ollama loads it onto one GPU, with everything that the process has on the host. */
export function modelMemory(load: ModelLoad): ModelMemory {
  const weights = Math.ceil(load.weights.loaded);
  const cache = Math.ceil(cacheBytes(load));
  const compute = Math.ceil(computeBytes(load));
  return { weights, cache, compute, total: weights + cache + compute };
}

/** Bits of a number in the cache as it is loaded. */
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
 * The widest moment of a layer that llama.cpp reserves for a batch on the GPU, and that of the host: the logits, twice, or the
 * cache of one layer. Held against gguf-parser-go and Ollama by `npm run test:real -- models`.
 */
function computeBytes(load: ModelLoad): number {
  const { architecture, context, parallel, cache, flash } = load;
  const { width, heads, kvHeads, headSize, vocabulary, feedForward, experts, layers, window, embedding } = architecture;
  const tokens = padded(context * parallel);
  // A text that becomes an embedding is one batch.
  const batch = Math.min(tokens, embedding === true ? Math.max(context, BATCH) : BATCH);
  const row = (numbers: number) => numbers * batch * 4;
  // The mask as f32 on both sides, and as f16: once more for a window.
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

/** Vocabulary and its map, descriptions of tensors, the graph: as gguf-parser-go counts them. */
function ofProcess(vocabulary: number, layers: number): number {
  return 24 * 1024 ** 2 + vocabulary * 200 + layers * 100_000;
}

function padded(tokens: number): number {
  return Math.ceil(tokens / PADDING) * PADDING;
}

/**
 * What the GPU may not take: 1.5 GiB for the operating system, about 1 GiB that Ollama needs beside the model, and as much
 * again as room for the file that a model is read from.
 */
const NOT_FOR_GPU = 4 * GIB;

/** Without a GPU: 1.5 GiB for the operating system, and 1 GiB for Ollama. */
const NOT_FOR_MODELS = 2.5 * GIB;

/** Memory of a machine that its GPU may take (GTT). On a small machine half of it, as Linux allows without options. */
export function gpuMemory(total: number): number {
  return Math.max(total - NOT_FOR_GPU, total / 2);
}

/** Memory that models may take on a machine, in bytes. */
export function roomForModels({ memory, gpu }: Pick<UbuntuMachine, 'memory' | 'gpu'>): number {
  const total = bytes(memory);
  return gpu === true ? Math.min(gpuMemory(total), total - NOT_FOR_MODELS) : total - NOT_FOR_MODELS;
}

/** Least memory of a machine, in whole GiB, in which models of this size have room. */
export function machineFor(size: number, gpu: boolean): number {
  const least = size + NOT_FOR_MODELS;
  return Math.ceil((gpu ? Math.max(least, Math.min(size + NOT_FOR_GPU, 2 * size)) : least) / GIB);
}

/**
 * Bytes that the memory of a GMKtec K8 Plus moves in a second: DDR5-5600 on two channels of 8 bytes, 5.6e9 x 8 x 2. No program
 * reaches it. Its Ryzen 7 8845HS takes up to DDR5-5600 and is a 7840HS under another name (notebookcheck.net), which has two
 * channels (AMD's table of specifications, in felixsteinke/cpu-spec-dataset). AMD's own page was not read, nor a K8 Plus measured.
 */
export const MEMORY_BANDWIDTH = 89.6e9;

/**
 * Upper bound of tokens in a second: each token reads all weights, and keys and values of the tokens before it.
 * @param filled tokens of the context that are in use
 */
export function tokensPerSecond(load: ModelLoad, filled: number): number {
  const cache = cacheBytes({ ...load, context: filled, parallel: 1 });
  return MEMORY_BANDWIDTH / (load.weights.read + cache);
}
