import { spawnSync } from 'node:child_process';
import * as http from 'node:http';
import { join } from 'node:path';
import type { Homelab } from '../../../inventory';
import { create } from './bases';
import { clientLibraries } from './binaries';
import { TestOllama } from './ollama';
import { proxySuite, withAddress } from './proxy';
import { SECOND_MODEL } from './proxy-bodies';
import { RunningProxy, withGateway } from './running-proxy';
import type { ModelPart, ModelSuite } from './suite';
import { BASE_ANSWER, PROMPT, tinyBase } from './tiny';

/**
 * Tests the proxy in front of a server that streams as each test needs, and in front of a real Ollama with the settings of the
 * rendered unit, through the official libraries of both APIs.
 */
export const GATEWAY: ModelPart = { name: 'gateway', seconds: 75, run: gateway };

const MODEL = 'tiny:v1';
const KEYS = { assistant: ['key-of-assistant'], proof: ['key-of-proof'] };

async function gateway(suite: ModelSuite): Promise<void> {
  await proxySuite(suite.tally);
  suite.laps.lap('gateway: limits, queues, keys');
  await withAddress(() => beforeOllama(suite));
  suite.laps.lap('gateway: a real Ollama behind it');
}

async function beforeOllama({ tally, processes }: ModelSuite): Promise<void> {
  const homelab = tiny();
  const { port, machine } = homelab.llm!;
  const ollama = await TestOllama.start(processes, 'behind-the-proxy', { homelab, port });
  await create(ollama, MODEL, tinyBase('llama'));
  const proxy = new RunningProxy(homelab);
  try {
    proxy.writeKeys(KEYS);
    await proxy.start();
    const key = KEYS.assistant[0]!;
    await proxy.until('Ollama is seen', async () => (await proxy.ask('/api/tags', { key })).status === 200);
    const { address } = homelab.machines[machine]!;
    const direct = await libraries('127.0.0.1', port);
    const through = await libraries(address, port, key);
    tally.check(
      'the libraries of both APIs get the answers of Ollama through the proxy',
      same(direct, through),
      told(direct, through),
    );
    const answers = through.nativeChat?.text === BASE_ANSWER && through.openaiChat?.text === BASE_ANSWER;
    tally.check('the answers are those that the model learned', answers, told(through));
    const parts = Math.min(through.openaiStream?.parts ?? 0, through.nativeStream?.parts ?? 0);
    tally.check('both APIs stream', parts > 3, told(through));
    const refused = Object.values(await libraries(address, port, 'wrong')) as { error?: string }[];
    const good = refused.length === 7 && refused.every(({ error }) => /401|key is missing or wrong/.test(error ?? ''));
    tally.check('with a wrong key every call fails with that reason', good, told(refused));
    for (const [what, body] of Object.entries(SECOND_MODEL)) {
      const read = await (
        await fetch(`${ollama.url}/api/generate`, { method: 'POST', body: body(MODEL, 'other:v1') })
      ).text();
      tally.check(`${what}: Ollama reads the second one`, read.includes("model 'other:v1' not found"), read);
      const { status } = await proxy.ask('/api/generate', { key, body: body(MODEL, 'other:v1') });
      tally.check(`${what}: the proxy denies it`, status === 400, `${status}`);
    }
    const removed = await proxy.ask('/api/delete', { key, method: 'DELETE' });
    const { models } = await ollama.ask('/api/tags');
    tally.check(
      'a key does not permit removing a model',
      removed.status === 403 && models.length === 1,
      told(removed, models),
    );
    const status = await statusByName(port);
    tally.check(
      'Ollama on loopback rejects the name of a Service as Host, so the proxy sends another',
      status === 403,
      `${status}`,
    );
    const url = `http://${address}:${port}`;
    for (const [what, env, code, said] of [
      ['every model', {}, 0, /has every model: tiny:v1/],
      ['a model that is missing', { MODELS: `${MODEL} other:v1` }, 1, /answers but lacks other:v1; it has tiny:v1/],
      [
        'a model that is not published yet',
        { MODELS: `${MODEL} writer:stable`, RELEASED: 'writer:stable=writer' },
        0,
        /writer:stable is not published yet[^]*has every model: tiny:v1/,
      ],
      ['a wrong key', { API_KEY: 'wrong' }, 1, /does not answer: HTTP Error 401/],
    ] as const) {
      const proof = script('llm-proof.py', { ...PROOF, URL: url, API_KEY: key, ...env });
      tally.check(`the check after a sync: ${what}`, proof.code === code && said.test(proof.said), told(proof));
    }
    const asked = script('llm-availability.py', {
      URL: url,
      MODELS: MODEL,
      TIMEOUT: '60',
      API_KEY: 'key-of-proof',
    }).said;
    tally.check('the availability check gets a first word', /^model=tiny:v1 answers=yes/.test(asked), asked);
  } finally {
    await proxy.stop();
    await ollama.stop();
  }
}

function tiny(): Homelab {
  const homelab = withGateway();
  const chat = { tag: MODEL, context: 2048 };
  const services = { assistant: { connects: [{ model: 'chat' }] } };
  return { ...homelab, services, webApps: {}, llm: { ...homelab.llm!, kvCache: 'f16', models: { chat } } };
}

type Answers = Readonly<Record<string, { text?: string; parts?: number; error?: string }>>;

/** Asks Ollama itself, without a key. */
async function libraries(host: string, port: number, key?: string): Promise<Answers> {
  const env = {
    NODE_PATH: clientLibraries(),
    PATH: process.env.PATH,
    LLM_BASE_URL: `http://${host}:${port}/v1`,
    LLM_HOST: host,
    LLM_PORT: String(port),
    LLM_MODEL: MODEL,
    ...(key !== undefined && { LLM_API_KEY: key }),
  };
  const client = join(__dirname, 'clients', 'client.js');
  const { stdout, stderr } = spawnSync(process.execPath, [client, PROMPT, '48'], {
    env,
    encoding: 'utf8',
    timeout: 180_000,
  });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`the client said no JSON: ${stdout}${stderr}`);
  }
}

function same(one: Answers, other: Answers): boolean {
  const texts = (answers: Answers) =>
    JSON.stringify(Object.entries(answers).map(([name, { text, error }]) => [name, text, error]));
  return texts(one) === texts(other) && Object.values(one).every(({ error }) => error === undefined);
}

/** Asks Ollama itself, by the name that clients use. */
function statusByName(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'llm-service:11434' };
    const request = http.get({ host: '127.0.0.1', port, path: '/api/tags', headers, timeout: 10_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.on('error', reject);
  });
}

/** Variables of the check after a sync. There is no API server here, so it does not ask for endpoints. */
const PROOF = { SERVICE: 'llm-service', NAMESPACE: 'services', HAS_ENDPOINTS: 'no', MODELS: MODEL };

/** Runs a script of a pod. */
function script(
  name: string,
  env: Readonly<Record<string, string>>,
): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('python3', [join('constructs', 'files', name)], {
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
    timeout: 90_000,
  });
  return { code: status, said: stdout + stderr };
}

function told(...what: readonly unknown[]): string {
  return what.map((each) => JSON.stringify(each)).join('\n');
}
