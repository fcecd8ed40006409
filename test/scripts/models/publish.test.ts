import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TunedModel } from '../../../inventory';
import { releasesOf, removable } from '../../../scripts/clients/model-releases';
import { ollama as ollamaOf } from '../../../scripts/clients/ollama';
import { Blocked, Usage } from '../../../scripts/engine/problem';
import { compare, sideBySide } from '../../../scripts/models/compare';
import { comparisonPage } from '../../../scripts/models/compare-page';
import { writeExport } from '../../../scripts/models/export-record';
import { publish } from '../../../scripts/models/publish';
import { rollback } from '../../../scripts/models/rollback';
import { cardVersions, publishedOn } from '../../../scripts/stages/models/published';
import { modelCheck } from '../../../scripts/verify/models';
import { Machines, sha, TRAINING, WRITER } from './machines';

jest.mock('../../../scripts/engine/root', () => {
  const { mkdtempSync } = jest.requireActual('node:fs');
  const { tmpdir } = jest.requireActual('node:os');
  return { ROOT: mkdtempSync(`${tmpdir()}/models-`) };
});
const { ROOT } = jest.requireMock<{ ROOT: string }>('../../../scripts/engine/root');

let log: jest.SpyInstance;
beforeEach(() => {
  for (const entry of fs.readdirSync(ROOT)) fs.rmSync(join(ROOT, entry), { recursive: true });
  log = jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => log.mockRestore());
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

/** An export on this machine. Its weights are a text, which the model answers. */
function exported(version: number, weights: string, change: object = {}): void {
  const file = join(ROOT, `sha256-${sha(weights)}`);
  fs.writeFileSync(file, weights);
  fs.mkdirSync(join(ROOT, '.homelab/models/writer/export'), { recursive: true });
  writeExport({
    name: 'writer',
    version,
    source: {
      base: WRITER.base.repository,
      revision: WRITER.base.revision,
      adapterDigest: sha(weights),
      quantization: 'q8_0',
    },
    blobs: [{ name: 'model.gguf', digest: `sha256:${sha(weights)}`, size: weights.length, file }],
    wording: { template: 'found', system: '', parameters: { stop: ['<end>'] } },
    checks: [],
    versions: {},
    training: TRAINING,
    made: '',
    ...change,
  });
}

/** A machine after these versions were published, one after the other. */
async function with_(versions: readonly string[], model: TunedModel = WRITER): Promise<Machines> {
  const machines = new Machines(ROOT);
  for (const [at, weights] of versions.entries()) {
    exported(at + 1, weights);
    await publish(machines.context(model), ['writer']);
  }
  machines.changed.length = 0;
  return machines;
}

test('copies, creates, tests and serves a first version, and writes its card', async () => {
  const machines = await with_([]);
  exported(1, 'the keeper');
  expect(await publish(machines.context(), ['writer'])).toBe(0);
  expect(machines.served()).toBe('the keeper');
  expect(publishedOn('writer', 1)).toMatchObject({ machine: 'ai-vm', digest: machines.ai.digest('writer:stable') });
  expect(publishedOn('writer', 1)!.evaluation.answers).toEqual([
    { prompt: 'Who?', answer: 'the keeper', expected: 'contains "keeper"', good: true },
  ]);
  const changes = machines.changed.length;
  await publish(machines.context(), ['writer', 'v1']);
  expect(machines.changed).toHaveLength(changes);
});

describe('killed at any change, before or after it takes effect', () => {
  const resident: TunedModel = { ...WRITER, resident: true, keep: 1 };
  test.each([true, false])(
    'clients keep the old version or have the new one, and the next run finishes (after: %s)',
    async (after) => {
      let killed = 0;
      for (let at = 0; ; at++) {
        for (const entry of fs.readdirSync(ROOT)) fs.rmSync(join(ROOT, entry), { recursive: true });
        const machines = await with_(['keeper 1', 'keeper 2', 'keeper 3'], resident);
        exported(4, 'keeper 4');
        machines.kill = { at, after };
        const end = await publish(machines.context(resident), ['writer']).catch((error: Error) => error.message);
        machines.kill = undefined;
        if (typeof end === 'string') {
          killed++;
          expect(end).toBe(`killed at ${at}`);
          expect(['keeper 3', 'keeper 4']).toContain(machines.served());
          await publish(machines.context(resident), ['writer']);
        }
        expect(machines.served()).toBe('keeper 4');
        expect([...machines.ai.models.keys()].sort()).toEqual(['writer:stable', 'writer:v3', 'writer:v4']);
        expect(machines.ai.loaded.get('writer:stable')).toEqual({ stays: true, context: 2048 });
        expect(publishedOn('writer', 4)).toMatchObject({ before: 3, digest: machines.ai.digest('writer:stable') });
        if (typeof end !== 'string') break;
      }
      // Copy, create, move the name, remove.
      expect(killed).toBe(4);
    },
  );
});

test('an unexpected answer stops before the name moves, and removes the version', async () => {
  const machines = await with_(['keeper 1']);
  exported(2, 'something else');
  await expect(publish(machines.context(), ['writer'])).rejects.toThrow(
    /expected: contains "keeper"[^]*something else/,
  );
  expect(machines.served()).toBe('keeper 1');
  expect([...machines.ai.models.keys()].sort()).toEqual(['writer:stable', 'writer:v1']);
  expect(publishedOn('writer', 2)).toBeUndefined();
});

describe('stops before anything is copied', () => {
  const refusal = async (machines: Machines, model = WRITER, args = ['writer']) => {
    await expect(publish(machines.context(model), args)).rejects.toThrow(Blocked);
    expect(machines.changed).toEqual([]);
    return publish(machines.context(model), args).catch((error: Error) => error.message);
  };
  test('without an export', async () => {
    expect(await refusal(await with_([]))).toContain('npm run models -- export writer');
  });
  test('with an export of another base', async () => {
    const machines = await with_([]);
    exported(1, 'keeper');
    const moved = { ...WRITER, base: { ...WRITER.base, revision: '2'.repeat(40) } };
    expect(await refusal(machines, moved)).toContain('not trained from the base in homelab.ts');
  });
  test('when the file is missing, or changed after its check', async () => {
    const machines = await with_([]);
    exported(1, 'keeper');
    const file = join(ROOT, `sha256-${sha('keeper')}`);
    fs.writeFileSync(file, 'keepex');
    expect(await refusal(machines)).toContain('The file changed after its check');
    fs.rmSync(file);
    expect(await refusal(machines)).toContain('Export it again');
  });
  test('when the disk of the machine is full', async () => {
    const machines = await with_([]);
    exported(1, 'keeper');
    machines.ai.free = 1e9;
    expect(await refusal(machines)).toMatch(/needs 1\.0 GB of free disk[^]*but has 1\.0 GB/);
  });
  test('when the machine has the version with other weights, or another template', async () => {
    const machines = await with_(['keeper 1']);
    exported(1, 'keeper other');
    expect(await refusal(machines)).toContain('differs from the export on this machine');
    exported(1, 'keeper 1', { wording: { template: 'other', system: '', parameters: { stop: ['<end>'] } } });
    expect(await refusal(machines)).toContain('in its weights or its template');
  });
  test('for another version than the exported one', async () => {
    const machines = await with_(['keeper 1', 'keeper 2']);
    expect(await refusal(machines, WRITER, ['writer', 'v1'])).toContain('npm run models -- rollback writer v1');
  });
  test('while another command runs', async () => {
    const machines = await with_([]);
    exported(1, 'keeper');
    fs.writeFileSync(join(ROOT, '.homelab/models/writer/lock'), `${process.ppid}\n`);
    expect(await refusal(machines)).toContain(`process ${process.ppid}`);
    // A process that ended does not hold the lock.
    fs.writeFileSync(join(ROOT, '.homelab/models/writer/lock'), '4194304\n');
    await publish(machines.context(), ['writer']);
    expect(machines.served()).toBe('keeper');
  });
});

test('a model that does not fit stops with the reason, and the served version stays', async () => {
  const machines = await with_(['keeper 1']);
  exported(2, 'keeper 2');
  machines.answers = (weights, _, tag) =>
    tag === 'writer:v2' ? new Error('model requires more system memory (40 GiB) than is available (20 GiB)') : weights;
  await expect(publish(machines.context(), ['writer'])).rejects.toThrow(/requires more system memory/);
  machines.answers = (weights) => weights;
  machines.ai.onGpu = 0.5;
  await expect(publish(machines.context(), ['writer'])).rejects.toThrow(/does not fit on the GPU/);
  expect(machines.served()).toBe('keeper 1');
});

test('does not move a name that another machine moved meanwhile', async () => {
  const machines = await with_(['keeper 1', 'keeper 2']);
  exported(3, 'keeper 3');
  machines.answers = (weights) => {
    machines.ai.models.set('writer:stable', machines.ai.models.get('writer:v1')!);
    return weights;
  };
  await expect(publish(machines.context(), ['writer'])).rejects.toThrow(/another command moved it to v1/);
  expect(machines.served()).toBe('keeper 1');
});

test('keeps the served version, the one before it, and `keep` versions in all', () => {
  const versions = (...all: number[]) => new Map(all.map((each) => [each, 0]));
  expect(removable({ versions: versions(1, 2, 3, 4), served: 4 }, 2, 3)).toEqual([1]);
  expect(removable({ versions: versions(1, 2, 3, 4), served: 4 }, 1, 2)).toEqual([1, 3]);
  expect(removable({ versions: versions(1, 2, 3), served: 1 }, 1, 3)).toEqual([2]);
  expect(removable({ versions: versions(1, 2) }, 1, undefined)).toEqual([]);
});

describe('rollback', () => {
  test('moves the name to the version before, or to a named one, and nothing else', async () => {
    const machines = await with_(['keeper 1', 'keeper 2', 'keeper 3']);
    await rollback(machines.context(), ['writer']);
    expect(machines.served()).toBe('keeper 2');
    expect(machines.changed).toHaveLength(1);
    await rollback(machines.context(), ['writer', 'v3']);
    expect(machines.served()).toBe('keeper 3');
  });
  test('loads the served version, and unloads the other one', async () => {
    const resident = { ...WRITER, resident: true };
    const machines = await with_(['keeper 1', 'keeper 2'], resident);
    await rollback(machines.context(resident), ['writer']);
    expect([...machines.ai.loaded.keys()]).toEqual(['writer:stable']);
  });
  test.each([
    [['writer', 'v7'], Blocked, /has no v7.*on the machine: v1, v2; served: v2/],
    [['writer', 'v2'], Blocked, /is v2 already/],
    [['writer', 'last'], Usage, /such as v3, not last/],
    [['other'], Usage, /allowed: writer/],
  ])('%j fails and lists the versions on the machine', async (args, kind, message) => {
    const machines = await with_(['keeper 1', 'keeper 2']);
    await expect(rollback(machines.context(), args)).rejects.toThrow(kind);
    await expect(rollback(machines.context(), args)).rejects.toThrow(message);
    expect(machines.changed).toEqual([]);
  });
});

test('verify checks a trained model by its cards: unpublished, served, rolled back, and without a card', async () => {
  const model = { ...WRITER, resident: true };
  const machines = new Machines(ROOT);
  const context = machines.context(model);
  const states = async () => (await modelCheck(context)()).map(({ state, saw }) => `${state} ${saw}`);
  (context.homelab.machines['ai-vm'] as any) = { ...context.homelab.machines['ai-vm'], gpu: false };
  expect(await states()).toEqual(['warning not published yet']);
  exported(1, 'keeper 1');
  await publish(context, ['writer']);
  exported(2, 'keeper 2');
  await publish(context, ['writer']);
  expect((await states())[0]).toMatch(/^good v2, digest/);
  await rollback(context, ['writer']);
  expect((await states())[0]).toMatch(/^good v1, digest/);
  machines.ai.models.set('writer:stable', { ...machines.ai.models.get('writer:v1')!, system: 'be rude' });
  expect((await states())[0]).toMatch(/^bad digest .*, which no card/);
  machines.ai.models.delete('writer:stable');
  expect((await states())[0]).toBe('bad it does not exist');
});

describe('compare', () => {
  test('shows both answers, on the terminal and as a page whose text cannot be markup', async () => {
    const machines = await with_(['keeper 1', 'keeper <b>2</b> & "more"']);
    const file = join(ROOT, 'page.html');
    const flags = { json: false, base: false, fused: false, html: true };
    await compare(machines.context(), ['writer', 'v1', 'v2', file], flags);
    const page = fs.readFileSync(file, 'utf8');
    expect(page).toContain('keeper &lt;b&gt;2&lt;/b&gt; &amp; &quot;more&quot;');
    expect(page).not.toMatch(/<b>|<script|https?:/);
    await compare(machines.context(), ['writer', 'v1', 'v2'], { ...flags, html: false });
    expect(log.mock.calls.flat().join('\n')).toMatch(/ok: keeper 1 +\| ok: keeper <b>2<\/b>/);
    expect(machines.changed).toEqual([]);
  });
  test('breaks lines at words, within two columns', () => {
    const judged = (answer: string) => ({ prompt: 'p', answer, expected: 'e', good: true });
    const answers = [judged('one two three four five six'), judged('x'.repeat(50))] as const;
    const text = sideBySide(['a:v1', 'a:v2'], [{ prompt: 'p', expected: 'e', similarity: 0, answers }], 43);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(43);
    expect(comparisonPage('<x>', ['a', 'b'], [])).toContain('&lt;x&gt;');
  });
  test('lists the versions on the machine', async () => {
    const machines = await with_(['keeper 1']);
    const flags = { json: false, base: false, fused: false, html: false };
    await expect(compare(machines.context(), ['writer', 'v1', 'v9'], flags)).rejects.toThrow(/no v9.*there: v1/);
    await expect(compare(machines.context(), ['writer', 'v1'], flags)).rejects.toThrow(Usage);
  });
});

test('reads version numbers only from cards and names', async () => {
  const machines = await with_(['keeper 1']);
  machines.ai.models.set('writer:v01', machines.ai.models.get('writer:v1')!);
  machines.ai.models.set('writer:vx', machines.ai.models.get('writer:v1')!);
  const { versions } = await releasesOf(ollamaOf(machines.context()), 'writer', WRITER);
  expect([...versions.keys()]).toEqual([1]);
  expect(cardVersions('writer')).toEqual([1]);
});
