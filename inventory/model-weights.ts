import { sum } from '../values/quantity';
import type { ModelArchitecture } from './models';

/** Bits of a weight by type of tensor, with the scales of its blocks (ggml-common.h of llama.cpp). */
const BITS = {
  f16: 16,
  q8_0: 8.5,
  q6_K: 6.5625,
  q5_1: 6,
  q5_K: 5.5,
  q5_0: 5.5,
  q4_1: 5,
  q4_K: 4.5,
  q4_0: 4.5,

  q3_K: 3.4375,
  q2_K: 2.625,
} as const;
type TensorType = keyof typeof BITS;

/** Tensor types in a quantization, as Ollama (server/quantization.go) and llama.cpp (llama-quant.cpp) choose them. */
interface Recipe {
  /** Matrices without a field of their own. */
  readonly base: TensorType;
  /** Token embedding. @default base */
  readonly embedding?: TensorType;
  /** Output layer, or the embedding when the model shares it with the output layer. */
  readonly output: TensorType;
  /** Attention values, and the last feed-forward matrix. @default base */
  readonly more?: TensorType;
  /** Whether `more` applies to all layers, or to about half of them (use_more_bits). @default some */
  readonly in?: 'all' | 'some';
  /** Attention output. @default base */
  readonly attention?: TensorType;
  /** The joint matrix of queries, keys and values. @default base */
  readonly fused?: TensorType;
}

const RECIPES = {
  f16: { base: 'f16', output: 'f16' },
  q8_0: { base: 'q8_0', output: 'q8_0' },
  q6_K: { base: 'q6_K', output: 'q6_K' },
  q5_K_M: { base: 'q5_K', output: 'q6_K', more: 'q6_K', fused: 'q6_K' },
  q5_K_S: { base: 'q5_K', output: 'q6_K' },
  q5_1: { base: 'q5_1', output: 'q6_K' },
  q5_0: { base: 'q5_0', output: 'q6_K' },
  q4_K_M: { base: 'q4_K', output: 'q6_K', more: 'q6_K', fused: 'q5_K' },
  q4_K_S: { base: 'q4_K', output: 'q6_K', more: 'q5_K' },
  q4_1: { base: 'q4_1', output: 'q6_K' },
  q4_0: { base: 'q4_0', output: 'q6_K' },
  // This quantization is part of the training. The embedding stays in f16.
  qat: { base: 'q4_0', embedding: 'f16', output: 'f16' },
  q3_K_L: { base: 'q3_K', output: 'q6_K', more: 'q5_K', in: 'all', attention: 'q5_K', fused: 'q4_K' },
  q3_K_M: { base: 'q3_K', output: 'q6_K', more: 'q4_K', in: 'all', attention: 'q4_K', fused: 'q4_K' },
  q3_K_S: { base: 'q3_K', output: 'q6_K' },
  q2_K: { base: 'q2_K', output: 'q6_K', more: 'q4_K', in: 'all', attention: 'q3_K', fused: 'q3_K' },
} satisfies Record<string, Recipe>;

/** A quantization of Ollama. */
export type Quantization = keyof typeof RECIPES;

/** The quantization that a tag names. Ollama's default is q4_K_M, and f16 for embeddings. */
export function quantizationOf(tag: string, { embedding }: ModelArchitecture): Quantization {
  const name = tag.toLowerCase();
  if (/(?:^|[-_:])(?:bf16|fp?16|fp?32)(?:$|[-_])/.test(name)) return 'f16';
  if (/[-_:]qat(?:$|[-_])/.test(name)) return 'qat';
  const named = /q\d_(?:k_[sml]|k|\d)(?![a-z\d])/.exec(name)?.[0];
  const found = (Object.keys(RECIPES) as Quantization[]).find((each) => each.toLowerCase() === named);
  return found ?? (embedding === true ? 'f16' : 'q4_K_M');
}

/** Header bytes for a token's text, type and merge: 48 in the files of Llama 3 and Qwen 2.5. */
const OF_TOKEN = 64;

/** Bytes of the weights: in the file, in memory, and read for each token. */
export interface WeightBytes {
  /** In the file. */
  readonly all: number;
  /** In memory. The host and the GPU each hold an embedding that is also the output layer. */
  readonly loaded: number;
  /** Read for each token: all but unused experts and the token embedding, of which a token reads one row. */
  readonly read: number;
}

