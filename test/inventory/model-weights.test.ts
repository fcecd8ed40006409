import { knownArchitecture, quantizationOf, weightBytes } from '../../inventory';
import { ARCHITECTURES } from '../../inventory/model-architectures';

/**
 * Sizes of published GGUF files in GB (10^9 bytes). Listings on huggingface.co and ollama.com were compared, which have three digits;
 * the fourth is recalled. That of a sibling of the same shape counts too: Qwen2.5 base, Llama 3 8B in q4_0, Phi 3, Granite 3.0.
 */
const files: readonly (readonly [tag: string, size: number])[] = [
  ['qwen2.5:0.5b-instruct-q4_K_M', 0.398],
  ['qwen2.5:3b-instruct-q4_K_M', 1.93],
  ['qwen2.5:7b-instruct-q4_K_M', 4.683],
  ['qwen2.5:14b-instruct-q4_K_M', 8.988],
  ['qwen2.5:32b-instruct-q4_K_M', 19.851],
  ['llama3.1:8b-instruct-q4_K_M', 4.921],
  ['llama3.1:8b-instruct-q4_K_S', 4.693],
  ['llama3.1:8b-instruct-q4_0', 4.661],
  ['llama3.1:8b-instruct-q5_K_M', 5.733],
  ['llama3.1:8b-instruct-q6_K', 6.596],
  ['llama3.1:8b-instruct-q8_0', 8.541],
  ['llama3.1:8b-instruct-q3_K_L', 4.322],
  ['llama3.3:70b-instruct-q4_K_M', 42.52],
  ['llama3.2:1b-instruct-q4_K_M', 0.808],
  ['llama3.2:3b-instruct-q4_K_M', 2.019],
  ['qwen3:32b-q4_K_M', 19.762],
  ['gemma2:27b-instruct-q4_K_M', 16.645],
  ['mistral:7b-instruct-v0.3-q4_K_M', 4.373],
  ['mistral-nemo:12b-instruct-2407-q4_K_M', 7.477],
  ['mistral-small:24b-instruct-2501-q4_K_M', 14.334],
  ['phi3.5:3.8b-mini-instruct-q4_K_M', 2.393],
  ['granite3.3:8b', 4.943],
  ['nomic-embed-text:137m-v1.5-fp16', 0.274],
  // 1.04 GiB in the log of ollama/ollama#9362.
  ['deepseek-r1:1.5b', 1.117],
  // Recalled: no listing of these was found.
  ['qwen2.5:1.5b-instruct-q4_K_M', 0.986],
  ['qwen3:4b-q4_K_M', 2.497],
  ['qwen3:8b-q4_K_M', 5.028],
  ['qwen3:30b-a3b-q4_K_M', 18.557],
  ['gemma2:9b-instruct-q4_K_M', 5.761],
  ['phi4:14b-q4_K_M', 9.053],
];

test.each(files)('%s has the size of its file: %d GB', (tag, size) => {
  const architecture = knownArchitecture(tag)!;
  const ratio = weightBytes(architecture, quantizationOf(tag, architecture)).all / (size * 1e9);
  expect(ratio).toBeGreaterThan(0.998);
  expect(ratio).toBeLessThan(1.035);
});

test('the number of weights of each known model follows from its other numbers', () => {
  for (const [family, sizes] of Object.entries(ARCHITECTURES))
    for (const [size, architecture] of Object.entries(sizes)) {
      // Two bytes for each weight, and what stays in f32.
      const weights = (weightBytes(architecture, 'f16').all - (architecture.vision ?? 0) * 2) / 2;
      const ratio = weights / architecture.parameters;
      expect([`${family}:${size}`, ratio > 0.99 && ratio < 1.1]).toEqual([`${family}:${size}`, true]);
    }
});

test.each([
  ['mlx-community/Qwen2.5-3B-Instruct-bf16', 36],
  ['mlx-community/Meta-Llama-3.1-8B-Instruct-4bit', 32],
  ['mlx-community/DeepSeek-R1-Distill-Qwen-7B-4bit', 28],
  ['mistralai/Mistral-Nemo-Instruct-2407', 40],
  ['microsoft/Phi-3.5-mini-instruct', 32],
  ['google/gemma-3-4b-it', 34],
  ['qwen2.5-coder:7b-instruct', 28],
  ['mistral:7b', 32],
  ['hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M', 28],
])('knows %s', (name, layers) => {
  expect(knownArchitecture(name)?.layers).toBe(layers);
});

test.each([
  'falcon:40b-instruct',
  'llama3.2-vision:11b',
  'qwen2.5vl:7b',
  'qwen3-embedding:8b',
  'mistral-large:123b',
  'qwen2.5:99b',
  'llama:7b',
  'phi3.5-moe:42b',
  'nomic-embed-text-v2-moe',
  '',
])('does not know %s', (name) => {
  expect(knownArchitecture(name)).toBeUndefined();
});

test.each([
  ['qwen2.5:14b', 'q4_K_M'],
  ['qwen2.5:14b-instruct-fp16', 'f16'],
  ['mlx-community/Qwen2.5-3B-Instruct-bf16', 'f16'],
  ['qwen2.5:14b-instruct-q3_K_S', 'q3_K_S'],
  ['hf.co/bartowski/x-GGUF:Q5_K_M', 'q5_K_M'],
  ['gemma3:27b-it-qat', 'qat'],
  ['qwen2.5:7b-q8_0', 'q8_0'],
] as const)('%s is quantized as %s', (tag, quantization) => {
  expect(quantizationOf(tag, knownArchitecture('qwen2.5:7b')!)).toBe(quantization);
});
