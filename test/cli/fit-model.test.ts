import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Size } from 'cdk8s';
import { fitModel, fitOf } from '../../cli/fit-model';
import { readGguf } from '../../cli/gguf-header';
import { architectureOfConfig, knownArchitecture, weightBytes, type Homelab } from '../../inventory';
import homelab from '../fixtures/homelab';
import { changed } from '../homelab';
import { writeGguf } from '../real/models/gguf-file';

let folder: string;
beforeAll(() => (folder = fs.mkdtempSync(join(tmpdir(), 'fit-model-'))));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** A file in the folder of the test. */
function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  fs.writeFileSync(path, content);
  return path;
}

const fit = (...args: string[]) => fitOf(homelab, args);

test('while homelab.ts is refused because it lacks the numbers of a model, they are printed before the error', async () => {
  jest.doMock('../../homelab', () => {
    throw new Error('llm.models.writer.architecture must be set');
  });
  const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  const config = { model_type: 'llama', hidden_size: 256, num_hidden_layers: 2, num_attention_heads: 4 };
  const more = { intermediate_size: 256, vocab_size: 320, max_position_embeddings: 2048 };
  await expect(fitModel([file('unknown.json', JSON.stringify({ ...config, ...more }))])).rejects.toThrow('must be set');
  expect(printed.mock.calls.join('\n')).toContain('architecture: { parameters: ');
  await expect(fitModel(['qwen2.5:7b'])).rejects.toThrow('must be set');
  expect(printed).toHaveBeenCalledTimes(1);
  printed.mockRestore();
});

test('a model that fits beside the resident ones', () => {
  const { text, fits } = fit('qwen2.5:7b', '--context', '16384');
  expect(fits).toBe(true);
  expect(text).toMatch(/resident models +10\.\d GiB {2}chat\n/);
  expect(text).toMatch(/room on ai-vm +28 GiB {2}of 32 GiB: the limit of its GPU\n/);
  expect(text).toContain('It fits, with a context of up to 32768.');
  expect(text).toMatch(/At most \d+\.\d tokens a second, \d+\.\d with a full context/);
});

test('a model that does not, and what would', () => {
  const { text, fits } = fit('llama3.1:8b', '--context=131072', '--parallel=2');
  expect(fits).toBe(false);
  const [, context] =
    /Alternatives: context (\d+), or llm.kvCache 'q4_0', or llm.parallel 1, or \d+ GiB for ai-vm/.exec(text)!;
  expect(fit('llama3.1:8b', `--context=${context}`, '--parallel=2').fits).toBe(true);
  expect(fit('llama3.1:8b', `--context=${Number(context) + 1024}`, '--parallel=2').fits).toBe(false);
  expect(fit('llama3.1:8b', '--context=131072', '--parallel=2', '--kv-cache=q4_0').fits).toBe(true);
});

test('a resident model is not counted beside itself', () => {
  expect(fit('qwen2.5:14b-instruct-q4_K_M').text).not.toContain('resident models');
});

test('a context that Ollama would cut does not fit', () => {
  const { text, fits } = fit('qwen2.5:7b', '--context=40960');
  expect([fits, text.includes('It was trained for 32768 tokens: Ollama cuts a longer context.')]).toEqual([
    false,
    true,
  ]);
});

test('a machine without a GPU', () => {
  const without = changed((h) => (h.machines['ai-vm'].gpu = false)) as Homelab;
  expect(fitOf(without, ['qwen2.5:7b']).text).toMatch(/room on ai-vm +29\.5 GiB\n/);
  const small = changed((h) => (h.machines['ai-vm'].memory = Size.gibibytes(16))) as Homelab;
  expect(fitOf(small, ['qwen2.5:7b']).fits).toBe(false);
});

test.each([
  ['qwen2', 'qwen2.5:0.5b', true],
  ['llama', 'mistral:7b', false],
  ['qwen3moe', 'qwen3:30b', false],
  ['gemma3', 'gemma3:1b', true],
] as const)('the header of a GGUF file of %s says what the table says of %s', (family, name, tied) => {
  const path = join(folder, `${family}.gguf`);
  const known = knownArchitecture(name)!;
  writeGguf(path, known, { family, quantization: 'q4_K_M', tied });
  const { architecture, weights } = readGguf(path);
  fs.rmSync(path);
  expect({ ...architecture, parameters: 0 }).toEqual({ ...known, parameters: 0 });
  expect(architecture.parameters / known.parameters).toBeCloseTo(1, 1);
  const estimated = weightBytes(known, 'q4_K_M');
  for (const part of ['all', 'loaded', 'read'] as const) {
    const ratio = estimated[part] / weights[part];
    expect([part, ratio > 0.99 && ratio < 1.04]).toEqual([part, true]);
  }
});

