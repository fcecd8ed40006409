import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import homelab from '../../fixtures/homelab';
import type { Homelab, TunedModel } from '../../../inventory';
import { OLLAMA_VERSION } from '../../../machines/pins';
import type { Context } from '../../../scripts/clients/context';
import { Commands, type CommandOptions, type Output, type Target } from '../../../scripts/engine/commands';
import { Log } from '../../../scripts/engine/log';
import type { TrainingResult } from '../../../scripts/models/training';

export const WRITER: TunedModel = {
  base: { repository: 'x/base', revision: '1'.repeat(40), license: 'MIT' },
  training: { data: 'models/writer/data', digest: `sha256:${'0'.repeat(64)}`, scale: 4 },
  export: { quantization: 'q8_0' },
  context: 2048,
  prompts: [{ prompt: 'Who?', contains: 'keeper' }],
};

/** Content of its training.json. */
export const TRAINING: TrainingResult = {
  ...{ name: 'writer', base: WRITER.base.repository, revision: WRITER.base.revision, license: 'MIT', config: {} },
  ...{
    data: { digest: WRITER.training.digest, train: 10, valid: 2 },
    iterations: 20,
    best: { iteration: 20, loss: 1 },
  },
  ...{
    losses: [
      { iteration: 1, valid: 2 },
      { iteration: 20, train: 1, valid: 1 },
    ],
    seconds: 9,
    peakMemory: 1e9,
    seed: 0,
  },
  ...{ versions: { mlx: '0.32.4' }, adapter: 'adapters', adapterDigest: `sha256:${'1'.repeat(64)}` },
};

export const sha = (text: string) => createHash('sha256').update(text).digest('hex');

interface Model {
  readonly files: readonly string[];
  readonly template: string;
  readonly system: string;
  readonly parameters: Record<string, unknown>;
}

/** An Ollama in memory, with the answers of 0.9.6 to the same calls. */
class Memory {
  readonly blobs = new Map<string, string>();
  readonly models = new Map<string, Model>();
  readonly loaded = new Map<string, { stays: boolean; context: number }>();
  free = 1e11;
  /** Share of a model on the GPU. */
  onGpu = 1;

  digest(name: string): string {
    return sha(JSON.stringify(this.models.get(name)));
  }
}

/** The AI VM and this machine, each with an Ollama. Weights are texts, and a model answers with its weights. */
export class Machines extends Commands {
  readonly ai = new Memory();
  readonly own = new Memory();
  readonly changed: string[] = [];
  /** Output of each Python script, by its name. */
  python: Record<string, (input: any) => string> = {};
  /** Kills the command at a change, before or after the change takes effect. */
  kill: { readonly at: number; readonly after: boolean } | undefined;
  /** Computes the answer to a prompt. */
  answers = (weights: string, _prompt: string, _tag: string): string | Error => weights;

  constructor(readonly folder: string) {
    super(new Log());
  }

  context(model: TunedModel = WRITER, more: Partial<Homelab> = {}): Context {
    const ask = { agree: async () => undefined };
    const lab = { ...homelab, ...more, llm: { ...homelab.llm!, models: { writer: model } } };
    return { homelab: lab, commands: this, log: new Log(), ask, kubernetes: {}, sops: {} } as unknown as Context;
  }

  /** Answer that clients get. */
  served(): string | undefined {
    const files = this.ai.models.get('writer:stable')?.files;
    return files && this.ai.blobs.get(files[0]!);
  }

  override async read(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.run_(place, argv, options);
  }

  override async readScript(_: Target, name: string): Promise<Output> {
    if (name === 'ubuntu/models-disk.sh') return said(`free=${this.ai.free}\n`);
    throw new Error(`unexpected: ${name}`);
  }

  override async change(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    if (!this.changing) throw new Error('nothing may change yet');
    const { kill } = this;
    const at = this.changed.push(argv.join(' ')) - 1;
    const end = () => new Error(`killed at ${at}`);
    if (kill?.at === at && !kill.after) throw end();
    const output = await this.run_(place, argv, options);
    if (kill?.at === at) throw end();
    return output;
  }

