import { execFileSync } from 'node:child_process';
import * as http from 'node:http';
import * as https from 'node:https';
import { Duration, Size } from 'cdk8s';
import type { Client, Json } from '../cluster/client';
import { until } from '../cluster/processes';
import { bannerServer, datagramServer, healthServer, otherPorts } from './ways-in-ports';
import { request, stop, websocket, type Entrance, type Reply } from './routes';
import type { Report } from './report';
import type { Site } from './site';

const DOMAIN = 'collab.home.arpa';
const LIMIT = 1024 * 1024;
/** Seconds after which an answer that has not begun is given up. */
const PATIENCE = 2;
const GRPC = 9000;
const PUBLISHED = { tcp: 2222, udp: 53 };

/** Hosts, paths, limits and timeouts as an owner writes them, by a controller that runs and is not restarted. */
export async function waysIn(site: Site, ingress: Entrance, { tally }: Report): Promise<void> {
  const { client } = site;
  await site.commit('ways in', (h) => {
    h.webApps.web.host = undefined;
    h.webApps.web.routes = [{ host: ['app', 'www'] }];
    h.webApps.api = {
      connects: [],
      routes: [
        {
          host: 'app',
          path: '/api',
          stripPrefix: true,
          maxBody: Size.mebibytes(1),
          responseTimeout: Duration.seconds(PATIENCE),
          idleTimeout: Duration.seconds(4),
        },
        {
          host: 'app',
          path: '/api/files',
          responseTimeout: Duration.seconds(PATIENCE),
          idleTimeout: Duration.seconds(4),
        },
      ],
    };
    h.webApps.rpc = {
      image: 'ghcr.io/owner/rpc:1.0.0',
      host: 'rpc',
      ports: { grpc: { port: GRPC, protocol: 'grpc' } },
      connects: [],
    };
    h.services.forge = {
      image: 'ghcr.io/owner/forge:1.0.0',
      ports: {
        http: 3000,
        ssh: { port: 2022, service: 22, protocol: 'tcp' },
        names: { port: 5353, service: 53, protocol: 'udp' },
      },
      published: [
        { port: PUBLISHED.tcp, to: 'ssh' },
        { port: PUBLISHED.udp, to: 'names' },
      ],
      connects: [],
    };
  });
  await site.settled();
  const servers = [...(await podsOf(client, 'web')), ...(await podsOf(client, 'api'))];
  const others: { close(): unknown }[] = [];
  const ask = asker(ingress);
  try {
    await ingress.refreshed();
    const body = async (host: string, path: string) => (await ask(host, path)).body;
    // The controller reads Ingresses one after the other, and waits between two readings.
    await until(
      'the routes answer',
      60,
      async () =>
        (await body('app', '/api/x')) === 'api /x /api' &&
        (await body('app', '/api/files/1')) === 'api /api/files/1 ' &&
        (await body('www', '/')) === 'web / ',
    );
    tally.check(
      'two hosts reach one web app',
      (await body('app', '/')) === 'web / ' && (await body('www', '/a')) === 'web /a ',
    );
    tally.check(
      'a path of the host reaches another web app, without the prefix, which is in a header',
      (await body('app', '/api/a?b=1')) === 'api /a?b=1 /api',
    );
    tally.check(
      'so does the prefix alone',
      (await body('app', '/api')) === 'api / /api' && (await body('app', '/api/')) === 'api / /api',
    );
    tally.check('an element that only starts alike does not', (await body('app', '/apiv2')) === 'web /apiv2 ');
    tally.check(
      'a longer path wins, and keeps its prefix',
      (await body('app', '/api/files/1')) === 'api /api/files/1 ',
    );
    tally.check('the other host has no such path', (await body('www', '/api')) === 'web /api ');
    await limits(ask, tally);
    await times(ingress, ask, tally);
    const [rpc, forge] = [await addressOf(client, 'web', 'rpc'), await addressOf(client, 'services', 'forge')];
    others.push(await healthServer(GRPC, rpc), await bannerServer(2022, forge), await datagramServer(5353, forge));
    await ingress.restarted();
    await until('the routes answer after the restart', 30, async () => (await ask('app', '/api/x')).status === 200);
    await otherPorts(ingress, PUBLISHED, `rpc.${DOMAIN}`, tally);
  } finally {
    stop(servers);
    for (const server of others) server.close();
  }
  await site.revert('as before');
  await site.settled();
}

type Ask = (host: string, path: string, options?: https.RequestOptions, body?: Buffer) => Promise<Reply>;

