import * as fs from 'node:fs';
import { windowOf, type ModelArchitecture, type WeightBytes } from '../inventory';
import { sentence } from '../values/problem';

/** More than the header of any file: that of a vocabulary of 262144 tokens takes 16 MiB. */
const MOST = 64 * 1024 ** 2;

type Value = number | string | boolean | readonly Value[];

interface Tensor {
  readonly name: string;
  readonly weights: number;
  readonly bytes: number;
}

/** Reads the architecture of a model from the header of a GGUF file. @throws if the file is not valid */
export function readGguf(path: string): { readonly architecture: ModelArchitecture; readonly weights: WeightBytes } {
  const size = fs.statSync(path).size;
  const header = Buffer.alloc(Math.min(size, MOST));
  const file = fs.openSync(path, 'r');
  try {
    fs.readSync(file, header, 0, header.length, 0);
  } finally {
    fs.closeSync(file);
  }
  let read: { metadata: Map<string, Value>; tensors: Tensor[] };
  try {
    read = new Reader(header).all(size);
  } catch (error) {
    throw wrong(path, error instanceof RangeError ? 'a file that ends within its header' : (error as Error).message);
  }
  const parts = Number(read.metadata.get('split.count') ?? 1);
  if (parts > 1) throw wrong(path, `one of ${parts} parts of a file`);
  return { architecture: architectureOf(path, read.metadata, read.tensors), weights: weightsOf(read, size) };
}

function wrong(path: string, got: string): Error {
  return new Error(
    sentence({
      what: `${path} must be a whole GGUF file of a language model`,
      got,
      fix: 'download it again, or give another file',
    }),
  );
}

/** Reads numbers and texts one after the other, in the order of the format (docs/gguf.md of ggml). */
class Reader {
  private at = 0;

  constructor(private readonly header: Buffer) {}

  all(size: number): { metadata: Map<string, Value>; tensors: Tensor[] } {
    if (this.take(4).toString('latin1') !== 'GGUF') throw new Error('a file of another format');
    const version = this.number(4);
    if (version !== 2 && version !== 3) throw new Error(`version ${version} of the format`);
    const tensorCount = this.number(8);
    const valueCount = this.number(8);
    const metadata = new Map<string, Value>();
    for (let index = 0; index < valueCount; index++) {
      const key = this.text();
      metadata.set(key, this.value(this.number(4)));
    }
    const infos = Array.from({ length: tensorCount }, () => {
      const name = this.text();
      const weights = Array.from({ length: this.number(4) }, () => this.number(8)).reduce((all, each) => all * each, 1);
      this.number(4);
      return { name, weights, offset: this.number(8) };
    });
    const alignment = Number(metadata.get('general.alignment') ?? 32);
    const data = size - Math.ceil(this.at / alignment) * alignment;
    const last = Math.max(0, ...infos.map(({ offset }) => offset));
    if (infos.length > 0 && last >= data) throw new Error(`a file that ends before its weights do`);
    const offsets = [...infos.map(({ offset }) => offset), data].sort((one, other) => one - other);
    const next = new Map(offsets.map((offset, index) => [offset, offsets[index + 1] ?? data]));
    return {
      metadata,
      tensors: infos.map(({ name, weights, offset }) => ({ name, weights, bytes: next.get(offset)! - offset })),
    };
  }

  private value(type: number): Value {
    if (type === 8) return this.text();
    if (type === 9) {
      const each = this.number(4);
      const count = this.number(8);
      // Texts are read one by one only to skip them.
      const values: Value[] = [];
      for (let index = 0; index < count; index++) {
        const value = this.value(each);
        if (each !== 8) values.push(value);
      }
      return each === 8 ? count : values;
    }
    const kind = SCALARS[type];
    if (kind === undefined) throw new Error(`a value of the unknown type ${type}`);
    return kind.read(this.take(kind.size));
  }

  private text(): string {
    return this.take(this.number(8)).toString('utf8');
  }

