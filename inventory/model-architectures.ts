import type { ModelArchitecture } from './models';

/**
 * Numbers of well-known models, with the keys of config.json on Hugging Face (num_hidden_layers, num_attention_heads,
 * num_key_value_heads, head_dim, hidden_size, intermediate_size, vocab_size, max_position_embeddings). No repository was downloaded.
 * Each family was compared with some of these; letters hold down to the next ones:
 *
 * - L: litgpt/config.py of Lightning-AI/litgpt at 26857050 (where it differs from C or M in the context, those count)
 * - M: python/mlc_llm/model/model_preset.py of mlc-ai/mlc-llm at 79d603f0
 * - C: copies of config.json on huggingface.co or GitHub, of the model itself or with its name in _name_or_path
 * - O: the header of the file on ollama.com, or a log of it in an issue of Ollama
 *
 * Numbers of weights follow from the others, to 1 %; those of `vision` from vision_config. Contexts are those of the model, or of
 * its -Instruct where the base has another: files may say more, such as 1024000 for mistral-nemo. Recalled, not compared: `fused`.
 * test/inventory/model-weights.test.ts holds the weights that follow against sizes of files.
 */
const known = (
  billions: number,
  layers: number,
  [heads, kvHeads, headSize]: readonly [heads: number, kvHeads: number, headSize: number],
  [width, feedForward]: readonly [width: number, feedForward: number],
  vocabulary: number,
  maxContext: number,
  more: Partial<ModelArchitecture> = {},
): ModelArchitecture => ({
  parameters: Math.round(billions * 1e9),
  layers,
  heads,
  kvHeads,
  headSize,
  width,
  feedForward,
  vocabulary,
  maxContext,
  ...more,
});

const llama8 = known(8.03, 32, [32, 8, 128], [4096, 14336], 128256, 131072);
const llama70 = known(70.554, 80, [64, 8, 128], [8192, 28672], 128256, 131072);
const qwen7 = known(7.616, 28, [28, 4, 128], [3584, 18944], 152064, 32768);
const qwen14 = known(14.77, 48, [40, 8, 128], [5120, 13824], 152064, 32768);
const qwen32 = known(32.764, 64, [40, 8, 128], [5120, 27648], 152064, 32768);
const qwen1 = known(1.544, 28, [12, 2, 128], [1536, 8960], 151936, 32768);
const qwen3of8 = known(8.191, 36, [32, 8, 128], [4096, 12288], 151936, 40960);
const gemma3 = { window: { tokens: 1024, every: 6 }, vision: 0.42e9 };
const gemma2 = { window: { tokens: 4096, every: 2 } };
const embedding = { embedding: true };
const bertLarge = known(0.335, 24, [16, 16, 64], [1024, 4096], 30522, 512, embedding);
const small24 = known(23.572, 40, [32, 8, 128], [5120, 32768], 131072, 32768);

