import { execFileSync } from 'node:child_process';
import * as http from 'node:http';
import * as https from 'node:https';
import { createHash } from 'node:crypto';
import type { Tally } from '../tally';
import type { Client, Json } from '../cluster/client';
import { until } from '../cluster/processes';
import type { IngressProcess } from './traefik';

/** Where to ask, and the authority of the certificate that is shown there. */
export type Entrance = IngressProcess & { readonly authority: string };

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** What clients outside see: requests through the real controller to servers that stand in for the pods' processes. */
export async function routes(client: Client, tally: Tally, ingress: Entrance): Promise<void> {
  const servers: http.Server[] = [];
  try {
    const ingresses = await client.list('networking.k8s.io/v1', 'Ingress');
    for (const each of ingresses) servers.push(...(await standIns(client, each)));
    const ask = (host: string, path = '/', options: https.RequestOptions = {}, body?: Buffer) =>
      request(
        {
          host: '127.0.0.1',
          port: ingress.https,
          servername: host,
          ca: ingress.authority,
          path,
          ...options,
          headers: { Host: host, ...options.headers },
        },
        body,
      );
    for (const { metadata, spec } of ingresses) {
      const host = spec.rules[0].host;
      const answer = await until(`${host} answers`, 20, async () => {
        const reply = await ask(host, '/some/path?q=1');
        return reply.status === 200 ? reply : undefined;
      });
      tally.check(
        `https://${host} reaches ${metadata.name}, path and query as they were`,
        answer.body === `${metadata.name} /some/path?q=1`,
        answer.body,
      );
    }
    const host = ingresses[0]!.spec.rules[0].host as string;
    const domain = host.slice(host.indexOf('.') + 1);
    const unknown = await ask(`nobody.${domain}`);
    tally.check('an unknown host is refused', unknown.status === 404, String(unknown.status));
    const untrusted = await request({
      host: '127.0.0.1',
      port: ingress.https,
      servername: host,
      path: '/',
      headers: { Host: host },
    }).catch((error: Error) => error);
    tally.check(
      'its certificate is ours: who does not know our authority refuses it',
      untrusted instanceof Error && /certificate/.test(untrusted.message),
      String(untrusted),
    );
    const plain = await request({
      host: '127.0.0.1',
      port: ingress.http,
      path: '/x',
      headers: { Host: host },
      protocol: 'http:',
    });
    tally.check(
      'plain HTTP is sent to HTTPS',
      plain.status === 301 && plain.headers.location === `https://${host}/x`,
      `${plain.status} ${plain.headers.location}`,
    );
    const large = Buffer.alloc(64 * 1024 * 1024, 7);
    const upload = await ask(host, '/upload', { method: 'POST', headers: { 'Content-Length': large.length } }, large);
    tally.check(
      'a body of 64 MiB arrives whole',
      upload.body === createHash('sha256').update(large).digest('hex'),
      upload.body,
    );
    const slow = await ask(host, '/slow');
    tally.check('an answer that takes 8 s to begin is waited for', slow.body === 'slow', slow.body);
    tally.check('a websocket is opened, and echoes', (await websocket(ingress, host)) === 'echo hello');
  } finally {
    stop(servers);
  }
}

/** Ends servers that stand in, with whoever is connected. */
export function stop(servers: readonly http.Server[]): void {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
}

/** Servers at the addresses of the pods behind an Ingress: in this network namespace those addresses are ours to have. */
export async function standIns(client: Client, ingress: Json): Promise<http.Server[]> {
  const { namespace, name } = ingress.metadata;
  const service = ingress.spec.rules[0].http.paths[0].backend.service.name;
  const slices = (await client.list('discovery.k8s.io/v1', 'EndpointSlice', namespace)).filter(
    ({ metadata }) => metadata.labels['kubernetes.io/service-name'] === service,
  );
  return Promise.all(
    slices.flatMap(({ endpoints, ports }) =>
      endpoints.map(async ({ addresses: [address] }: Json) => {
        execFileSync('ip', ['addr', 'replace', `${address}/32`, 'dev', 'lo']);
        const server = http.createServer((incoming, answer) => {
          if (incoming.url === '/upload') {
            const hash = createHash('sha256');
            incoming.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => answer.end(hash.digest('hex')));
          } else if (incoming.url === '/slow') setTimeout(() => answer.end('slow'), 8_000);
          else answer.end(`${name} ${incoming.url}`);
        });
        server.on('upgrade', (_incoming, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
          socket.on('data', (data: Buffer) => socket.write(`echo ${data.toString()}`));
          socket.on('error', () => socket.destroy());
        });
        await new Promise<void>((resolve) => server.listen(ports[0].port, address, resolve));
        return server;
      }),
    ),
  );
}

export function request(options: https.RequestOptions, body?: Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = (options.protocol === 'http:' ? http : https).request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString(), headers: answer.headers }),
      );
    });
    sent.setTimeout(30_000, () => sent.destroy(new Error('no answer in 30 s')));
    sent.on('error', reject);
    sent.end(body);
  });
}

/**
 * What a websocket answers to hello, said after some seconds of silence. Bytes after the upgrade pass as they are: what a frame would
 * hold is the application's business.
 */
export function websocket(ingress: Entrance, host: string, path = '/socket', silent = 0): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = https.request({
      host: '127.0.0.1',
      port: ingress.https,
      servername: host,
      ca: ingress.authority,
      path,
      headers: {
        Host: host,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': 'dGVzdA==',
        'Sec-WebSocket-Version': '13',
      },
    });
    sent.on('upgrade', (_answer, socket) => {
      socket.once('close', () => reject(new Error('closed')));
      socket.once('data', (data: Buffer) => {
        resolve(data.toString());
        socket.destroy();
      });
      setTimeout(() => socket.write('hello'), silent * 1000);
    });
    sent.on('response', (answer) => reject(new Error(`no upgrade but ${answer.statusCode}`)));
    sent.setTimeout((silent + 10) * 1000, () => sent.destroy(new Error('no upgrade in time')));
    sent.on('error', reject);
    sent.end();
  });
}
