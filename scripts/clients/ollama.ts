import { action } from '../engine/actions';
import type { Context } from './context';
import { json } from '../engine/json';
import { Blocked, isFault, NotReady, Problem } from '../engine/problem';
import type { Action, Progress } from '../engine/step';
import { SECOND } from '../engine/wait';
import { parseLog, type OllamaLog } from './ollama-log';
import { ubuntuVm, type UbuntuVm } from './ubuntu';

export interface Loaded {
  /** Bytes, and those of them that are in the memory of the GPU. */
  readonly size: number;
  readonly sizeVram: number;
  /** Tokens that it was loaded for. */
  readonly context: number;
  /** Whether it stays until something unloads it. */
  readonly stays: boolean;
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

/** Ollama answered, and could not do what it was asked for. */
export class Refusal extends Problem {}

/** Time to load a model (OLLAMA_LOAD_TIMEOUT) and to generate 64 tokens at half a token per second. */
const GENERATE_SECONDS = 900 + 128;
/** Enough to tell the speed of a CPU from that of a GPU, and short on both. */
const TOKENS = 64;
const PROMPT = 'Write a short story about a lighthouse keeper who finds a letter.';

/** Time for the largest model that fits (40 GB) on a line of 16 Mbit/s; pull.sh ends a smaller one earlier. */
const PULL_SECONDS = 6 * 3600;
const PULL_PROGRESS_SECONDS = 5;

/** Ollama, asked on its own machine: its API needs no password there, and no way through the firewall. */
export class Ollama {
  constructor(
    readonly vm: UbuntuVm,
    private readonly port: number,
  ) {}

  /** @returns its version, as v0.32.15 */
  async version(): Promise<string> {
    const { version } = (await this.ask('/api/version')) ?? {};
    if (typeof version !== 'string') throw unknownForm('/api/version', JSON.stringify(version));
    return `v${version.replace(/^v/, '')}`;
  }

  /** @throws Blocked when Ollama does not answer, or is another version than homelab.ts says */
  async assertVersion(wanted: string): Promise<void> {
    const fix = 'npm run bootstrap -- apply ai-vm';
    const version = await this.version().catch((error: unknown) => {
      if (!isFault(error) || error instanceof Blocked) throw error;
      throw new Blocked(`Ollama must answer on ${this.vm.name}, and does not: ${error.message}\n  ${fix}`);
    });
    if (version !== wanted)
      throw new Blocked(`Ollama on ${this.vm.name} must be ${wanted}, and is ${version}\n  ${fix}`);
  }

  /** The models that are pulled: digest of the manifest by tag. */
  async tags(): Promise<ReadonlyMap<string, string>> {
    const found = (await this.models('/api/tags')).map(({ name, digest }): [string, string] => {
      const hex = String(digest).replace(/^sha256:/, '');
      if (typeof name !== 'string' || !/^[0-9a-f]{64}$/.test(hex))
        throw unknownForm('/api/tags', JSON.stringify({ name, digest }));
      return [shortTag(name), hex];
    });
    return new Map(found);
  }

  /** The models that are loaded, by tag. */
  async loaded(): Promise<ReadonlyMap<string, Loaded>> {
    const found = (await this.models('/api/ps')).map((model): [string, Loaded] => {
      const { name, size, size_vram: sizeVram = 0, context_length: length, expires_at: expires } = model;
      if (typeof name !== 'string' || ![size, sizeVram, length].every(Number.isFinite))
        throw unknownForm('/api/ps', JSON.stringify(model));
      // A model that stays expires in some hundred years.
      const stays = Number(String(expires).slice(0, 4)) > new Date().getFullYear() + 1;
      return [shortTag(name), { size, sizeVram, context: length, stays }];
    });
    return new Map(found);
  }

  /** Generates some tokens with a model. @throws Refusal when Ollama cannot */
  async generate({ tag, context: length, stays = false, onCpu = false }: Generate) {
    const options = { num_ctx: length, num_predict: TOKENS, temperature: 0, seed: 1, ...(onCpu && { num_gpu: 0 }) };
    const keep = onCpu ? { keep_alive: 0 } : stays ? { keep_alive: -1 } : {};
    const body = { model: tag, prompt: PROMPT, stream: false, ...keep, options };
    const { eval_count: count, eval_duration: nanoseconds } = await this.ask('/api/generate', body, GENERATE_SECONDS);
    if (!(count > 0) || !(nanoseconds > 0)) throw unknownForm('/api/generate', JSON.stringify({ count, nanoseconds }));
    return { tokensPerSecond: Math.round((count / nanoseconds) * 1e11) / 100 };
  }

