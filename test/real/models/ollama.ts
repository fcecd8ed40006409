import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab } from '../../../inventory';
import { ollamaOverride } from '../../../machines/ollama';
import { freePorts, Processes, until } from '../cluster/processes';
import { ollamaBinary } from './binaries';

/** How a real Ollama of a test is started. */
export interface OllamaOptions {
  /** Settings of the machine's unit are taken from what this renders. @default none: that of a Mac, as its owner starts it */
  readonly homelab?: Homelab;
  /** Port on loopback. @default a free one */
  readonly port?: number;
  /** Settings of this test, which win. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A real Ollama on loopback with models of its own. */
export class TestOllama {
  private constructor(
    private readonly processes: Processes,
    private readonly name: string,
    readonly port: number,
    /** Its models: blobs/ and manifests/. */
    readonly models: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** @param name of its folder and log in the folder of the processes */
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

  /** For clients: OLLAMA_HOST of the Mac, or what the test asks. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The last lines of its log. */
  tail(lines = 15): string {
    return this.processes.tail(this.name, lines);
  }

  /** Stopped, or killed by the test: starts it on its old port with its old models. */
  async start(): Promise<void> {
    this.processes.start(this.name, ollamaBinary(), ['serve'], this.env);
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

  /** Asks its native API. @throws when it answers with an error */
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

  /** The greedy answer of a model to one question, through its template. */
  async answer(model: string, prompt: string, tokens = 48): Promise<string> {
    const options = { temperature: 0, seed: 1, repeat_penalty: 1, num_predict: tokens };
    const body = { model, messages: [{ role: 'user', content: prompt }], stream: false, options };
    return (await this.ask('/api/chat', body)).message.content;
  }

  /** Digest of the manifest by name, as /api/tags has them. */
  async digests(): Promise<ReadonlyMap<string, string>> {
    const { models } = await this.ask('/api/tags');
    return new Map(models.map(({ name, digest }: { name: string; digest: string }) => [name, digest]));
  }
}

/** What the rendered unit sets, on loopback. Without a homelab: little memory and one model at a time, as the tests want it. */
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
