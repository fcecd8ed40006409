import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Duration, Size } from 'cdk8s';
import fixture from '../../fixtures/homelab';
import type { LlmGateway } from '../../../inventory';
import { proxyConfig } from '../../../machines/llm-proxy';
import { onLoopback } from '../loopback';
import { Tally } from '../tally';
import { readOneWay } from './proxy-bodies';
import { reload, restarts, rotation } from './proxy-changes';
import { ALL_KEYS, CHAT, EMBEDDINGS, KEYS, RunningProxy, says, withGateway } from './running-proxy';
import { StreamingServer, type Manner } from './streaming-server';

/**
 * Tests the rendered configuration with a real HAProxy in front of a server that streams like Ollama. Runs in a network namespace
 * where the loopback interface has the address of the AI VM.
 */
const BODY = 16384 * 16;

async function running(
  ollama: StreamingServer,
  gateway: LlmGateway,
  what: (proxy: RunningProxy) => Promise<void>,
  change?: (config: string) => string,
): Promise<void> {
  const proxy = new RunningProxy(withGateway(gateway), change);
  try {
    proxy.writeKeys(ALL_KEYS);
    await proxy.start();
    await proxy.until(
      'HAProxy sees Ollama',
      async () => (await proxy.metric('haproxy_backend_active_servers', 'proxy="lists"')) === 1,
    );
    ollama.asked.length = 0;
    ollama.most.clear();
    await what(proxy);
  } finally {
    await proxy.stop();
  }
}

export async function proxySuite(tally: Tally): Promise<void> {
  await withAddress(async () => {
    const ollama = new StreamingServer(fixture.llm!.port);
    await ollama.start();
    await cases(tally, ollama);
    await ollama.stop();
  });
}

/** Runs while this machine has the address of the AI VM. */
export async function withAddress(run: () => Promise<void>): Promise<void> {
  const address = [`${fixture.machines[fixture.llm!.machine]!.address}/32`, 'dev', 'lo'];
  spawnSync('ip', ['address', 'add', ...address]);
  try {
    await run();
  } finally {
    spawnSync('ip', ['address', 'del', ...address]);
  }
}

async function cases(tally: Tally, ollama: StreamingServer): Promise<void> {
  const all: [string, () => Promise<void>][] = [
    ['who may ask', () => running(ollama, {}, (proxy) => whoMayAsk(tally, proxy, ollama))],
    ['what passes', () => running(ollama, {}, (proxy) => whatPasses(tally, proxy, ollama))],
    ['bodies', () => running(ollama, {}, (proxy) => bodies(tally, proxy, ollama))],
    ['models', () => running(ollama, {}, (proxy) => models(tally, proxy))],
    ['read one way', () => running(ollama, { perMinute: 100_000 }, (proxy) => readOneWay(tally, proxy, ollama))],
    ['streaming', () => running(ollama, {}, (proxy) => streaming(tally, proxy))],
    ['queues', () => running(ollama, {}, (proxy) => queues(tally, proxy, ollama))],
    ['limits', () => running(ollama, { perMinute: 20, queue: 2 }, (proxy) => limits(tally, proxy))],
    ['hanging up', () => running(ollama, {}, (proxy) => hangingUp(tally, proxy, ollama))],
    ['the first word', () => running(ollama, {}, (proxy) => firstWord(tally, proxy), shortClientTimeout)],
    ['waiting', () => running(ollama, { wait: Duration.seconds(1) }, (proxy) => waiting(tally, proxy))],
    ['rotation', () => running(ollama, { perMinute: 100_000 }, (proxy) => rotation(tally, proxy))],
    ['reload', () => running(ollama, { perMinute: 100_000 }, (proxy) => reload(tally, proxy))],
    ['Ollama restarts', () => running(ollama, {}, (proxy) => restarts(tally, proxy, ollama))],
    ['the log', () => running(ollama, {}, (proxy) => logged(tally, proxy))],
  ];
  for (const [name, run] of all)
    await run().catch((error: Error) => tally.check(name, false, error.stack ?? error.message));
  const metrics = new RunningProxy(withGateway({ scrapedBy: ['192.168.1.21'], longestBody: Size.mebibytes(2) }));
  const checked = metrics.check();
  tally.check('haproxy accepts a configuration with every option, without a warning', checked.good, checked.said);
  await metrics.stop();
}

