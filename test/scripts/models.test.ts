import { findings } from '../../scripts/engine/findings';
import { Blocked } from '../../scripts/engine/problem';
import { planStage, shownLines } from '../../scripts/engine/step';
import { OLLAMA_VERSION } from '../../machines/pins';
import { ollama as ollamaOf, parsePullProgress } from '../../scripts/clients/ollama';
import { shortTag } from '../../scripts/clients/ollama-api';
import { models, modelPulled } from '../../scripts/stages/models';
import { modelCheck } from '../../scripts/verify/models';
import { apply, Told, withAiVm } from './ubuntu';

const remembered = new Map<string, string>();
jest.mock('../../scripts/engine/digests', () => ({
  DIGESTS: 'scripts/digests.json',
  knownDigest: (key: string) => remembered.get(key),
  rememberDigest: (key: string, digest: string) => remembered.set(key, digest),
}));

const TAG = 'qwen2.5:14b-instruct-q4_K_M';
const [A, B] = ['a', 'b'].map((letter) => letter.repeat(64)) as [string, string];
const chat = { tag: TAG, context: 16384, resident: true };
const ok = (body: object) => `${JSON.stringify(body)}\n200`;
const tags = (digest?: string) => ok({ models: digest ? [{ name: TAG, digest }] : [] });
const ps = (change: object = {}) =>
  ok({
    models: [
      { name: TAG, size: 100, size_vram: 100, context_length: 16384, expires_at: '2318-01-01T00:00:00Z', ...change },
    ],
  });
const speed = (tokensPerSecond: number) => ok({ eval_count: 64, eval_duration: (64 / tokensPerSecond) * 1e9 });
const RECORD = { vmid: 210, state: 'passed', kernel: '6.17.2-1-pve', done: [], tag: TAG, cpu: 4.5, date: '' };

function told(says: ConstructorParameters<typeof Told>[0], resident = true) {
  return new Told({
    ...says,
    '/api/version': ok({ version: OLLAMA_VERSION.slice(1) }),
    '/api/tags': says['/api/tags'] ?? tags(A),
    '/api/ps': says['/api/ps'] ?? ps(),
    'gpu-210.json': JSON.stringify(RECORD),
    'uname -r': '6.17.2-1-pve\n',
    boot_id: '11111111-2222-3333-4444-555555555555\n',
    'is-enabled': 'enabled\n',
    sha256sum: '0 -\n',
    'test -e': { code: resident ? 0 : 1 },
  });
}

const context = (commands: Told, more: object = {}) =>
  commands.context(withAiVm({ gpu: true }, { models: { chat: { ...chat, ...more } } }));
const ollama = (commands: Told) => ollamaOf(context(commands));

beforeEach(() => remembered.clear());

test('a model must keep the digest of its first pull: another digest stops, with both digests', async () => {
  remembered.set(`ollama:${TAG}`, B);
  const commands = told({});
  const looking = modelPulled(ollama(commands), chat).plan();
  await expect(looking).rejects.toThrow(Blocked);
  await expect(modelPulled(ollama(commands), chat).plan()).rejects.toThrow(new RegExp(`${B}[^]*${A}`));
  expect(commands.changed).toEqual([]);
});

test('the digest in homelab.ts takes precedence over the stored one', async () => {
  remembered.set(`ollama:${TAG}`, B);
  expect(await modelPulled(ollama(told({})), { ...chat, digest: `sha256:${A}` }).plan()).toBeUndefined();
});

test('a first pull stores the digest; the run after a kill stores it too', async () => {
  let there: string | undefined;
  const commands = told({ '/api/tags': () => tags(there), 'ubuntu/pull.sh 11434': () => ((there = A), '') });
  const step = modelPulled(ollama(commands), chat);
  expect(shownLines((await step.plan())!)).toEqual([
    `ai-vm: ubuntu/pull.sh 11434 ${TAG}`,
    'keep its digest in scripts/digests.json',
  ]);
  await apply(step);
  expect(remembered.get(`ollama:${TAG}`)).toBe(A);
  expect(await step.plan()).toBeUndefined();
  remembered.clear();
  expect((await step.plan())!.lines![0]).toContain(A);
  await apply(step);
  expect(commands.changed).toEqual([`ubuntu/pull.sh 11434 ${TAG}`]);
  expect(await step.plan()).toBeUndefined();
});

test('a pull of another model stops, and its digest is not stored', async () => {
  remembered.set(`ollama:${TAG}`, B);
  let there: string | undefined;
  const commands = told({ '/api/tags': () => tags(there), 'ubuntu/pull.sh 11434': () => ((there = A), '') });
  await expect(apply(modelPulled(ollama(commands), chat))).rejects.toThrow(Blocked);
  expect(remembered.get(`ollama:${TAG}`)).toBe(B);
});

test.each(['', 'garbage', '\n200', 'null\n200', '{"models":{}}\n200', '{"models":[{"name":"x","digest":"y"}]}\n200'])(
  'Ollama answering %j is a stop, and no model to pull',
  async (answer) => {
    const commands = told({ '/api/tags': answer });
    await expect(modelPulled(ollama(commands), chat).plan()).rejects.toThrow(Blocked);
    expect(commands.changed).toEqual([]);
  },
);