function asker(ingress: Entrance): Ask {
  return (name, path, options = {}, body) => {
    const host = `${name}.${DOMAIN}`;
    const headers = { Host: host, ...options.headers };
    return request(
      { host: '127.0.0.1', port: ingress.https, servername: host, ca: ingress.authority, path, ...options, headers },
      body,
    );
  };
}

async function limits(ask: Ask, tally: Report['tally']): Promise<void> {
  const send = async (path: string, size: number) =>
    ask('app', path, { method: 'POST', headers: { 'Content-Length': size } }, Buffer.alloc(size)).then(
      ({ status, body }) => `${status} ${body}`,
      // The connection is closed while the rest is sent: what curl shows as an error after the answer.
      (error: NodeJS.ErrnoException) => String(error.code),
    );
  tally.check('a body as large as the limit arrives', /^200 api/.test(await send('/api/up', LIMIT)));
  const larger = await send('/api/up', LIMIT + 1);
  tally.check('one byte more is answered with 413', /^413/.test(larger), larger);
  tally.check(
    'a route for a longer path is not limited by it',
    /^200 api/.test(await send('/api/files/up', 2 * LIMIT)),
  );
  tally.check('nor is another web app of the host', /^200 web/.test(await send('/up', 2 * LIMIT)));
  const chunked = await ask(
    'app',
    '/api/up',
    { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } },
    Buffer.alloc(2 * LIMIT),
  );
  tally.check('a body of unknown length passes, as documented', chunked.status === 200, String(chunked.status));
}

async function times(ingress: Entrance, ask: Ask, tally: Report['tally']): Promise<void> {
  const late = await ask('app', '/api/late');
  tally.check(`an answer that has not begun after ${PATIENCE} s is 504`, late.status === 504, String(late.status));
  tally.check('the other web app is waited for', (await ask('app', '/late')).body === 'web late');
  const stream = await ask('app', '/api/stream');
  tally.check(`a stream of ${2 * PATIENCE} s arrives whole`, stream.body === 'tick '.repeat(2 * PATIENCE), stream.body);
  const socket = websocket(ingress, `app.${DOMAIN}`, '/api/socket', 2 * PATIENCE + 1);
  const echo = await socket.catch((error: Error) => error.message);
  tally.check(`a websocket that says nothing for ${2 * PATIENCE + 1} s stays open`, echo === 'echo hello', echo);
}

/** The address of the first pod of a service, which is ours from now on. */
async function addressOf(client: Client, namespace: string, name: string): Promise<string> {
  const address = await until(`${name} has an endpoint`, 60, async () => {
    const slices = await client.list('discovery.k8s.io/v1', 'EndpointSlice', namespace);
    const slice = slices.find(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === name);
    return slice?.endpoints?.[0]?.addresses[0] as string | undefined;
  });
  execFileSync('ip', ['addr', 'replace', `${address}/32`, 'dev', 'lo']);
  return address;
}

/** Servers at the addresses of the pods of a service: in this network namespace those addresses are ours to have. */
async function podsOf(client: Client, name: string): Promise<http.Server[]> {
  const slices = await until(`${name} has endpoints`, 60, async () => {
    const all = (await client.list('discovery.k8s.io/v1', 'EndpointSlice', 'web')).filter(
      ({ metadata, endpoints }) => metadata.labels['kubernetes.io/service-name'] === name && endpoints?.length > 0,
    );
    return all.length > 0 ? all : undefined;
  });
  return Promise.all(
    slices.flatMap(({ endpoints, ports }) =>
      endpoints.map(async ({ addresses: [address] }: Json) => {
        execFileSync('ip', ['addr', 'replace', `${address}/32`, 'dev', 'lo']);
        const server = http.createServer((incoming, answer) => serve(name, incoming, answer));
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

function serve(name: string, incoming: http.IncomingMessage, answer: http.ServerResponse): void {
  incoming.resume();
  if (incoming.url === '/late') setTimeout(() => answer.end(`${name} late`), 2 * PATIENCE * 1000);
  else if (incoming.url === '/stream') {
    const ticks = setInterval(() => answer.write('tick '), 1000);
    answer.flushHeaders();
    setTimeout(
      () => {
        clearInterval(ticks);
        answer.end();
      },
      (2 * PATIENCE + 0.5) * 1000,
    );
  } else
    incoming.on('end', () => answer.end(`${name} ${incoming.url} ${incoming.headers['x-forwarded-prefix'] ?? ''}`));
}