test('a GGUF file is answered with its numbers for homelab.ts', () => {
  const path = join(folder, 'small.gguf');
  writeGguf(path, knownArchitecture('smollm2:135m')!, { family: 'llama', quantization: 'q8_0', tied: true });
  const { text, fits } = fit(path);
  expect(fits).toBe(true);
  expect(text).toContain('  architecture: { parameters: 134');
});

test.each([
  ['a file of another format', Buffer.from('PK\u0003\u0004 and more'), 'a file of another format'],
  ['an empty file', Buffer.alloc(0), 'a file that ends within its header'],
  ['a version of the future', Buffer.from('GGUF\u0009\0\0\0'), 'version 9 of the format'],
  [
    'a header that promises more than there is',
    Buffer.concat([Buffer.from('GGUF\u0003\0\0\0'), Buffer.alloc(16, 1)]),
    'a file that ends within its header',
  ],
])('refuses %s', (_name, content, got) => {
  expect(() => fit(file('broken.gguf', content))).toThrow(got);
});

test('refuses a GGUF file that was cut', () => {
  const path = join(folder, 'cut.gguf');
  writeGguf(path, knownArchitecture('smollm2:135m')!, { family: 'llama', quantization: 'q8_0', tied: true });
  fs.truncateSync(path, 100_000);
  expect(() => fit(path)).toThrow(
    'must be a whole GGUF file of a language model, got "a file that ends within its header"',
  );
  writeGguf(path, knownArchitecture('smollm2:135m')!, { family: 'llama', quantization: 'q8_0', tied: true });
  fs.truncateSync(path, fs.statSync(path).size - 1_000_000);
  expect(() => fit(path)).toThrow(
    'must be a whole GGUF file of a language model, got "a file that ends before its weights',
  );
});

/** config.json of Qwen2.5-3B-Instruct and of gemma-3-4b-it, as far as they matter. */
const qwen = {
  model_type: 'qwen2',
  hidden_size: 2048,
  intermediate_size: 11008,
  max_position_embeddings: 32768,
  num_attention_heads: 16,
  num_hidden_layers: 36,
  num_key_value_heads: 2,
  sliding_window: 32768,
  use_sliding_window: false,
  tie_word_embeddings: true,
  vocab_size: 151936,
};

test('reads config.json of Hugging Face', () => {
  const architecture = architectureOfConfig(qwen);
  const known = knownArchitecture('qwen2.5:3b')!;
  expect({ ...architecture, parameters: 0 }).toEqual({ ...known, parameters: 0 });
  expect(architecture.parameters / known.parameters).toBeCloseTo(1, 2);
  const { text } = fit(file('config.json', JSON.stringify(qwen)), '--quantization=q8_0');
  expect(text).toContain('architecture: { parameters: 308');
  expect(text).toMatch(/weights +3\.\d GiB/);
});

test('reads the text of a model that sees, with its window', () => {
  const config = {
    model_type: 'gemma3',
    text_config: { ...qwen, model_type: 'gemma3_text', head_dim: 256, sliding_window: 1024, sliding_window_pattern: 6 },
  };
  expect(architectureOfConfig(config)).toMatchObject({ headSize: 256, window: { tokens: 1024, every: 6 } });
});

test('reads a mixture of experts', () => {
  const config = { ...qwen, moe_intermediate_size: 768, num_experts: 128, num_experts_per_tok: 8 };
  expect(architectureOfConfig(config)).toMatchObject({ feedForward: 768, experts: { count: 128, used: 8 } });
});

test.each([
  [['falcon:40b'], 'the table of known models must have the tag, got "falcon:40b"'],
  [[], 'fit-model needs a model as its first argument, got nothing'],
  [['--context=1'], 'fit-model needs a model as its first argument, got "--context=1"'],
  [['qwen2.5:7b', '--context=many'], '--context must be a whole number, got "many"'],
  [['qwen2.5:7b', '--parallel=0'], '--parallel must be a whole number, got "0"'],
  [['qwen2.5:7b', '--kv-cache=q8'], '--kv-cache must be a type of the cache, got "q8" (allowed: f16, q8_0, q4_0)'],
  [['qwen2.5:7b', '--contxt=1'], 'did you mean --context?'],
  [['qwen2.5:7b', '--quantization=iq2'], '--quantization must be one of Ollama, got "iq2"'],
  [['none.gguf'], 'the file must exist, got "none.gguf"'],
  [['none.json'], 'the file must exist, got "none.json"'],
])('refuses %j', (args, message) => {
  expect(() => fit(...args)).toThrow(message);
});

test('refuses a config.json that is none, or that has no numbers', () => {
  expect(() => fit(file('text.json', '<html>'))).toThrow('must be JSON, got ');
  expect(() => fit(file('empty.json', '{}'))).toThrow(
    'config.json must have the numbers of a transformer, got "no hidden_size or n_embd or d_model, no num_attention_heads',
  );
});

test('refuses a homelab without models', () => {
  const none = { ...homelab, llm: undefined } as Homelab;
  expect(() => fitOf(none, ['qwen2.5:7b'])).toThrow('homelab.ts must have llm');
});