  /** What it computes with, from the log of its last start. */
  async log(): Promise<OllamaLog> {
    const { commands, target } = this.vm;
    const { stdout } = await commands.readScript(target, 'ubuntu/ollama-log.sh', [], { asRoot: true });
    return parseLog(stdout);
  }

  /** (Re)starts it with what its units say now. */
  restart(): Action {
    return this.vm.script('ollama.sh', ['start'], { seconds: 180 });
  }

  /** Pulls a model. Ollama keeps what it has of a pull that ended early. */
  pull(tag: string): Action {
    const options = { seconds: PULL_SECONDS, waitsFor: `the pull of ${tag}` };
    const pulling = this.vm.script('pull.sh', [`${this.port}`, tag], options);
    return action(pulling.lines, async (progress) => {
      let ended = false;
      const end = pulling.run(progress).finally(() => (ended = true));
      // Awaited below; until then a failure must not count as unhandled.
      end.catch(() => undefined);
      for (;;) {
        // The pull itself keeps the process alive.
        await Promise.race([
          end,
          new Promise((resolve) => setTimeout(resolve, PULL_PROGRESS_SECONDS * SECOND).unref()),
        ]);
        if (ended) break;
        await this.tellPull(tag, progress);
      }
      await end;
    });
  }

  private async tellPull(tag: string, progress: Progress): Promise<void> {
    const { commands, target } = this.vm;
    try {
      const options = { seconds: 20, asRoot: true };
      const { stdout } = await commands.readScript(target, 'ubuntu/pull.sh', ['progress'], options);
      const seen = parsePullProgress(stdout);
      if (seen !== undefined) progress(`pulls ${tag}: ${seen}`);
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  private async models(path: string): Promise<any[]> {
    const answer = await this.ask(path);
    if (!Array.isArray(answer?.models)) throw unknownForm(path, JSON.stringify(answer));
    return answer.models;
  }

  private async ask(path: string, body?: object, seconds = 30): Promise<any> {
    const data = body === undefined ? [] : ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];
    const url = `http://127.0.0.1:${this.port}${path}`;
    const argv = ['curl', '-sS', '--max-time', `${seconds}`, '-w', '\\n%{http_code}', ...data, url];
    // 7: nothing listens on the port.
    const options = { seconds: seconds + 30, waitsFor: 'Ollama', accepts: [0, 7] };
    const { stdout, code: ended } = await this.vm.commands.read(this.vm.target, argv, options);
    if (ended === 7) throw new NotReady(`Ollama does not run on ${this.vm.name}`);
    const [, text, code] = /^([^]*)\n(\d{3})$/.exec(stdout) ?? [];
    if (text === undefined) throw unknownForm(path, stdout);
    const answer = json(text, `Ollama's ${path}`);
    if (code !== '200') throw new Refusal(`Ollama's ${path} answered ${code}: ${answer?.error ?? text.slice(0, 200)}`);
    return answer;
  }
}

/** Of a homelab with models. */
export function ollama(context: Context): Ollama {
  const { machine, port } = context.homelab.llm!;
  return new Ollama(ubuntuVm(context, machine), port);
}

/** A name as Ollama itself prints it. */
export function shortTag(tag: string): string {
  return tag.replace(/^registry\.ollama\.ai\//, '').replace(/^library\//, '');
}

/** Of what pull.sh prints: bytes in total, and bytes there. */
export function parsePullProgress(text: string): string | undefined {
  const [total, there] = text.trim().split(' ').map(Number);
  if (!(total! > 0) || !(there! >= 0)) return undefined;
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  return `${gigabytes(there!)} of ${gigabytes(total!)} GB (${Math.floor((there! / total!) * 100)} %)`;
}

function unknownForm(path: string, got: string): Blocked {
  return new Blocked(
    `Ollama's ${path} must answer in a form that is known, and answered ${JSON.stringify(String(got).slice(0, 120))}`,
  );
}