  private number(size: 4 | 8): number {
    const buffer = this.take(size);
    return size === 4 ? buffer.readUInt32LE() : Number(buffer.readBigUInt64LE());
  }

  private take(size: number): Buffer {
    if (this.at + size > this.header.length) throw new RangeError('the header ends');
    this.at += size;
    return this.header.subarray(this.at - size, this.at);
  }
}

/** Types of values by their number; 8 is a text, 9 a list. */
const SCALARS: Readonly<Record<number, { readonly size: number; readonly read: (buffer: Buffer) => Value }>> = {
  0: { size: 1, read: (buffer) => buffer.readUInt8() },
  1: { size: 1, read: (buffer) => buffer.readInt8() },
  2: { size: 2, read: (buffer) => buffer.readUInt16LE() },
  3: { size: 2, read: (buffer) => buffer.readInt16LE() },
  4: { size: 4, read: (buffer) => buffer.readUInt32LE() },
  5: { size: 4, read: (buffer) => buffer.readInt32LE() },
  6: { size: 4, read: (buffer) => buffer.readFloatLE() },
  7: { size: 1, read: (buffer) => buffer.readUInt8() !== 0 },
  10: { size: 8, read: (buffer) => Number(buffer.readBigUInt64LE()) },
  11: { size: 8, read: (buffer) => Number(buffer.readBigInt64LE()) },
  12: { size: 8, read: (buffer) => buffer.readDoubleLE() },
};

function architectureOf(path: string, metadata: Map<string, Value>, tensors: readonly Tensor[]): ModelArchitecture {
  const family = String(metadata.get('general.architecture'));
  const get = (key: string): number | undefined => {
    const value = metadata.get(`${family}.${key}`);
    // Some models have a number for each layer.
    const numbers = (Array.isArray(value) ? value : [value]).filter((each): each is number => typeof each === 'number');
    return numbers.length === 0 ? undefined : Math.max(...numbers);
  };
  const need = (key: string): number => {
    const value = get(key);
    if (value === undefined) throw wrong(path, `no ${family}.${key}`);
    return value;
  };
  const width = need('embedding_length');
  const heads = need('attention.head_count');
  const experts = get('expert_count');
  const vocabulary = metadata.get('tokenizer.ggml.tokens') ?? get('vocab_size');
  if (typeof vocabulary !== 'number') throw wrong(path, 'no vocabulary');
  return {
    parameters: tensors.reduce((sum, { weights }) => sum + weights, 0),
    layers: need('block_count'),
    heads,
    kvHeads: get('attention.head_count_kv') ?? heads,
    headSize:
      Math.max(get('attention.key_length') ?? 0, get('attention.value_length') ?? 0) || Math.floor(width / heads),
    width,
    feedForward: get('expert_feed_forward_length') ?? need('feed_forward_length'),
    vocabulary,
    maxContext: need('context_length'),
    ...(experts !== undefined && experts > 0 && { experts: { count: experts, used: get('expert_used_count') ?? 1 } }),
    ...windowOf(family, get('attention.sliding_window')),
    ...(metadata.has(`${family}.pooling_type`) && { embedding: true }),
  };
}

function weightsOf(
  { metadata, tensors }: { readonly metadata: Map<string, Value>; readonly tensors: readonly Tensor[] },
  size: number,
): WeightBytes {
  const family = String(metadata.get('general.architecture'));
  const used = Number(metadata.get(`${family}.expert_used_count`) ?? 1);
  const count = Number(metadata.get(`${family}.expert_count`) ?? 1) || 1;
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight')?.bytes ?? 0;
  const shared = !tensors.some(({ name }) => name === 'output.weight');
  const ofExperts = tensors.reduce((sum, { name, bytes }) => sum + (/_exps\b/.test(name) ? bytes : 0), 0);
  return {
    all: size,
    loaded: shared ? size + embedding : size,
    read: size - (shared ? 0 : embedding) - ofExperts * (1 - used / count),
  };
}