async function whoMayAsk(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const checked = proxy.check();
  tally.check('haproxy accepts the configuration without a warning', checked.good, checked.said);
  const digest = createHash('sha256').update(KEYS.assistant).digest('hex');
  for (const [what, question] of Object.entries({
    'no key': {},
    'a wrong key': { key: 'guess' },
    'an empty key': { key: '' },
    'the digest of a key': { key: digest },
    'a key of another scheme': { headers: { authorization: `Basic ${KEYS.assistant}` } },
    'a key in another header': { headers: { 'x-api-key': KEYS.assistant } },
  })) {
    const { status, text, headers } = await proxy.ask('/api/generate', { ...question, body: says() });
    const good =
      status === 401 && headers['www-authenticate'] === 'Bearer' && typeof JSON.parse(text).error === 'string';
    tally.check(`${what}: 401`, good, `${status} ${text}`);
  }
  tally.check('none of these requests reached Ollama', ollama.asked.length === 0, JSON.stringify(ollama.asked));
  const { status } = await proxy.ask('/api/generate', { key: KEYS.assistant, body: says() });
  const [asked] = ollama.asked;
  tally.check('the right key passes', status === 200, `${status}`);
  tally.check(
    'Ollama gets no key, and a Host name that it accepts',
    asked?.headers.authorization === undefined && asked?.headers.host === '127.0.0.1:11434',
    JSON.stringify(asked),
  );
}

async function whatPasses(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const key = KEYS.assistant;
  const refused: [method: string, path: string][] = [
    ['DELETE', '/api/delete'],
    ['POST', '/api/delete'],
    ['POST', '/api/create'],
    ['POST', '/api/pull'],
    ['POST', '/api/push'],
    ['POST', '/api/copy'],
    ['POST', `/api/blobs/sha256:${'0'.repeat(64)}`],
    ['HEAD', `/api/blobs/sha256:${'0'.repeat(64)}`],
    ['DELETE', `/v1/models/${CHAT}`],
    ['DELETE', '/api/tags'],
    ['POST', '/api/tags'],
    ['GET', '/api/generate'],
    ['GET', '/'],
    ['GET', '/metrics'],
    ['POST', '//api/generate'],
    ['POST', '/api/generate/'],
    ['POST', '/api/%67enerate'],
    ['POST', '/api/generate/../delete'],
    ['POST', '/API/generate'],
    ['POST', '/api/generate;/../delete'],
  ];
  for (const [method, path] of refused) {
    const { status } = await proxy.ask(path, { key, method, body: method === 'POST' ? says() : undefined });
    tally.check(`${method} ${path} is rejected`, status === 403 || status === 405, `${status}`);
  }
  tally.check('none of these requests reached Ollama', ollama.asked.length === 0, JSON.stringify(ollama.asked));
  const asks = ['chat/completions', 'completions', 'embeddings'].map((each) => `/v1/${each}`);
  for (const path of [...asks, ...['generate', 'chat', 'embed', 'embeddings', 'show'].map((each) => `/api/${each}`)])
    tally.check(`POST ${path} passes`, (await proxy.ask(path, { key, body: says() })).status === 200);
  for (const path of ['/v1/models', `/v1/models/${CHAT}`, '/api/tags', '/api/version', '/api/ps'])
    tally.check(`GET ${path} passes`, (await proxy.ask(path, { key })).status === 200);
}

async function bodies(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const key = KEYS.assistant;
  // The model comes last, like in OpenAI's library for Python.
  const long = (bytes: number) => {
    const empty = JSON.stringify({ prompt: '', model: CHAT });
    return JSON.stringify({ prompt: 'x'.repeat(bytes - empty.length), model: CHAT });
  };
  for (const chunked of [false, true]) {
    const how = chunked ? 'in chunks' : 'with its length';
    const whole = long(BODY);
    const passed = await proxy.ask('/api/chat', { key, body: whole, chunked });
    const arrived = ollama.asked.at(-1)?.body === whole;
    tally.check(`the longest body passes completely ${how}`, passed.status === 200 && arrived, `${passed.status}`);
    const before = ollama.asked.length;
    const answer = await proxy.ask('/api/chat', { key, body: long(BODY + 1), chunked });
    tally.check(
      `one byte more ${how}: 413`,
      answer.status === 413 && ollama.asked.length === before,
      `${answer.status}`,
    );
    const large = await proxy.ask('/api/chat', { key, body: long(8 * BODY), chunked }).catch((error: Error) => error);
    const isRefused = large instanceof Error ? /EPIPE|ECONNRESET/.test(large.message) : large.status === 413;
    tally.check(`a large body ${how} is rejected`, isRefused && ollama.asked.length === before, JSON.stringify(large));
  }
}