describe('a second name of a pulled model', () => {
  const named = { chat: { ...chat, stable: 'chat:stable', resident: false } };
  const of = (commands: Told) => commands.context(withAiVm({ gpu: true }, { models: named }));
  const both = (digest: string, stable?: string) =>
    ok({ models: [{ name: TAG, digest }, ...(stable ? [{ name: 'chat:stable', digest: stable }] : [])] });

  test.each([undefined, B])('is copied when its digest is %s', async (before) => {
    remembered.set(`ollama:${TAG}`, A);
    let there = before;
    const commands = told({ '/api/tags': () => both(A, there), '/api/copy': () => ((there = A), '\n200') });
    const step = (await models(of(commands)).steps())[1]!;
    expect(shownLines((await step.plan())!)).toEqual([
      `chat:stable: ${before?.slice(0, 12) ?? 'nothing'} -> ${A.slice(0, 12)}`,
      `ai-vm: Ollama copies ${TAG} to chat:stable`,
    ]);
    await apply(step);
    expect(await step.plan()).toBeUndefined();
  });
  test('is checked by verify', async () => {
    remembered.set(`ollama:${TAG}`, A);
    const find = async (stable?: string) => (await modelCheck(of(told({ '/api/tags': both(A, stable) })))())[1];
    expect(await find(A)).toMatchObject({ what: 'model chat:stable', state: 'good' });
    expect(await find(B)).toMatchObject({ state: 'bad', saw: expect.stringContaining('it is not qwen2.5') });
    expect(await find()).toMatchObject({ state: 'bad', saw: 'it does not exist' });
  });
});

test('reports a trained model that was never published, without an error', async () => {
  remembered.set(`ollama:${TAG}`, A);
  const writer = { base: {}, training: {}, context: 2048, resident: true } as never;
  const lab = withAiVm({ gpu: true }, { models: { chat, writer } });
  const said = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  const last = (await models(told({}).context(lab)).steps()).at(-1)!;
  expect(await last.plan()).toBeUndefined();
  expect(said.mock.calls).toEqual([[expect.stringContaining('npm run models -- publish writer')]]);
  said.mockRestore();
});

test('plans nothing without Ollama, and names stage ai-vm', async () => {
  const commands = new Told({ '/api/version': { code: 7 } });
  await expect(planStage(models(context(commands)))).rejects.toThrow(/apply ai-vm/);
});

describe('a resident model', () => {
  const loading = async (commands: Told) => (await models(context(commands)).steps()).at(-1)!;

  test('is left alone when it is loaded with its context, permanently, on the GPU', async () => {
    expect(await (await loading(told({}))).plan()).toBeUndefined();
  });
  test.each([{ context_length: 4096 }, { expires_at: new Date().toISOString() }, { name: 'other:1' }])(
    'is loaded again when it is loaded as %j',
    async (change) => {
      expect((await (await loading(told({ '/api/ps': ps(change) }))).plan())!.lines).toHaveLength(1);
    },
  );
  test('that is partly on the GPU stops, because loading it again would not help', async () => {
    await expect((await loading(told({ '/api/ps': ps({ size_vram: 60 }) }))).plan()).rejects.toThrow(Blocked);
  });
  test('with a larger context than it supports stops with its limit', async () => {
    const commands = told({ '/api/ps': ps({ context_length: 8192 }), 'ubuntu/models-start.sh': '' });
    await expect(apply(await loading(commands))).rejects.toThrow(/no more than 8192/);
  });
});

describe('what verify finds', () => {
  const states = async (commands: Told) => {
    const found = await modelCheck(context(commands))();
    return found.map(({ what, state }) => `${state} ${what}`);
  };
  test('everything is good', async () => {
    remembered.set(`ollama:${TAG}`, A);
    const commands = told({ '/api/generate': speed(13) });
    const read = jest.spyOn(commands, 'read');
    expect(await states(commands)).toEqual([`good model ${TAG}`, `good ${TAG} stays loaded`, `good speed of ${TAG}`]);
    // Otherwise the model would no longer stay loaded, because the request reloads it.
    const asked = read.mock.calls.map(([, argv]) => argv.join(' ')).find((each) => each.includes('"prompt"'));
    expect(asked).toContain('"keep_alive":-1');
  });
  test('another digest, a part outside the GPU, a speed like the CPU', async () => {
    remembered.set(`ollama:${TAG}`, B);
    expect(await states(told({ '/api/ps': ps({ size_vram: 60 }), '/api/generate': speed(4.5) }))).toEqual([
      `bad model ${TAG}`,
      `bad ${TAG} stays loaded`,
      `bad speed of ${TAG}`,
    ]);
  });
  test('without Ollama, the fix', async () => {
    const commands = new Told({ '/api/': { code: 7 } });
    expect(await findings({ models: modelCheck(context(commands)) })).toEqual([
      { what: 'models', state: 'bad', saw: expect.stringContaining('npm run bootstrap -- apply ai-vm') },
    ]);
  });
  test('an embedding model has no speed', async () => {
    remembered.set(`ollama:${TAG}`, A);
    const refused = '{"error":"\\"x\\" does not support generate"}\n400';
    expect(await states(told({ '/api/generate': refused }))).toHaveLength(2);
  });
});

test('shows the progress of a pull in GB when its size is known', () => {
  expect(parsePullProgress('0 0\n')).toBeUndefined();
  expect(parsePullProgress('')).toBeUndefined();
  expect(parsePullProgress('8988124672 4494062336\n')).toBe('4.5 of 9.0 GB (50 %)');
});

test('compares names as Ollama prints them', () => {
  expect(shortTag('registry.ollama.ai/library/qwen2.5:14b')).toBe('qwen2.5:14b');
  expect(shortTag('hf.co/x/y:Q4')).toBe('hf.co/x/y:Q4');
});
