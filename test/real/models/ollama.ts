import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab } from '../../../inventory';
import { ollamaOverride } from '../../../machines/ollama';
import { freePorts, Processes, until } from '../cluster/processes';
import { ollamaBinary } from './binaries';

/** How a real Ollama of a test is started. */
export interface OllamaOptions {
  /** Homelab whose rendered unit gives the settings. @default none: settings of a Mac whose owner starts Ollama */
  readonly homelab?: Homelab;
  /** Port on loopback. @default a free one */
  readonly port?: number;
  /** Settings of this test. They override the others. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A real Ollama on loopback with its own models. */
export class TestOllama {
  private constructor(
    private readonly processes: Processes,
    private readonly name: string,
    readonly port: number,
    /** Folder of its models: blobs/ and manifests/. */
    readonly models: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** @param name name of its folder and log, in the folder of the processes */
  static async start(processes: Processes, name: string, options: OllamaOptions = {}): Promise<TestOllama> {
    const port = options.port ?? (await freePorts(1))[0]!;
    const models = join(processes.folder, name, 'models');
    fs.mkdirSync(models, { recursive: true });
    const env = { ...ollamaEnvironment(options.homelab, port), ...options.env };
    const ollama = new TestOllama(processes, name, port, models, {
      ...env,
      OLLAMA_MODELS: models,
      HOME: join(processes.folder, name),
    });
    await ollama.start();
    return ollama;
  }

  /** URL for clients, and for OLLAMA_HOST of the Mac. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The last lines of its log. */
  tail(lines = 15): string {
    return this.processes.tail(this.name, lines);
  }

  /** Starts it again with other settings, on its old port with its old models. */
  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.stop();
    await this.start(env);
  }

  private async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.processes.start(this.name, ollamaBinary(), ['serve'], { ...this.env, ...env });
    await until(
      `${this.name} answers on port ${this.port}`,
      60,
      async () => (await fetch(`${this.url}/api/version`)).ok,
      () => this.tail(),
    );
  }

  async stop(): Promise<void> {
    await this.processes.stop(this.name);
  }

  /** Calls its native API. @throws when it answers with an error */
  async ask(path: string, body?: object, seconds = 120): Promise<any> {
    const method = path === '/api/delete' ? 'DELETE' : body === undefined ? 'GET' : 'POST';
    const response = await fetch(`${this.url}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(seconds * 1000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} of ${this.name} answered ${response.status}: ${text.slice(0, 400)}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** Greedy answer of a model to one question, through its template. */
  async answer(model: string, prompt: string, tokens = 48): Promise<string> {
    const options = { temperature: 0, seed: 1, repeat_penalty: 1, num_predict: tokens };
    const body = { model, messages: [{ role: 'user', content: prompt }], stream: false, options };
    return (await this.ask('/api/chat', body)).message.content;
  }

  /** Digests of the manifests by name, from /api/tags. */
  async digests(): Promise<ReadonlyMap<string, string>> {
    const { models } = await this.ask('/api/tags');
    return new Map(models.map(({ name, digest }: { name: string; digest: string }) => [name, digest]));
  }
}

/** Settings of the rendered unit, on loopback. Without a homelab: little memory and one model at a time. */
export function ollamaEnvironment(homelab: Homelab | undefined, port: number): Readonly<Record<string, string>> {
  const rendered = homelab === undefined ? '' : ollamaOverride(homelab).text;
  return {
    OLLAMA_NUM_PARALLEL: '1',
    OLLAMA_MAX_LOADED_MODELS: '1',
    OLLAMA_NOPRUNE: '1',
    ...Object.fromEntries(
      [...rendered.matchAll(/^Environment="(OLLAMA_\w+)=(.*)"$/gm)].map(([, key, value]) => [key!, value!]),
    ),
    OLLAMA_HOST: `127.0.0.1:${port}`,
  };
}
