import type { Commands, Output, Target } from '../engine/commands';
import { json } from '../engine/json';
import { Blocked, NotReady, Problem } from '../engine/problem';
import type { Progress } from '../engine/step';

/** A model as Ollama lists it. */
export interface Installed {
  /** SHA-256 of its manifest: 64 digits. */
  readonly digest: string;
  /** Bytes of all its layers. */
  readonly size: number;
  /** When this name was written last. */
  readonly modified: string;
}

export interface Loaded {
  /** Bytes, and those of them that are in the memory of the GPU. */
  readonly size: number;
  readonly sizeVram: number;
  /** Tokens that it was loaded for; Infinity where Ollama does not tell: 0.9 and earlier. */
  readonly context: number;
  /** Whether it stays until something unloads it. */
  readonly stays: boolean;
}

/** Settings of a version besides its weights. */
export interface Wording {
  readonly template: string;
  readonly system: string;
  /** Parameters of Ollama, such as its stop words. */
  readonly parameters: Readonly<Record<string, ModelParameter | readonly ModelParameter[]>>;
}

type ModelParameter = string | number | boolean;

/** The parts from which a model is created. */
export interface Shown extends Wording {
  /** Files with its weights, on the machine of Ollama: one, unless it has an adapter or a projector. */
  readonly files: readonly string[];
}

export interface CreateRequest extends Partial<Wording> {
  readonly model: string;
  /** `sha256:` and 64 digits by the name of a file: blobs that are there. */
  readonly files: Readonly<Record<string, string>>;
  readonly quantize?: string;
}

interface Generate {
  readonly tag: string;
  /** Tokens that it is loaded for. */
  readonly context: number;
  /** Whether it is a model that stays loaded: a request without this would reset its keep-alive. @default false */
  readonly stays?: boolean;
  /** Whether the GPU is left out; the model is unloaded then, or later requests would find it on the CPU. @default false */
  readonly onCpu?: boolean;
}

interface Prompted extends Generate {
  readonly prompt: string;
  /** Most tokens of the answer. */
  readonly tokens: number;
  /** Whether the prompt goes to the model without the template. @default false */
  readonly raw?: boolean;
}

export interface Answer {
  readonly text: string;
  /** Tokens of it, and the seconds that they took. */
  readonly tokens: number;
  readonly seconds: number;
}

/** Ollama rejected a request. */
export class Refusal extends Problem {}

/** Time to load a model (OLLAMA_LOAD_TIMEOUT) and to generate 64 tokens at half a token per second. */
const GENERATE_SECONDS = 900 + 128;
/** Enough to distinguish the speed of a CPU from that of a GPU, and short on both. */
const TOKENS = 64;
const PROMPT = 'Write a short story about a lighthouse keeper who finds a letter.';

/** Time to copy 40 GB over a line of 16 Mbit/s. */
const BLOB_SECONDS = 6 * 3600;
/** Time to convert or quantize 30 GB on a slow disk. */
const CREATE_SECONDS = 3 * 3600;

const JSON_BODY = ['-H', 'Content-Type: application/json'];

interface Request {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly body?: object;
  readonly seconds?: number;
  /** HTTP codes that are an answer. @default [200] */
  readonly answers?: readonly number[];
}

/** The API of an Ollama, asked with curl on the machine that it runs on, where it needs no password. */
export class OllamaApi {
  constructor(
    readonly commands: Commands,
    readonly target: Target,
    private readonly url: string,
  ) {}

  /** @returns its version, as v0.32.15 */
  async version(): Promise<string> {
    const { version } = (await this.ask('/api/version')) ?? {};
    if (typeof version !== 'string') throw unknownForm('/api/version', JSON.stringify(version));
    return `v${version.replace(/^v/, '')}`;
  }

  /** The models that are there: digest of the manifest by tag. */
  async tags(): Promise<ReadonlyMap<string, string>> {
    return new Map([...(await this.installed())].map(([name, { digest }]) => [name, digest]));
  }

  /** The models that are there, by tag. */
  async installed(): Promise<ReadonlyMap<string, Installed>> {
    const found = (await this.models('/api/tags')).map((model): [string, Installed] => {
      const { name, digest, size = 0, modified_at: modified = '' } = model;
      const hex = String(digest).replace(/^sha256:/, '');
      if (typeof name !== 'string' || !/^[0-9a-f]{64}$/.test(hex))
        throw unknownForm('/api/tags', JSON.stringify({ name, digest }));
      return [shortTag(name), { digest: hex, size: Number(size), modified: String(modified) }];
    });
    return new Map(found);
  }

  /** The models that are loaded, by tag. */
  async loaded(): Promise<ReadonlyMap<string, Loaded>> {
    const found = (await this.models('/api/ps')).map((model): [string, Loaded] => {
      const { name, size, size_vram: sizeVram = 0, context_length: length = Infinity, expires_at: expires } = model;
      const numbers = [size, sizeVram, length === Infinity ? 0 : length];
      if (typeof name !== 'string' || !numbers.every(Number.isFinite))
        throw unknownForm('/api/ps', JSON.stringify(model));
      // A model that stays expires in some hundred years.
      const stays = Number(String(expires).slice(0, 4)) > new Date().getFullYear() + 1;
      return [shortTag(name), { size, sizeVram, context: length, stays }];
    });
    return new Map(found);
  }

