import { json } from '../engine/json';
import type { Context } from './context';
import { isFault, NotReady, Problem, Blocked } from '../engine/problem';
import { ollamaVersion } from '../../machines/ollama';
import { aiVm, type AiVm } from './ubuntu';

/** Ollama as it answers on its own machine. */
export interface OllamaApi {
  readonly vm: AiVm;
  /** @returns its version, as v0.32.15 */
  version(): Promise<string>;
  /** The models that are there: digest of the manifest by tag. */
  tags(): Promise<ReadonlyMap<string, string>>;
  /** The models that are loaded, by tag. */
  loaded(): Promise<ReadonlyMap<string, Loaded>>;
  /** Has a model say something. @throws Problem when it does not */
  generate(request: Generate): Promise<{ readonly tokensPerSecond: number }>;
}

export interface Loaded {
  /** Bytes, and those of them that are in the memory of the GPU. */
  readonly size: number;
  readonly sizeVram: number;
  readonly context: number;
  /** Whether it stays until something unloads it. */
  readonly stays: boolean;
}

export interface Generate {
  readonly tag: string;
  /** Tokens that it is loaded for. */
  readonly context: number;
  /** Whether it is a model that stays loaded: loading it anew would end that. @default false */
  readonly stays?: boolean;
  /** Whether the GPU is left out; the model is unloaded then, or later requests would find it on the CPU. @default false */
  readonly onCpu?: boolean;
}

/** Ollama answered, and could not do what it was asked for. */
export class Refusal extends Problem {}

/** Time to load a model (OLLAMA_LOAD_TIMEOUT) and to say 64 tokens at half a token per second. */
const GENERATE_SECONDS = 900 + 128;
/** Enough to tell the speed of a CPU from that of a GPU, and short on both. */
const TOKENS = 64;
const PROMPT = 'Write a short story about a lighthouse keeper who finds a letter.';

export function ollamaApi(context: Context): OllamaApi {
  const llm = context.homelab.llm!;
  const vm = aiVm(context, llm.machine);

  async function ask(path: string, body?: object, seconds = 30): Promise<any> {
    const data = body === undefined ? [] : ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];
    const url = `http://127.0.0.1:${llm.port}${path}`;
    const argv = ['curl', '-sS', '--max-time', `${seconds}`, '-w', '\\n%{http_code}', ...data, url];
    // 7: nobody listens.
    const options = { seconds: seconds + 30, waitsFor: 'Ollama', accepts: [0, 7] };
    const { stdout, code: ended } = await context.commands.read(vm.place, argv, options);
    if (ended === 7) throw new NotReady(`Ollama does not run on ${vm.name}`);
    const [, text, code] = /^([^]*)\n(\d{3})$/.exec(stdout) ?? [];
    if (text === undefined) throw nonsense(path, stdout);
    const answer = json(text, `Ollama's ${path}`);
    if (code !== '200') throw new Refusal(`Ollama's ${path} answered ${code}: ${answer?.error ?? text.slice(0, 200)}`);
    return answer;
  }

  async function models(path: string): Promise<any[]> {
    const answer = await ask(path);
    if (!Array.isArray(answer?.models)) throw nonsense(path, JSON.stringify(answer));
    return answer.models;
  }

  return {
    vm,
    async version() {
      const { version } = (await ask('/api/version')) ?? {};
      if (typeof version !== 'string') throw nonsense('/api/version', JSON.stringify(version));
      return `v${version.replace(/^v/, '')}`;
    },
    async tags() {
      const found = (await models('/api/tags')).map(({ name, digest }): [string, string] => {
        const hex = String(digest).replace(/^sha256:/, '');
        if (typeof name !== 'string' || !/^[0-9a-f]{64}$/.test(hex))
          throw nonsense('/api/tags', JSON.stringify({ name, digest }));
        return [shortTag(name), hex];
      });
      return new Map(found);
    },
    async loaded() {
      const found = (await models('/api/ps')).map((model): [string, Loaded] => {
        const { name, size, size_vram: sizeVram = 0, context_length: length, expires_at: until } = model;
        const numbers = [size, sizeVram, length];
        if (typeof name !== 'string' || !numbers.every(Number.isFinite))
          throw nonsense('/api/ps', JSON.stringify(model));
        // A model that stays expires in some hundred years.
        const stays = Number(String(until).slice(0, 4)) > new Date().getFullYear() + 1;
        return [shortTag(name), { size, sizeVram, context: length, stays }];
      });
      return new Map(found);
    },
    async generate({ tag, context: length, stays = false, onCpu = false }) {
      const options = { num_ctx: length, num_predict: TOKENS, temperature: 0, seed: 1, ...(onCpu && { num_gpu: 0 }) };
      const keep = onCpu ? { keep_alive: 0 } : stays ? { keep_alive: -1 } : {};
      const body = { model: tag, prompt: PROMPT, stream: false, ...keep, options };
      const { eval_count: count, eval_duration: nanoseconds } = await ask('/api/generate', body, GENERATE_SECONDS);
      if (!(count > 0) || !(nanoseconds > 0)) throw nonsense('/api/generate', JSON.stringify({ count, nanoseconds }));
      return { tokensPerSecond: Math.round((count / nanoseconds) * 1e11) / 100 };
    },
  };
}

/** @throws Stop when Ollama does not answer, or is another version than homelab.ts says */
export async function assertOllama(context: Context, api: OllamaApi): Promise<void> {
  const fix = 'npm run bootstrap -- apply ai-vm';
  let version: string;
  try {
    version = await api.version();
  } catch (error) {
    if (!isFault(error) || error instanceof Blocked) throw error;
    throw new Blocked(`Ollama must answer on ${api.vm.name}, and does not: ${error.message}; ${fix}`);
  }
  const wanted = ollamaVersion(context.homelab);
  if (version !== wanted) throw new Blocked(`Ollama on ${api.vm.name} must be ${wanted}, and is ${version}; ${fix}`);
}

/** A name as Ollama itself prints it. */
export function shortTag(tag: string): string {
  return tag.replace(/^registry\.ollama\.ai\//, '').replace(/^library\//, '');
}

function nonsense(path: string, got: string): Blocked {
  return new Blocked(
    `Ollama's ${path} must answer in a form that is known, and answered ${JSON.stringify(String(got).slice(0, 120))}`,
  );
}