async function models(tally: Tally, proxy: RunningProxy): Promise<void> {
  const asked = async (client: keyof typeof KEYS, body: string) =>
    (await proxy.ask('/api/generate', { key: KEYS[client], body })).status;
  const cases: [what: string, client: keyof typeof KEYS, body: string, status: number][] = [
    ['a model that the client is connected to', 'assistant', says(), 200],
    ['a model of another client', 'assistant', says({ model: EMBEDDINGS }), 403],
    ['the same one by the client that has it', 'search', says({ model: EMBEDDINGS }), 200],
    ['the check after a sync may use both', 'proof', says({ model: EMBEDDINGS }), 200],
    ['a model that nobody has declared', 'assistant', says({ model: 'other:1b' }), 403],
    ['a model with the name of another client in it', 'assistant', says({ model: `x search ${EMBEDDINGS}` }), 403],
    ['no model', 'assistant', '{"prompt":"hello"}', 400],
    ['no JSON', 'assistant', 'model=chat', 400],
    ['nothing', 'assistant', '', 400],
    ['a model that is no text', 'assistant', '{"model":{"a":1}}', 400],
    ['keep_alive as a number', 'assistant', says({ keep_alive: 0 }), 400],
    ['keep_alive as text', 'assistant', says({ keep_alive: '5m' }), 400],
    ['another context', 'assistant', says({ options: { num_ctx: 131072 } }), 400],
    ['the context that it is loaded for', 'assistant', says({ options: { num_ctx: 16384 } }), 200],
  ];
  for (const [what, client, body, status] of cases) {
    const got = await asked(client, body);
    tally.check(`${what}: ${status}`, got === status, `${got}`);
  }
}

async function streaming(tally: Tally, proxy: RunningProxy): Promise<void> {
  for (const path of ['/v1/chat/completions', '/api/generate']) {
    const body = says({ words: 10, gap: 100 });
    const { first, last, text } = await proxy.ask(path, { key: KEYS.assistant, body });
    const good = first < 500 && last > 850 && text.split('\n').length === 11;
    tally.check(`${path}: the first word arrives before the last one`, good, `first ${first} ms, last ${last} ms`);
  }
}

async function queues(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const ask = (client: keyof typeof KEYS, more: Partial<Manner> & { mark?: string } = {}) =>
    proxy.ask('/api/generate', { key: KEYS[client], body: says({ first: 200, ...more }) });
  const many = Array.from({ length: 8 }, () => ask('assistant'));
  const waiting = 'haproxy_backend_current_queue';
  await proxy.until('7 wait', async () => (await proxy.metric(waiting, 'proxy="model-chat"')) === 7, 3);
  tally.check('the metrics show the length of a queue', true);
  const other = await ask('search', { model: EMBEDDINGS, first: 0 });
  tally.check('another model does not wait for this one', other.status === 200 && other.last < 150, `${other.last} ms`);
  const ninth = await ask('assistant');
  tally.check(
    'a ninth request of one client: 429',
    ninth.status === 429 && ninth.headers['retry-after'] === '1',
    `${ninth.status}`,
  );
  const fair = await ask('proof', { mark: 'the other client' });
  const place = ollama.asked
    .filter(({ body }) => body.includes(CHAT))
    .findIndex(({ body }) => body.includes('the other'));
  tally.check(
    'a client with one request waits for one, not for eight',
    fair.status === 200 && place <= 3,
    `position ${place}`,
  );
  const statuses = (await Promise.all(many)).map(({ status }) => status);
  tally.check(
    'all eight requests get an answer',
    statuses.every((status) => status === 200),
    `${statuses.join(' ')}`,
  );
  tally.check(
    'Ollama never had two requests at the same time',
    ollama.most.get(CHAT) === 1,
    `${ollama.most.get(CHAT)}`,
  );
  tally.check('the queue is empty', (await proxy.metric(waiting, 'proxy="model-chat"')) === 0);
  tally.check('the client may ask again', (await ask('assistant', { first: 0 })).status === 200);
}

async function limits(tally: Tally, proxy: RunningProxy): Promise<void> {
  const busy = [1, 2, 3].map(() => proxy.ask('/api/chat', { key: KEYS.proof, body: says({ first: 400 }) }));
  await proxy.until(
    '2 wait',
    async () => (await proxy.metric('haproxy_backend_current_queue', 'proxy="model-chat"')) === 2,
    3,
  );
  const full = await proxy.ask('/api/chat', { key: KEYS.assistant, body: says() });
  tally.check(
    'a request to a full queue: 503',
    full.status === 503 && full.headers['retry-after'] === '5',
    `${full.status}`,
  );
  await Promise.all(busy);
  const statuses: number[] = [];
  for (let count = 0; count < 25; count++) statuses.push((await proxy.ask('/api/tags', { key: KEYS.search })).status);
  const good =
    statuses.slice(0, 20).every((status) => status === 200) && statuses.slice(20).every((status) => status === 429);
  tally.check('20 requests per minute pass, the others: 429', good, statuses.join(' '));
  tally.check(
    'another client is not limited by this',
    (await proxy.ask('/api/tags', { key: KEYS.assistant })).status === 200,
  );
}