/** By family, then by size as in Ollama tags and repository names; '' for a family with one size. */
export const ARCHITECTURES: Readonly<Record<string, Readonly<Record<string, ModelArchitecture>>>> = {
  // L
  llama2: {
    '7b': known(6.738, 32, [32, 32, 128], [4096, 11008], 32000, 4096),
    '13b': known(13.016, 40, [40, 40, 128], [5120, 13824], 32000, 4096),
  },
  // L, M
  llama3: { '8b': { ...llama8, maxContext: 8192 }, '70b': { ...llama70, maxContext: 8192 } },
  'llama3.1': { '8b': llama8, '70b': llama70 },
  'llama3.2': {
    '1b': known(1.236, 16, [32, 8, 64], [2048, 8192], 128256, 131072),
    '3b': known(3.213, 28, [24, 8, 128], [3072, 8192], 128256, 131072),
  },
  'llama3.3': { '70b': llama70 },
  // L, C; the context of 32b as xinference has it
  'qwen2.5': {
    '0.5b': known(0.494, 24, [14, 2, 64], [896, 4864], 151936, 32768),
    '1.5b': qwen1,
    '3b': known(3.086, 36, [16, 2, 128], [2048, 11008], 151936, 32768),
    '7b': qwen7,
    '14b': qwen14,
    '32b': qwen32,
    '72b': known(72.706, 80, [64, 8, 128], [8192, 29568], 152064, 32768),
  },
  // L, C. Files of 0.6b hold the output layer a second time: 805 MB in q8_0 (lmstudio.ai). Those of 1.7b too: recalled.
  qwen3: {
    '0.6b': known(0.752, 28, [16, 8, 128], [1024, 3072], 151936, 40960),
    '1.7b': known(2.032, 28, [16, 8, 128], [2048, 6144], 151936, 40960),
    '4b': known(4.022, 36, [32, 8, 128], [2560, 9728], 151936, 40960),
    '8b': qwen3of8,
    '14b': known(14.768, 40, [40, 8, 128], [5120, 17408], 151936, 40960),
    '32b': known(32.762, 64, [64, 8, 128], [5120, 25600], 151936, 40960),
    '30b': known(30.532, 48, [32, 4, 128], [2048, 768], 151936, 40960, { experts: { count: 128, used: 8 } }),
  },
  // L
  qwq: { '32b': { ...qwen32, maxContext: 131072 } },
  // C, O, and L for 70b
  'deepseek-r1': {
    // Unlike Qwen's it has an output layer of its own: 1.78 B weights (ollama/ollama#9362).
    '1.5b': { ...qwen1, parameters: 1.777e9, maxContext: 131072 },
    '7b': { ...qwen7, maxContext: 131072 },
    // Two models had this tag: that of Qwen 3 (0528) takes more.
    '8b': { ...qwen3of8, maxContext: 131072 },
    '14b': { ...qwen14, maxContext: 131072 },
    '32b': { ...qwen32, maxContext: 131072 },
    '70b': llama70,
  },
  // L, M
  gemma2: {
    '2b': known(2.614, 26, [8, 4, 256], [2304, 9216], 256000, 8192, gemma2),
    '9b': known(9.242, 42, [16, 8, 256], [3584, 14336], 256000, 8192, gemma2),
    '27b': known(27.227, 46, [32, 16, 128], [4608, 36864], 256000, 8192, gemma2),
  },
  // L, C
  gemma3: {
    '1b': known(1, 26, [4, 1, 256], [1152, 6912], 262144, 32768, { window: { tokens: 512, every: 6 } }),
    '4b': known(3.88, 34, [8, 4, 256], [2560, 10240], 262208, 131072, gemma3),
    '12b': known(11.766, 48, [16, 8, 256], [3840, 15360], 262208, 131072, gemma3),
    '27b': known(27.009, 62, [32, 16, 128], [5376, 21504], 262208, 131072, gemma3),
  },
  // L, M
  mistral: { '7b': known(7.248, 32, [32, 8, 128], [4096, 14336], 32768, 32768) },
  // C
  'mistral-nemo': { '12b': known(12.248, 40, [32, 8, 128], [5120, 14336], 131072, 131072) },
  'mistral-small': { '22b': known(22.247, 56, [48, 8, 128], [6144, 16384], 32768, 32768), '24b': small24 },
  'mistral-small3.1': { '24b': { ...small24, maxContext: 131072, vision: 0.44e9 } },
  'mistral-small3.2': { '24b': { ...small24, maxContext: 131072, vision: 0.44e9 } },
  // L, M
  mixtral: {
    '8x7b': known(46.703, 32, [32, 8, 128], [4096, 14336], 32000, 32768, { experts: { count: 8, used: 2 } }),
  },
  // L, and C for 14b
  phi3: {
    '3.8b': known(3.821, 32, [32, 32, 96], [3072, 8192], 32064, 131072, { fused: true }),
    '14b': known(13.96, 40, [40, 10, 128], [5120, 17920], 32064, 131072, { fused: true }),
  },
  // L, M, C
  'phi3.5': { '3.8b': known(3.821, 32, [32, 32, 96], [3072, 8192], 32064, 131072, { fused: true }) },
  phi4: { '14b': known(14.66, 40, [40, 10, 128], [5120, 17920], 100352, 16384, { fused: true }) },
  'phi4-mini': { '3.8b': known(3.836, 32, [24, 8, 128], [3072, 8192], 200064, 131072, { fused: true }) },
  // C
  'granite3.3': {
    '2b': known(2.534, 40, [32, 8, 64], [2048, 8192], 49159, 131072),
    '8b': known(8.171, 40, [32, 8, 128], [4096, 12800], 49159, 131072),
  },
  // L, M
  smollm2: {
    '135m': known(0.1345, 30, [9, 3, 64], [576, 1536], 49152, 8192),
    '360m': known(0.3618, 32, [15, 5, 64], [960, 2560], 49152, 8192),
    '1.7b': known(1.711, 24, [32, 32, 64], [2048, 8192], 49152, 8192),
  },
  // C, O
  'nomic-embed-text': { '': known(0.137, 12, [12, 12, 64], [768, 3072], 30528, 2048, embedding) },
  'mxbai-embed-large': { '': bertLarge },
  'snowflake-arctic-embed': { '335m': bertLarge },
  'bge-m3': { '': known(0.567, 24, [16, 16, 64], [1024, 4096], 250002, 8192, embedding) },
  'all-minilm': {
    '22m': known(0.0227, 6, [12, 12, 32], [384, 1536], 30522, 512, embedding),
    '33m': known(0.0334, 12, [12, 12, 32], [384, 1536], 30522, 512, embedding),
  },
};

/** Longest name first, so that phi3.5 does not match phi3. */
const FAMILIES = Object.keys(ARCHITECTURES).sort((one, other) => other.length - one.length);

/** A size within a name: 14b, 0.5B, 335m, 8x7b. */
const SIZE = /(?:^|[^a-z0-9.])(\d+x\d+b|\d+(?:\.\d+)?[bm])(?![a-z0-9])/;

/** Numbers of a model by its Ollama tag or Hugging Face repository. Undefined when the table does not have the model. */
export function knownArchitecture(name: string): ModelArchitecture | undefined {
  // qwen2.5:14b-instruct, mlx-community/Qwen2.5-3B-Instruct-bf16, hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M
  const last = name
    .toLowerCase()
    .replace(/^.*\//, '')
    .replace(/^meta-/, '');
  const familyPart = last.replace(/:.*$/, '');
  const family = FAMILIES.find((each) => isFamily(familyPart, each));
  if (family === undefined) return undefined;
  const sizes = ARCHITECTURES[family]!;
  const size = SIZE.exec(last)?.[1];
  const only = Object.keys(sizes).length === 1 ? Object.values(sizes)[0] : undefined;
  return size === undefined ? only : (sizes[size] ?? sizes['']);
}

/** Variants such as qwen2.5-coder have the numbers of their family. Other names with the same beginning do not. */
function isFamily(name: string, family: string): boolean {
  const plain = name.replace(/^(llama|qwen|gemma|phi|granite)-(?=\d)/, '$1');
  if (plain === family) return true;
  const rest = plain.slice(family.length);
  if (/(?:^|[-_])moe/.test(rest)) return false;
  return plain.startsWith(family) && /^-(?:coder|math|instruct|it|chat|base|distill|v?\d|mini)/.test(rest);
}