  /** Generates some tokens with a model. @throws Refusal when Ollama cannot */
  async generate(model: Generate): Promise<{ readonly tokensPerSecond: number }> {
    const answer = await this.ask('/api/generate', generation({ ...model, prompt: PROMPT, tokens: TOKENS }), {
      seconds: GENERATE_SECONDS,
    });
    return { tokensPerSecond: speedOf(answer) };
  }

  /** The most probable answer to a prompt: temperature 0, and no penalty for what was said already. @throws Refusal */
  async answer(prompted: Prompted): Promise<Answer> {
    const { options, ...rest } = generation(prompted);
    const body = { ...rest, raw: prompted.raw ?? false, options: { ...options, repeat_penalty: 1 } };
    const answer = await this.ask('/api/generate', body, { seconds: GENERATE_SECONDS });
    if (typeof answer?.response !== 'string') throw unknownForm('/api/generate', JSON.stringify(answer));
    // Ollama leaves out what is 0: a model may end at once.
    const { eval_count: tokens = 0, eval_duration: nanoseconds = 0 } = answer;
    return { text: answer.response, tokens, seconds: nanoseconds / 1e9 };
  }

  /** Loads a model, to stay or for a time. @throws Refusal when Ollama cannot */
  async load(model: string, length: number, keep: -1 | string = -1): Promise<void> {
    const body = { model, keep_alive: keep, stream: false, options: { num_ctx: length } };
    const options = { seconds: GENERATE_SECONDS };
    try {
      await this.ask('/api/generate', body, options);
    } catch (error) {
      // A model that only embeds.
      if (!(error instanceof Refusal) || !error.message.includes('does not support generate')) throw error;
      await this.ask('/api/embed', body, options);
    }
  }

  /** Takes a model out of memory, where it is loaded. */
  async unload(model: string): Promise<void> {
    await this.ask('/api/generate', { model, keep_alive: 0, stream: false }, { seconds: 120 });
  }

  /** What a model is made of, or undefined where there is none of that name. */
  async show(model: string): Promise<Shown | undefined> {
    const found = await this.ask('/api/show', { model }, { answers: [200, 404] });
    if (found?.modelfile === undefined && /not found/.test(String(found?.error))) return undefined;
    if (typeof found?.modelfile !== 'string') throw unknownForm('/api/show', JSON.stringify(found));
    const files = [...found.modelfile.matchAll(/^(?:FROM|ADAPTER) (.+)$/gm)].map(([, file]) => file as string);
    const { template = '', system = '', parameters = '' } = found;
    return { files, template, system, parameters: parseParameters(parameters) };
  }

  /** Whether a blob is there. @param digest with its sha256: */
  async hasBlob(digest: string): Promise<boolean> {
    return (await this.call(`/api/blobs/${digest}`, { method: 'HEAD', answers: [200, 404] })).code === 200;
  }

  /**
   * Uploads a file of this machine. Ollama computes its digest, and rejects a file with another one.
   * @throws Refusal when what came has another digest, or there is no room
   */
  async uploadBlob(digest: string, file: string, sent?: (bytes: number) => void): Promise<void> {
    const path = `/api/blobs/${digest}`;
    const argv = this.curl(path, BLOB_SECONDS, [
      '-X',
      'POST',
      '-H',
      'Content-Type: application/octet-stream',
      '-T',
      '-',
    ]);
    const options = { seconds: BLOB_SECONDS + 30, waitsFor: 'the copy', accepts: [0, 7], stdinFile: file };
    const output = await this.commands.change(this.target, argv, { ...options, ...(sent && { sent }) });
    this.answered(path, output, [200, 201]);
  }