async function hangingUp(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const hangUp = (mark: string, manner: Partial<Manner>) => {
    const abort = new AbortController();
    const body = says({ ...manner, mark });
    const ended = proxy.ask('/api/chat', { key: KEYS.assistant, body, signal: abort.signal }).catch(() => undefined);
    return async () => {
      abort.abort();
      await ended;
    };
  };
  const running = hangUp('runs', { words: 200, gap: 50 });
  await proxy.until('it runs', async () => ollama.withMark('runs').length === 1, 3);
  const waits = hangUp('waits', {});
  await proxy.until(
    'one request waits',
    async () => (await proxy.metric('haproxy_backend_current_queue', 'proxy="model-chat"')) === 1,
    3,
  );
  await waits();
  await proxy.until(
    'no request waits',
    async () => (await proxy.metric('haproxy_backend_current_queue', 'proxy="model-chat"')) === 0,
    3,
  );
  tally.check(
    'a request leaves the queue when its client closes the connection',
    ollama.withMark('waits').length === 0,
  );
  await running();
  await proxy.until('Ollama sees it', async () => ollama.withMark('runs')[0]!.cut, 3);
  tally.check('Ollama notices when a client closes the connection during an answer', true);
}

/** Shortens the timeouts, which take minutes otherwise. Tests which of the two timeouts applies. */
function shortClientTimeout(config: string): string {
  return config.replace('timeout client 60s', 'timeout client 1s').replace(/timeout server \d+s/, 'timeout server 4s');
}

async function firstWord(tally: Tally, proxy: RunningProxy): Promise<void> {
  const { text } = proxyConfig(withGateway());
  tally.check(
    'Ollama may be silent for 20 minutes, longer than it needs to load a model',
    /timeout server 1200s/.test(text),
  );
  const late = await proxy.ask('/v1/chat/completions', { key: KEYS.assistant, body: says({ first: 3000 }) });
  tally.check(
    'the proxy waits for a late first word',
    late.status === 200 && late.first >= 3000,
    `${late.status} ${late.first} ms`,
  );
  const never = await proxy.ask('/v1/chat/completions', { key: KEYS.assistant, body: says({ first: 6000 }) });
  tally.check(
    'without a first word: 504, as JSON',
    never.status === 504 && 'error' in JSON.parse(never.text),
    `${never.status} ${never.text}`,
  );
}

async function waiting(tally: Tally, proxy: RunningProxy): Promise<void> {
  const busy = proxy.ask('/api/chat', { key: KEYS.proof, body: says({ first: 2500 }) });
  await sleep(100);
  const { status, text, last } = await proxy.ask('/api/chat', { key: KEYS.assistant, body: says() });
  tally.check(
    'a request that waited too long in the queue: 503',
    status === 503 && 'error' in JSON.parse(text) && last < 2000,
    `${status} ${last} ms`,
  );
  tally.check('the request before it gets its answer', (await busy).status === 200);
}

async function logged(tally: Tally, proxy: RunningProxy): Promise<void> {
  await proxy.ask('/api/chat', { key: KEYS.assistant, body: says({ prompt: 'a secret thought' }) });
  await proxy.ask('/api/chat', { key: KEYS.assistant, body: says({ model: 'x\nclient=search status=200' }) });
  await sleep(200);
  const lines = proxy.log.split('\n').filter((line) => line.startsWith('client='));
  const [first = '', second = ''] = lines.slice(-2);
  const form =
    /^client=assistant model="qwen2.5:14b-instruct-q4_K_M" POST \/api\/chat status=200 bytes=\d+ queue_ms=\d+ first_byte_ms=\d+ total_ms=\d+/;
  tally.check('the log shows the client, the model and the time', form.test(first), first);
  tally.check('the log contains neither key nor prompt', !/key-of|secret thought/.test(proxy.log));
  tally.check(
    'a client cannot write its own line into the log',
    second.startsWith('client=assistant') && !/^client=search/m.test(proxy.log),
    second,
  );
}

if (require.main === module) {
  onLoopback(() => undefined);
  const tally = new Tally();
  void proxySuite(tally).then(() => tally.close());
}
