/** A model that services and web apps may connect to: pulled from a registry, or trained here. */
export type Model = PulledModel | TunedModel;

/** Fields of both kinds of model. */
export interface ServedModel {
  /**
   * Name that clients send to Ollama, as `name:tag`. It stays the same when another version is served.
   * @default the tag of a pulled model; NAME:stable of a trained one
   */
  readonly stable?: string;
  /** Context length in tokens, for each parallel request. */
  readonly context: number;
  /** Whether the model stays loaded in memory. @default false */
  readonly resident?: boolean;
  /** Services and web apps that may connect to it; synth fails on a connection of any other. @default all of them */
  readonly usedBy?: readonly string[];
  /** Numbers of its architecture. Required only for a model that the table in inventory/model-architectures.ts does not have. */
  readonly architecture?: ModelArchitecture;
  /**
   * Prompts with expected answers: `npm run models` checks them before a version is served. A trained model needs at least one.
   * @default none
   */
  readonly prompts?: readonly ModelPrompt[];
  /**
   * Another endpoint for the same work. Clients decide when to use it, for example while this machine is off. Clients get
   * PREFIX_FALLBACK_HOST, _PORT, _BASE_URL, _MODEL and, where it needs one, _API_KEY. @default none
   */
  readonly fallback?: ModelFallback;
}

/** An endpoint with an API like OpenAI's: hosted, or on another machine. */
export interface ModelFallback {
  /** DNS name, such as api.example.com. */
  readonly host: string;
  /** IPv4 addresses of that name, because a NetworkPolicy cannot hold names. Clients can reach no others. */
  readonly addresses: readonly [string, ...string[]];
  /** Port: HTTPS on 443, HTTP on any other. @default 443 */
  readonly port?: number;
  /** Name of the model there. */
  readonly model: string;
  /** Whether it needs an API key, which the bootstrap asks for. @default only on port 443 */
  readonly apiKey?: boolean;
}

/** A model from the registry of Ollama. */
export interface PulledModel extends ServedModel {
  /** Exact tag of Ollama, such as qwen2.5:14b-instruct-q4_K_M, never latest. */
  readonly tag: string;
  /**
   * Digest of its manifest: `sha256:` and 64 digits, as printed by `curl http://MACHINE:11434/api/tags` (`ollama list` prints
   * only 12). @default that of the first pull, kept in scripts/digests.json
   */
  readonly digest?: string;
}

/** A model that is trained here: a base, fine-tuned on the Mac and published with `npm run models -- publish NAME`. */
export interface TunedModel extends ServedModel {
  /** The model that the training starts from. */
  readonly base: BaseModel;
  /** The fine-tuning. */
  readonly training: Training;
  /** Export settings of the published weights. @default { quantization: 'q4_K_M' } */
  readonly export?: ModelExport;
  /** Versions that stay on the machine beside the served one, for a rollback. @default 2 */
  readonly keep?: number;
}

/** A model on Hugging Face in the format of MLX. */
export interface BaseModel {
  /** Repository, such as mlx-community/Qwen2.5-3B-Instruct-bf16, or a folder on the Mac that begins with ./ or /. */
  readonly repository: string;
  /** Commit of the repository: 40 hexadecimal digits. For a folder: `sha256:` and the digest that `npm run models -- doctor` prints. */
  readonly revision: string;
  /** Licence, as an SPDX identifier or a name; shown on the card of each version. */
  readonly license: string;
}

/** Settings of one training with MLX. Defaults are those of mlx_lm.lora 0.32. */
export interface Training {
  /** Folder with train.jsonl and valid.jsonl, from the root of the repository. */
  readonly data: string;
  /** Digest of both files: `sha256:` and 64 digits, as printed by `npm run models -- doctor`. */
  readonly digest: string;
  /** Host that trains: a Mac of `hosts`. @default the only Mac */
  readonly host?: string;
  /** `lora` trains an adapter; `full` trains all weights and needs several times the memory. @default lora */
  readonly kind?: 'lora' | 'full';
  /** Rank of the adapter. Not allowed for a full training. @default 8 */
  readonly rank?: number;
  /** Scale of the adapter's output. Not allowed for a full training. @default 20 */
  readonly scale?: number;
  /** Number of layers to train, counted from the last one; -1 for all. @default 16 */
  readonly layers?: number;
  /** Learning rate of the optimizer. @default 0.00001 */
  readonly learningRate?: number;
  /** Iterations, each over one batch. @default 1000 */
  readonly iterations?: number;
  /** Examples in a batch. @default 4 */
  readonly batch?: number;
  /** Longest example in tokens. `train` stops on a longer one. @default 2048 */
  readonly maxSequence?: number;
  /** Seed of the order of examples and of the adapter's first weights. @default 0 */
  readonly seed?: number;
  /** Ends the training after this many validations without a lower loss. @default 3 */
  readonly patience?: number;
  /** Whether to recompute activations in the backward pass: slower, but less memory. @default true */
  readonly gradientCheckpoint?: boolean;
}

