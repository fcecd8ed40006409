import { sentence } from '../values/problem';
import type { ModelArchitecture } from './models';

/** Numbers of a model from its config.json on Hugging Face. @throws with the missing keys */
export function architectureOfConfig(config: unknown): ModelArchitecture {
  const all = fields(config);
  // Models that read images keep the numbers of their text part in a separate object.
  const text = { ...all, ...fields(all.text_config) };
  const missing: string[] = [];
  const number = (...keys: string[]): number => {
    const found = keys.map((key) => text[key]).find((value) => isCount(value));
    if (found === undefined) missing.push(keys.join(' or '));
    return (found as number | undefined) ?? 1;
  };
  const optional = (...keys: string[]): number | undefined =>
    keys.map((key) => text[key]).find((value): value is number => isCount(value));
  const width = number('hidden_size', 'n_embd', 'd_model');
  const heads = number('num_attention_heads', 'n_head', 'n_heads');
  const layers = number('num_hidden_layers', 'n_layer', 'n_layers');
  const vocabulary = number('vocab_size');
  const maxContext = number('max_position_embeddings', 'n_positions', 'max_seq_len');
  const experts = optional('num_experts', 'num_local_experts', 'n_routed_experts');
  const feedForward =
    (experts === undefined ? undefined : optional('moe_intermediate_size')) ??
    number('intermediate_size', 'n_inner', 'ffn_dim', 'ffn_hidden_size');
  const used = experts === undefined ? undefined : number('num_experts_per_tok');
  if (missing.length > 0)
    throw new Error(
      sentence({
        what: 'config.json must have the numbers of a transformer',
        got: `no ${missing.join(', no ')}`,
        fix: 'use the config.json of the repository on Hugging Face, or a GGUF file',
      }),
    );
  const type = String(text.model_type ?? '');
  const shape = {
    layers,
    heads,
    kvHeads: optional('num_key_value_heads', 'num_kv_heads') ?? heads,
    headSize: optional('head_dim') ?? Math.floor(width / heads),
    width,
    feedForward,
    vocabulary,
    maxContext,
    ...(experts !== undefined && { experts: { count: experts, used: used! } }),
    ...windowOf(type, optional('sliding_window'), optional('sliding_window_pattern')),
    ...(/bert/.test(type) && { embedding: true }),
  };
  // Types whose class in transformers shares the embedding by default.
  const tied = text.tie_word_embeddings ?? /gemma|bert/.test(type);
  return { parameters: parametersOf(shape, tied === true), ...shape };
}

/** Model types whose sliding window llama.cpp and Ollama use. The window of other types is ignored. */
export function windowOf(type: string, tokens?: number, pattern?: number): Pick<ModelArchitecture, 'window'> {
  const every = { gemma2: 2, gemma3: pattern ?? 6, gemma3_text: pattern ?? 6 }[type];
  return tokens === undefined || every === undefined ? {} : { window: { tokens, every } };
}

function parametersOf(shape: Omit<ModelArchitecture, 'parameters'>, tied: boolean): number {
  const { layers, heads, kvHeads, headSize, width, feedForward, vocabulary, experts, embedding } = shape;
  const attention = width * headSize * 2 * (heads + kvHeads);
  const matrices = width * feedForward * (embedding === true ? 2 : 3) * (experts?.count ?? 1);
  return vocabulary * width * (tied ? 1 : 2) + layers * (attention + matrices + 2 * width);
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0;
}