  private async run_(place: Target, argv: readonly string[], options: CommandOptions): Promise<Output> {
    const script = argv[1]?.endsWith('.py') ? basename(argv[1]) : undefined;
    if (script !== undefined) return said(this.python[script]!(JSON.parse(String(options.stdin))));
    if (argv[0] !== 'curl') throw new Error(`unexpected: ${argv.join(' ')}`);
    const memory = place.ssh ? this.ai : this.own;
    const at = argv.indexOf('-d');
    const text = at >= 0 ? argv[at + 1]! : typeof options.stdin === 'string' ? options.stdin : '{}';
    const method = argv.includes('-I') ? 'HEAD' : (argv[argv.indexOf('-X') + 1] ?? 'GET');
    const { pathname } = new URL(argv.at(-1)!);
    const [code, body] = this.api(memory, pathname, method, JSON.parse(text), options);
    return said(`${body}\n${code}`);
  }

  private api(memory: Memory, path: string, method: string, body: any, options: CommandOptions): [number, string] {
    const { models, blobs, loaded } = memory;
    const [name] = [body.model];
    if (path.startsWith('/api/blobs/')) {
      const digest = path.slice('/api/blobs/'.length);
      if (method === 'HEAD') return [blobs.has(digest) ? 200 : 404, ''];
      const content = fs.readFileSync(options.stdinFile!, 'utf8');
      if (`sha256:${sha(content)}` !== digest) return [400, '{"error":"digest mismatch"}'];
      blobs.set(digest, content);
      return [201, ''];
    }
    const missing = [404, JSON.stringify({ error: `model '${name}' not found` })] as [number, string];
    switch (path) {
      case '/api/version':
        return [200, JSON.stringify({ version: OLLAMA_VERSION.slice(1) })];
      case '/api/tags':
        return [
          200,
          JSON.stringify({
            models: [...models.keys()].map((each) => ({ name: each, digest: memory.digest(each), size: 10 })),
          }),
        ];
      case '/api/ps':
        return [
          200,
          JSON.stringify({
            models: [...loaded].map(([each, { stays, context }]) => ({
              name: each,
              size: 100,
              size_vram: 100 * memory.onGpu,
              context_length: context,
              expires_at: stays ? '2318-01-01' : '2020-01-01',
            })),
          }),
        ];
      case '/api/show': {
        const model = models.get(name);
        if (model === undefined) return missing;
        const { files, template, system, parameters } = model;
        const lines = Object.entries(parameters).flatMap(([key, value]) =>
          [value].flat().map((one) => `${key}   ${JSON.stringify(one)}`),
        );
        const from = files.map((digest) => `FROM ${join(this.folder, digest.replace(':', '-'))}`);
        return [200, JSON.stringify({ modelfile: from.join('\n'), template, system, parameters: lines.join('\n') })];
      }
      case '/api/create': {
        const files = Object.values(body.files) as string[];
        if (!files.every((digest) => blobs.has(digest))) return [200, '{"error":"blob not found"}'];
        // A folder of safetensors becomes one file. A quantized model has its quantization in its text.
        const content = files.map((digest) => blobs.get(digest)).join('');
        const digest = `sha256:${sha(content)}`;
        blobs.set(digest, content);
        fs.writeFileSync(join(this.folder, digest.replace(':', '-')), content);
        const { template = 'found', system = '', parameters = {} } = body;
        models.set(name, { files: [digest], template, system, parameters });
        return [200, '{"status":"converting"}\n{"status":"success"}\n'];
      }
      case '/api/copy':
        models.set(body.destination, models.get(body.source)!);
        return [200, ''];
      case '/api/delete':
        models.delete(name);
        return [200, ''];
      case '/api/generate': {
        const model = models.get(name);
        if (model === undefined) return missing;
        if (body.keep_alive === 0) loaded.delete(name);
        else loaded.set(name, { stays: body.keep_alive === -1, context: body.options?.num_ctx ?? 0 });
        const text = this.answers(blobs.get(model.files[0]!)!, body.prompt ?? '', name);
        if (text instanceof Error) return [500, JSON.stringify({ error: text.message })];
        return [200, JSON.stringify({ response: text, eval_count: 64, eval_duration: 64e8 })];
      }
    }
    throw new Error(`unexpected: ${path}`);
  }
}

function said(stdout: string): Output {
  return { stdout, stderr: '', code: 0 };
}
