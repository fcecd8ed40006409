import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fixture from '../../fixtures/homelab';
import type { Homelab, LlmGateway } from '../../../inventory';
import { METRICS_PORT, PROXY_FILES, proxyConfig } from '../../../machines/llm-proxy';

export const CHAT = 'qwen2.5:14b-instruct-q4_K_M';
export const EMBEDDINGS = 'nomic-embed-text:v1.5';
export const KEYS = { assistant: 'key-of-assistant', search: 'key-of-search', proof: 'key-of-proof' } as const;
export const ALL_KEYS = Object.fromEntries(Object.entries(KEYS).map(([client, key]) => [client, [key]]));

export const withGateway = (gateway: LlmGateway = {}): Homelab => ({
  ...fixture,
  llm: { ...fixture.llm!, gateway },
});

/** A request for the model, and how the server behind the proxy answers it (`Manner`). */
export const says = (more: Readonly<Record<string, unknown>> = {}) => JSON.stringify({ model: CHAT, ...more });

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Milliseconds until the first byte of the body, and until the last. */
  readonly first: number;
  readonly last: number;
}

interface Question {
  readonly key?: string;
  readonly method?: string;
  readonly body?: string;
  /** Sends the body without its length. @default false */
  readonly chunked?: boolean;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly agent?: http.Agent;
  readonly signal?: AbortSignal;
}

/** HAProxy with the rendered configuration, with a folder instead of /. This machine must have the address of the AI VM. */
export class RunningProxy {
  readonly root = fs.mkdtempSync(join(tmpdir(), 'proxy-'));
  log = '';
  private process?: ChildProcess;

  /** @param change edits the configuration, to shorten timeouts of minutes */
  constructor(
    private readonly homelab: Homelab,
    private readonly change: (config: string) => string = (config) => config,
  ) {
    for (const path of Object.values(PROXY_FILES)) fs.mkdirSync(join(this.root, path, '..'), { recursive: true });
    fs.chmodSync(this.root, 0o755);
    this.writeConfig();
    this.writeKeys({});
  }

  /** The files of the machine, in the folder. */
  writeConfig(homelab = this.homelab): void {
    const { text } = proxyConfig(homelab);
    const here = text
      .replaceAll(PROXY_FILES.socket, join(this.root, PROXY_FILES.socket))
      .replaceAll(PROXY_FILES.clients, join(this.root, PROXY_FILES.clients));
    fs.writeFileSync(join(this.root, PROXY_FILES.config), this.change(here));
  }

  writeKeys(keys: Readonly<Record<string, readonly string[]>>): void {
    const lines = Object.entries(keys).flatMap(([client, each]) =>
      each.map((key) => `${createHash('sha256').update(key).digest('hex')} ${client}\n`),
    );
    fs.writeFileSync(join(this.root, PROXY_FILES.clients), lines.sort().join(''), { mode: 0o600 });
  }

  check(): { readonly good: boolean; readonly said: string } {
    const { status, stderr, stdout } = spawnSync('haproxy', ['-c', '-f', join(this.root, PROXY_FILES.config)], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { good: status === 0 && !/WARNING|ALERT/.test(stderr), said: stdout + stderr };
  }

  /** Starts HAProxy like the unit of Ubuntu's package: a master and a worker. */
  async start(): Promise<void> {
    const child = spawn('haproxy', ['-W', '-f', join(this.root, PROXY_FILES.config)]);
    this.process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
    await this.until('it answers', async () => (await this.ask('/api/version')).status === 401);
  }

  /** Runs the script of the bootstrap. */
  script(verb: 'state' | 'keys'): string {
    const { status, stdout, stderr } = spawnSync('bash', ['scripts/remote/ubuntu/llm-proxy.sh', verb], {
      encoding: 'utf8',
      env: { ...process.env, ROOT: this.root },
      timeout: 30_000,
    });
    if (status !== 0) throw new Error(`llm-proxy.sh ${verb} ended with ${status}: ${stderr}`);
    return stdout;
  }

  reload(): void {
    this.process!.kill('SIGUSR2');
  }

  async stop(): Promise<void> {
    const { process: child } = this;
    if (child !== undefined && child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(timer);
    }
    fs.rmSync(this.root, { recursive: true, force: true });
  }

  async until(what: string, is: () => Promise<boolean>, seconds = 15): Promise<void> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      if (await is().catch(() => false)) return;
      if (Date.now() > end) throw new Error(`waited ${seconds} s until ${what}\n${this.log.slice(-2000)}`);
      await sleep(50);
    }
  }

  ask(path: string, { key, method, body, chunked, headers, agent, signal }: Question = {}): Promise<Answer> {
    const begin = Date.now();
    const { machine, port } = this.homelab.llm!;
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          host: this.homelab.machines[machine]!.address,
          port,
          path,
          method: method ?? (body === undefined ? 'GET' : 'POST'),
          agent: agent ?? false,
          signal,
          headers: {
            host: 'llm-service:11434',
            ...(key !== undefined && { authorization: `Bearer ${key}` }),
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...(body !== undefined && !chunked && { 'content-length': Buffer.byteLength(body) }),
            ...headers,
          },
          timeout: 60_000,
        },
        (response) => {
          let text = '';
          let first = 0;
          response.on('data', (chunk: Buffer) => {
            first ||= Date.now() - begin;
            text += chunk.toString();
          });
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode: status = 0, headers: got } = response;
            resolve({ status, headers: got, text, first, last: Date.now() - begin });
          });
        },
      );
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error('no answer in 60 s')));
      request.end(body);
    });
  }

  /** A value from its metrics. */
  async metric(name: string, labels: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`);
    const line = (await answer.text()).split('\n').find((each) => each.startsWith(`${name}{${labels}}`));
    return Number(line?.split(' ')[1]);
  }
}
