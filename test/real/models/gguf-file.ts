import * as fs from 'node:fs';
import type { ModelArchitecture } from '../../../inventory';

/** Numbers of types in a GGUF file, with the weights and bytes of their blocks (ggml.h, ggml-common.h). */
const TYPES = {
  f32: { id: 0, block: 1, size: 4 },
  f16: { id: 1, block: 1, size: 2 },
  q5_0: { id: 6, block: 32, size: 22 },
  q8_0: { id: 8, block: 32, size: 34 },
  q4_K: { id: 12, block: 256, size: 144 },
  q5_K: { id: 13, block: 256, size: 176 },
  q6_K: { id: 14, block: 256, size: 210 },
} as const;
type Type = keyof typeof TYPES;

export interface GgufOptions {
  /** general.architecture of llama.cpp, which decides how its keys are read. */
  readonly family: string;
  readonly quantization: 'f16' | 'q8_0' | 'q4_K_M';
  /** Whether the embedding is also the output layer. */
  readonly tied: boolean;
}

interface Tensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly type: Type;
}

/**
 * Writes a GGUF file with the header of a model: metadata, and every tensor with name, shape and type as llama.cpp quantizes it.
 * The file is sparse and has no data. Shares no code with our estimate.
 */
export function writeGguf(path: string, architecture: ModelArchitecture, options: GgufOptions): void {
  const tensors = tensorsOf(architecture, options);
  const values = metadata(architecture, options.family);
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(Object.keys(values).length),
    ...Object.entries(values).flatMap(([key, value]) => [text(key), value]),
  ]);
  let offset = 0;
  const infos = tensors.map(({ name, dimensions, type }) => {
    const info = [text(name), u32(dimensions.length), ...dimensions.map(u64), u32(TYPES[type].id), u64(offset)];
    offset = aligned(offset + size(dimensions, type));
    return Buffer.concat(info);
  });
  const head = Buffer.concat([header, ...infos]);
  fs.writeFileSync(path, head);
  fs.truncateSync(path, aligned(head.length) + offset);
}

function tensorsOf(architecture: ModelArchitecture, { quantization, tied, family }: GgufOptions): Tensor[] {
  const { layers, width, heads, kvHeads, headSize, feedForward, vocabulary, experts } = architecture;
  const count = experts === undefined ? [] : [experts.count];
  const gated = family !== 'phi2';
  const matrix = (name: string, dimensions: readonly number[], layer = 0): Tensor => ({
    name,
    dimensions,
    type: typeOf(name, dimensions[0]!, layer, layers, quantization, tied),
  });
  const norm = (name: string, length = width): Tensor => ({ name, dimensions: [length], type: 'f32' });
  const suffix = experts === undefined ? '' : '_exps';
  const inLayer = (layer: number): Tensor[] => {
    const own = (name: string) => `blk.${layer}.${name}.weight`;
    return [
      norm(own('attn_norm')),
      norm(own('ffn_norm')),
      matrix(own('attn_q'), [width, heads * headSize], layer),
      matrix(own('attn_k'), [width, kvHeads * headSize], layer),
      matrix(own('attn_v'), [width, kvHeads * headSize], layer),
      matrix(own('attn_output'), [heads * headSize, width], layer),
      ...(experts === undefined
        ? []
        : [{ name: own('ffn_gate_inp'), dimensions: [width, experts.count], type: 'f32' as const }]),
      ...(gated ? [matrix(own(`ffn_gate${suffix}`), [width, feedForward, ...count], layer)] : []),
      matrix(own(`ffn_up${suffix}`), [width, feedForward, ...count], layer),
      matrix(own(`ffn_down${suffix}`), [feedForward, width, ...count], layer),
    ];
  };
  return [
    matrix('token_embd.weight', [width, vocabulary]),
    norm('output_norm.weight'),
    ...(tied ? [] : [matrix('output.weight', [width, vocabulary])]),
    ...Array.from({ length: layers }, (_, layer) => inLayer(layer)).flat(),
  ];
}

/** Chooses the type like llama_tensor_get_type for Q4_K_M. */
function typeOf(
  name: string,
  row: number,
  layer: number,
  layers: number,
  quantization: GgufOptions['quantization'],
  tied: boolean,
): Type {
  if (quantization !== 'q4_K_M') return quantization;
  const eighth = Math.floor(layers / 8);
  const more = layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
  const output = name === 'output.weight' || (tied && name === 'token_embd.weight');
  const type = output || (more && /attn_v|ffn_down/.test(name)) ? 'q6_K' : 'q4_K';
  if (row % 256 === 0) return type;
  return type === 'q6_K' ? 'q8_0' : 'q5_0';
}

function metadata(architecture: ModelArchitecture, family: string): Record<string, Buffer> {
  const { layers, width, heads, kvHeads, headSize, feedForward, vocabulary, maxContext, experts, window } =
    architecture;
  return {
    'general.architecture': ofString(family),
    'general.file_type': ofNumber(15),
    [`${family}.block_count`]: ofNumber(layers),
    [`${family}.context_length`]: ofNumber(maxContext),
    [`${family}.embedding_length`]: ofNumber(width),
    [`${family}.feed_forward_length`]: ofNumber(feedForward),
    [`${family}.attention.head_count`]: ofNumber(heads),
    [`${family}.attention.head_count_kv`]: ofNumber(kvHeads),
    [`${family}.attention.key_length`]: ofNumber(headSize),
    [`${family}.attention.value_length`]: ofNumber(headSize),
    [`${family}.vocab_size`]: ofNumber(vocabulary),
    ...(experts && {
      [`${family}.expert_count`]: ofNumber(experts.count),
      [`${family}.expert_used_count`]: ofNumber(experts.used),
      [`${family}.expert_feed_forward_length`]: ofNumber(feedForward),
    }),
    ...(window && { [`${family}.attention.sliding_window`]: ofNumber(window.tokens) }),
    'tokenizer.ggml.model': ofString('gpt2'),
    'tokenizer.ggml.tokens': ofStrings('token', vocabulary),
    'tokenizer.ggml.merges': ofStrings('to ken', vocabulary),
  };
}

function size(dimensions: readonly number[], type: Type): number {
  const weights = dimensions.reduce((product, length) => product * length, 1);
  return (weights / TYPES[type].block) * TYPES[type].size;
}

function aligned(offset: number): number {
  return Math.ceil(offset / 32) * 32;
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function text(value: string): Buffer {
  return Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
}

function ofNumber(value: number): Buffer {
  return Buffer.concat([u32(4), u32(value)]);
}

function ofString(value: string): Buffer {
  return Buffer.concat([u32(8), text(value)]);
}

/** Repeats one text, because only lengths are read. */
function ofStrings(value: string, count: number): Buffer {
  const one = text(value);
  return Buffer.concat([u32(9), u32(8), u64(count), Buffer.alloc(one.length * count, one)]);
}