  /** Creates a model from blobs: converts and quantizes. @throws Refusal */
  async create(request: CreateRequest, progress: Progress): Promise<void> {
    progress(`Ollama makes ${request.model}`);
    const argv = this.curl('/api/create', CREATE_SECONDS, [...JSON_BODY, '--data-binary', '@-']);
    const options = { seconds: CREATE_SECONDS + 30, waitsFor: `${request.model} to be made`, accepts: [0, 7] };
    const stdin = JSON.stringify({ ...request, stream: true });
    const told = (text: string) => {
      const status = /"status":"([^"]+)"[^]*?$/.exec(text.trim().split('\n').at(-1) ?? '')?.[1];
      if (status !== undefined) progress(`${request.model}: ${status}`);
    };
    const output = await this.commands.change(this.target, argv, { ...options, stdin, told });
    const { text } = this.answered('/api/create', output, [200]);
    const lines = text.trim().split('\n');
    const failed = lines.find((line) => line.includes('"error"'));
    if (failed !== undefined) throw this.refusal(`Ollama could not make ${request.model}`, failed);
    if (!lines.at(-1)!.includes('"success"')) throw unknownForm('/api/create', lines.at(-1)!);
  }

  /** Gives a model another name. An existing name moves to this model. */
  async copy(source: string, destination: string): Promise<void> {
    await this.changed('/api/copy', 'POST', { source, destination });
  }

  /** Removes a name, and the blobs that no other name uses. */
  async remove(model: string): Promise<void> {
    await this.changed('/api/delete', 'DELETE', { model });
  }

  private async changed(path: string, method: 'POST' | 'DELETE', body: object): Promise<void> {
    const argv = this.curl(path, 60, ['-X', method, ...JSON_BODY, '-d', JSON.stringify(body)]);
    const output = await this.commands.change(this.target, argv, { seconds: 90, accepts: [0, 7] });
    this.answered(path, output, [200]);
  }

  private async models(path: string): Promise<any[]> {
    const answer = await this.ask(path);
    if (!Array.isArray(answer?.models)) throw unknownForm(path, JSON.stringify(answer));
    return answer.models;
  }

  private async ask(path: string, body?: object, more: Request = {}): Promise<any> {
    const { text } = await this.call(path, { ...more, ...(body && { body }) });
    return json(text, `Ollama's ${path}`);
  }

  private async call(path: string, { method, body, seconds = 30, answers = [200] }: Request) {
    const how = method === 'HEAD' ? ['-I', '-o', '/dev/null'] : method === undefined ? [] : ['-X', method];
    const data = body === undefined ? [] : [...JSON_BODY, '-d', JSON.stringify(body)];
    const options = { seconds: seconds + 30, waitsFor: 'Ollama', accepts: [0, 7] };
    const argv = this.curl(path, seconds, [...how, ...data]);
    return this.answered(path, await this.commands.read(this.target, argv, options), answers);
  }

  private curl(path: string, seconds: number, how: readonly string[]): string[] {
    return ['curl', '-sS', '--max-time', `${seconds}`, '-w', '\\n%{http_code}', ...how, `${this.url}${path}`];
  }

  private answered(path: string, { stdout, code: ended }: Output, answers: readonly number[]) {
    // 7: nothing listens on the port.
    if (ended === 7) throw new NotReady(`Ollama does not run on ${this.target.name}`);
    const [, text, code] = /^([^]*)\n(\d{3})$/.exec(stdout) ?? [];
    if (text === undefined) throw unknownForm(path, stdout);
    if (!answers.includes(Number(code))) throw this.refusal(`Ollama's ${path} answered ${code}`, text);
    return { text, code: Number(code) };
  }

  private refusal(what: string, text: string): Refusal {
    const fix = text.includes('no space left on device')
      ? `\nThe disk for the models of ${this.target.name} is full. Remove unused models there, then run the command again:\n  ollama list\n  ollama rm MODEL`
      : '';
    return new Refusal(`${what}: ${errorOf(text)}${fix}`);
  }
}

function generation({ tag, context, stays = false, onCpu = false, prompt, tokens }: Prompted) {
  return {
    model: tag,
    prompt,
    stream: false,
    ...(onCpu ? { keep_alive: 0 } : stays ? { keep_alive: -1 } : {}),
    options: { num_ctx: context, num_predict: tokens, temperature: 0, seed: 1, ...(onCpu && { num_gpu: 0 }) },
  };
}

function speedOf({ done, eval_count: count, eval_duration: nanoseconds }: any): number {
  if (done === true && !count) throw new Refusal('the model generated nothing');
  if (!(count > 0) || !(nanoseconds > 0)) throw unknownForm('/api/generate', JSON.stringify({ count, nanoseconds }));
  return Math.round((count / nanoseconds) * 1e11) / 100;
}

/** A name as Ollama itself prints it. */
export function shortTag(tag: string): string {
  return tag.replace(/^registry\.ollama\.ai\//, '').replace(/^library\//, '');
}

/** Of what /api/show prints: a name and a value on each line, texts as Go quotes them; a name may come several times. */
export function parseParameters(text: string): Wording['parameters'] {
  const found: Record<string, ModelParameter | ModelParameter[]> = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^(\S+)\s+(.*\S)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const one = parameter(value);
    const before = found[name];
    // Ollama knows this one as a list only.
    found[name] = before === undefined ? (name === 'stop' ? [one] : one) : [before, one].flat();
  }
  return found;
}

function parameter(text: string): ModelParameter {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function errorOf(text: string): string {
  try {
    const { error } = JSON.parse(text);
    if (typeof error === 'string') return error;
  } catch {
    // As it is.
  }
  return text.slice(0, 200);
}

export function unknownForm(path: string, got: string): Blocked {
  return new Blocked(
    `Ollama's ${path} must answer in a form that is known, but answered ${JSON.stringify(String(got).slice(0, 120))}`,
  );
}