/** Weights of a model in a quantization. Each matrix has its own type; norms and biases stay in f32. */
export function weightBytes(architecture: ModelArchitecture, quantization: Quantization): WeightBytes {
  const recipe: Recipe = RECIPES[quantization];
  const { width, layers, vocabulary, heads, kvHeads, headSize, experts, vision = 0 } = architecture;
  const { gated, separateOutput, rest } = parts(architecture);
  const size = (count: number, type: TensorType, row = width) => (count * BITS[fitted(type, row)]) / 8;
  const mixed = (count: number, row: number) => {
    const share = recipe.in === 'all' ? 1 : moreBits(layers) / layers;
    return size(count * share, recipe.more ?? recipe.base, row) + size(count * (1 - share), recipe.base, row);
  };
  const queries = width * heads * headSize;
  const keys = width * kvHeads * headSize;
  const attention =
    architecture.fused === true
      ? size(queries + 2 * keys, recipe.fused ?? recipe.base)
      : size(queries + keys, recipe.base) + mixed(keys, width);
  const matrix = width * architecture.feedForward;
  const feedForward = size(matrix * (gated ? 2 : 1), recipe.base) + mixed(matrix, architecture.feedForward);
  const ofLayer = attention + size(queries, recipe.attention ?? recipe.base, heads * headSize) + norms(architecture);
  const output = size(vocabulary * width, recipe.output);
  const embedding = separateOutput ? size(vocabulary * width, recipe.embedding ?? recipe.base) : 0;
  // Counts weights that the numbers do not explain, such as a further matrix, with the bits of the output layer.
  const others = size(Math.max(0, rest), recipe.output);
  const positions = architecture.embedding === true ? 4 * width * architecture.maxContext : 0;
  const both = layers * ofLayer + output + others + positions + vocabulary * OF_TOKEN;
  const all = both + embedding + layers * feedForward * (experts?.count ?? 1) + vision * 2;
  return {
    all,
    loaded: separateOutput ? all : all + output,
    read: both + layers * feedForward * (experts?.used ?? 1),
  };
}

/** Norms and biases of a layer, in f32. */
function norms({ width, heads, kvHeads, headSize, experts }: ModelArchitecture): number {
  return 4 * (4 * width + (heads + 2 * kvHeads) * headSize + width * (experts?.count ?? 0));
}

/** A row whose length is not a multiple of 256 is stored in blocks of 32, with more bits. */
function fitted(type: TensorType, row: number): TensorType {
  if (row % 256 === 0 || !type.endsWith('_K')) return type;
  return ({ q6_K: 'q8_0', q5_K: 'q5_1', q4_K: 'q5_0', q3_K: 'q4_0', q2_K: 'q4_0' } as Record<string, TensorType>)[
    type
  ]!;
}

/** Layers that get more bits: the first and the last eighth, and each third one between them (use_more_bits of llama.cpp). */
function moreBits(layers: number): number {
  const eighth = Math.floor(layers / 8);
  return sum(
    Array.from({ length: layers }, (_, layer) =>
      layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2 ? 1 : 0,
    ),
  );
}

/** Number of weights of the matrices of a layer. */
export function layerWeights(architecture: ModelArchitecture): {
  readonly attention: number;
  readonly feedForward: number;
} {
  const { width, heads, kvHeads, headSize, feedForward, experts } = architecture;
  return {
    attention: width * headSize * 2 * (heads + kvHeads),
    feedForward: width * feedForward * (parts(architecture).gated ? 3 : 2) * (experts?.count ?? 1),
  };
}

/** Derives from the number of weights whether the model has a gate, and an output layer beside the embedding. */
function parts(architecture: ModelArchitecture): {
  readonly gated: boolean;
  readonly separateOutput: boolean;
  readonly rest: number;
} {
  const { parameters, layers, width, heads, kvHeads, headSize, feedForward, vocabulary, experts } = architecture;
  const table = vocabulary * width;
  const attention = width * headSize * 2 * (heads + kvHeads);
  const left = parameters - table - layers * attention;
  const matrices = layers * width * feedForward * (experts?.count ?? 1);
  const gated = left > matrices * 2.6;
  const rest = left - matrices * (gated ? 3 : 2);
  const separateOutput = rest > table / 2;
  return { gated, separateOutput, rest: separateOutput ? rest - table : rest };
}