/** Defaults of a training. */
const TRAINING_DEFAULTS = {
  kind: 'lora',
  rank: 8,
  scale: 20,
  layers: 16,
  learningRate: 1e-5,
  iterations: 1000,
  batch: 4,
  maxSequence: 2048,
  seed: 0,
  patience: 3,
  gradientCheckpoint: true,
} as const;

/** The settings of a training with defaults filled in, without its data and host. */
export function trainingSettings({
  data: _data,
  digest: _digest,
  host: _host,
  ...given
}: Training): Required<Omit<Training, 'data' | 'digest' | 'host'>> {
  return { ...TRAINING_DEFAULTS, ...defined(given) };
}

/** Without the properties that are set to undefined, which would hide a default. */
function defined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

/** Weights that are published. */
export interface ModelExport {
  /** Quantization of Ollama. @default q4_K_M */
  readonly quantization?: 'f16' | 'q8_0' | 'q4_K_M';
  /** Least share of equal first words between the answers before and after quantization, 0 to 1. Not allowed for f16, whose answers must be equal. @default 0.8 */
  readonly tolerance?: number;
  /** Template of Ollama. @default the one that Ollama finds in the base */
  readonly template?: string;
  /** System prompt. @default none */
  readonly system?: string;
}

/** The settings of an export with defaults filled in. */
export function exportSettings({
  export: given,
}: TunedModel): ModelExport & Required<Pick<ModelExport, 'quantization' | 'tolerance'>> {
  return { quantization: 'q4_K_M', tolerance: 0.8, ...defined(given ?? {}) };
}

/** A prompt and its expected answer. Uses greedy decoding: temperature 0, no repeat penalty. */
export type ModelPrompt = {
  /** What the user says. */
  readonly prompt: string;
  /** Most tokens of the answer. @default 128 */
  readonly tokens?: number;
} & (
  | { readonly exact: string }
  | { readonly contains: string }
  | { readonly refuses: true }
  | { readonly similarTo: string; /** Least similarity of the words, 0 to 1. */ readonly tolerance: number }
);

/** Numbers of a transformer that decide how much memory its context takes. */
export interface ModelArchitecture {
  /** Number of weights. */
  readonly parameters: number;
  /** Layers (num_hidden_layers). */
  readonly layers: number;
  /** Heads of keys and values in each layer (num_key_value_heads). */
  readonly kvHeads: number;
  /** Size of a head (head_dim). */
  readonly headSize: number;
  /** Width (hidden_size). */
  readonly width: number;
  /** Attention heads (num_attention_heads). */
  readonly heads: number;
  /** Tokens of the vocabulary (vocab_size). */
  readonly vocabulary: number;
  /** Width of the feed-forward layers (intermediate_size). */
  readonly feedForward: number;
  /** Longest context that it was trained for (max_position_embeddings). Ollama reduces a longer one to this. */
  readonly maxContext: number;
  /** Mixture of experts: `feedForward` is the width of one (moe_intermediate_size). @default none */
  readonly experts?: { /** num_experts */ readonly count: number; /** num_experts_per_tok */ readonly used: number };
  /** Layers that see only the last tokens (sliding_window); one layer of `every` sees all of them. @default all layers see all */
  readonly window?: { readonly tokens: number; readonly every: number };
  /** Weights that read images, which Ollama keeps in f16. @default 0 */
  readonly vision?: number;
  /** Whether it makes embeddings (BERT): no flash attention, a cache in f16, weights in f16 by default. @default false */
  readonly embedding?: boolean;
  /** Whether query, key and value are one matrix (Phi 3 and 4), which q4_K_M gives more bits. @default false */
  readonly fused?: boolean;
}

/** Type of the cache for keys and values. */
export type KvCacheType = 'f16' | 'q8_0' | 'q4_0';

/** Settings of Ollama for the contexts of all models, with defaults filled in. */
export function contextSettings({
  parallel = 1,
  kvCache = 'q8_0',
}: GivenContextSettings): Required<GivenContextSettings> {
  return { parallel, kvCache };
}

interface GivenContextSettings {
  readonly parallel?: number;
  readonly kvCache?: KvCacheType;
}

/** Whether a model is trained here, not pulled. */
export function isTuned(model: Model): model is TunedModel {
  return 'base' in model;
}

/** Name that clients send to Ollama for a model of homelab.ts. */
export function servedName(name: string, model: Model): string {
  return model.stable ?? (isTuned(model) ? `${name}:stable` : model.tag);
}

/** Whether a fallback needs an API key. */
export function hasKey({ apiKey, port = 443 }: ModelFallback): boolean {
  return apiKey ?? port === 443;
}

/** Name of one version of a trained model on Ollama. */
export function versionName(name: string, version: number): string {
  return `${name}:v${version}`;
}
