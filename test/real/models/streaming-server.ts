import * as http from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request that the server got. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Whether the client closed the connection before the end of the answer. */
  cut: boolean;
}

/** How the server answers. The body of a request contains it, beside the model. */
export interface Manner {
  readonly model: string;
  /** Milliseconds before the first word. @default 0 */
  readonly first?: number;
  /** Milliseconds between words. @default 0 */
  readonly gap?: number;
  /** @default 1 */
  readonly words?: number;
}

/** A stand-in for Ollama. Streams words as each request asks, and records its requests. */
export class StreamingServer {
  readonly asked: Asked[] = [];
  /** Most requests that it answered at the same time, by model. */
  readonly most = new Map<string, number>();
  private readonly active = new Map<string, number>();
  private server = http.createServer((request, response) => void this.answer(request, response));

  constructor(private readonly port: number) {}

  async start(): Promise<void> {
    this.server.keepAliveTimeout = 60_000;
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
    this.server = http.createServer((request, response) => void this.answer(request, response));
  }

  /** Requests whose bodies contain a marker, in order. */
  withMark(mark: string): Asked[] {
    return this.asked.filter(({ body }) => body.includes(mark));
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const seen: Asked = { method: request.method!, path: request.url!, headers: request.headers, body, cut: false };
    if (request.url !== '/api/version') this.asked.push(seen);
    response.on('close', () => (seen.cut = !response.writableFinished));
    response.setHeader('content-type', 'application/x-ndjson');
    if (request.method !== 'POST') return void response.end('{"version":"0.0.0"}\n');
    const { model, first = 0, gap = 0, words = 1 } = JSON.parse(body) as Manner;
    this.count(model, 1);
    await sleep(first);
    for (let word = 0; word < words && !response.destroyed; word++) {
      if (word > 0) await sleep(gap);
      response.write(`{"word":${word}}\n`);
    }
    this.count(model, -1);
    response.end();
  }

  private count(model: string, by: number): void {
    const now = (this.active.get(model) ?? 0) + by;
    this.active.set(model, now);
    this.most.set(model, Math.max(this.most.get(model) ?? 0, now));
  }
}
