import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Mac } from './mac';
import { mlxPython } from './binaries';
import type { ModelPart, ModelSuite } from './suite';
import { tinyBase, TUNED_ANSWER } from './tiny';

/**
 * Stops and kills a training several times, and compares its result with an uninterrupted one, byte by byte. Tests the early end,
 * the memory limit, and that a second training, bad data and a changed base are rejected.
 */
export const TRAINING: ModelPart = { name: 'training', seconds: 120, run: training };

const ITERATIONS = 24;
/** Iterations between checkpoints: 24 / 20, rounded up. */
const EVERY = 2;
const NO_OLLAMA = 'http://127.0.0.1:1';
const WAIT_SECONDS = 240;

async function training(suite: ModelSuite): Promise<void> {
  const mac = new Mac(NO_OLLAMA);
  try {
    await mac.declare('writer', 'llama', TUNED_ANSWER, (model) => {
      model.prompts = [{ prompt: 'Who?', contains: 'a' }];
      model.training.iterations = ITERATIONS;
    });
    await refused(suite, mac);
    await killed(suite, mac);
    await endsEarly(suite, mac);
    memory(suite, mac);
  } finally {
    mac.remove();
  }
}

const folderOf = (mac: Mac) => join(mac.path, '.homelab/models/writer/train');
const resultOf = (mac: Mac) => JSON.parse(fs.readFileSync(join(folderOf(mac), 'training.json'), 'utf8'));

/** Bad input stops before training starts, with a message. */
async function refused({ tally, laps }: ModelSuite, mac: Mac): Promise<void> {
  const data = join(mac.path, 'models/writer/data/train.jsonl');
  const good = fs.readFileSync(data, 'utf8');
  const cases: readonly (readonly [what: string, change: () => void, undo: () => void, said: RegExp])[] = [
    [
      'data with an empty chat',
      () => fs.writeFileSync(data, `${good}{"messages": []}\n`),
      () => fs.writeFileSync(data, good),
      /train\.jsonl:11: messages must be a list of messages[^]*its digest must be/,
    ],
    [
      'an example that is too long',
      () => mac.change('writer', (model) => (model.training.maxSequence = 16)),
      () => mac.change('writer', (model) => (model.training.maxSequence = 128)),
      /train\.jsonl:1: it has \d+ tokens, but 16 are allowed/,
    ],
    [
      'a base that changed',
      () => mac.change('writer', (model) => (model.base.revision = `sha256:${'0'.repeat(64)}`)),
      () => mac.change('writer', (model) => (model.base.revision = revision)),
      /The folder changed\. Find out why/,
    ],
    [
      'more layers than the base has',
      () => mac.change('writer', (model) => (model.training.layers = 16)),
      () => mac.change('writer', (model) => (model.training.layers = -1)),
      /at most 2, the layers of the base, got 16/,
    ],
  ];
  let revision = '';
  mac.change('writer', (model) => (revision = model.base.revision));
  for (const [what, change, undo, said] of cases) {
    change();
    const { code, stderr } = await mac.run('train', 'writer');
    undo();
    tally.check(`${what} is rejected with its message`, code === 4 && said.test(stderr), `${code}\n${stderr}`);
  }
  tally.check('none of them started a training', !fs.existsSync(join(folderOf(mac), 'training.json')));
  laps.lap('training: rejected bad input');
}

async function killed({ tally, laps }: ModelSuite, mac: Mac): Promise<void> {
  const whole = await mac.run('train', 'writer');
  tally.check('an uninterrupted training ends', whole.code === 0, whole.stderr);
  const wanted = resultOf(mac);
  laps.lap(`training: ${ITERATIONS} iterations without interruption`);
  fs.rmSync(folderOf(mac), { recursive: true });

  // Kills before the first checkpoint, and after some.
  for (const lines of [0, 1, 5]) {
    const before = iterationOf(mac);
    const child = start(mac);
    await seen(mac, child, lines);
    process.kill(-child.pid!, 'SIGKILL');
    await ended(child);
    const kept = iterationOf(mac);
    tally.check(
      `killed after ${lines} lines of progress, it keeps its checkpoint (${before} -> ${kept})`,
      kept >= before,
    );
  }
  const child = start(mac);
  await seen(mac, child, 8);
  // Paused, so that it still runs when the second one tries the lock.
  process.kill(-child.pid!, 'SIGSTOP');
  const second = await mac.run('train', 'writer');
  tally.check(
    'a second training is rejected while one runs',
    second.code === 4 && /another training is running \(writer, process \d+\)/.test(second.stderr),
    second.stderr,
  );
  process.kill(-child.pid!, 'SIGCONT');
  process.kill(-child.pid!, 'SIGINT');
  const code = await ended(child);
  const [kept, told] = [iterationOf(mac), lastLine(mac)];
  tally.check('Ctrl-C ends the training with exit code 130', code === 130, String(code));
  tally.check('Ctrl-C loses no iteration', kept >= told, `kept ${kept}, told ${told}`);

  const last = await mac.run('train', 'writer');
  tally.check('the next run resumes', last.code === 0 && /resumes after iteration/.test(last.stdout), last.stdout);
  const { iterations, best, losses, adapterDigest } = resultOf(mac);
  tally.check(
    'a training that was killed three times and stopped once has the same iterations, losses and weights',
    iterations === wanted.iterations &&
      adapterDigest === wanted.adapterDigest &&
      JSON.stringify([best, losses]) === JSON.stringify([wanted.best, wanted.losses]),
    JSON.stringify({ iterations, best, adapterDigest, wanted }),
  );
  const again = await mac.run('train', 'writer');
  tally.check(
    'another run has nothing to do',
    again.code === 0 && /is already trained with these settings/.test(again.stdout),
  );
  laps.lap('training: killed three times, stopped once, finished');
}

async function endsEarly({ tally, laps }: ModelSuite, mac: Mac): Promise<void> {
  const patience = 2;
  // So high that it destroys the knowledge of the base.
  mac.change('writer', (model) => Object.assign(model.training, { learningRate: 0.3, patience }));
  const { code, stdout, stderr } = await mac.run('train', 'writer');
  const { iterations, best } = code === 0 ? resultOf(mac) : { iterations: 0, best: { iteration: 0 } };
  tally.check(
    `a training that gets worse ends after ${patience} validations`,
    code === 0 &&
      iterations < ITERATIONS &&
      iterations - best.iteration === patience * EVERY &&
      /stopped early/.test(stdout),
    `${code} ${JSON.stringify({ iterations, best })}\n${stderr}`,
  );
  laps.lap('training: ended early');
}

/** Above its memory limit, a training stops and names the settings to lower. On the Mac the limit follows from its memory. */
function memory({ tally }: ModelSuite, mac: Mac): void {
  const folder = join(mac.path, '.homelab/models/small');
  const settings = { kind: 'lora', rank: 8, scale: 4, layers: -1, learningRate: 1e-3, iterations: 4, batch: 2 };
  const input = {
    ...{ folder, base: tinyBase('llama'), data: join(mac.path, 'models/writer/data'), memoryLimit: 2 ** 20, every: 1 },
    ...{ config: 'small\n', lock: `${folder}.lock`, told: { name: 'small' } },
    settings: { ...settings, maxSequence: 128, seed: 0, patience: 3, gradientCheckpoint: true },
  };
  const { status, stderr } = spawnSync(
    join(mlxPython(), 'bin/python'),
    [join(mac.path, 'scripts/models/python/train.py')],
    {
      input: JSON.stringify(input),
      encoding: 'utf8',
      timeout: WAIT_SECONDS * 1000,
    },
  );
  tally.check(
    'a training above its memory limit stops and names the settings to lower',
    status === 3 && /more than its limit of 0\.00 GiB on this machine[^]*lower training\.batch/.test(stderr),
    `${status}\n${stderr}`,
  );
}

/** `npm run models -- train writer` in its own process group, like a terminal. */
function start(mac: Mac): ChildProcess {
  return spawn(process.execPath, ['-r', 'ts-node/register', 'scripts/models.ts', 'train', 'writer', '--yes'], {
    cwd: mac.path,
    env: { ...process.env, TS_NODE_TRANSPILE_ONLY: 'true' },
    stdio: 'ignore',
    detached: true,
  });
}

async function seen(mac: Mac, child: ChildProcess, lines: number): Promise<void> {
  const config = join(folderOf(mac), 'config.yaml');
  const end = Date.now() + WAIT_SECONDS * 1000;
  while (child.exitCode === null) {
    if (lines === 0 ? fs.existsSync(config) : linesOf(mac).length >= lines) return;
    if (Date.now() > end) throw new Error(`${lines} lines of progress did not come within ${WAIT_SECONDS} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the training ended with ${child.exitCode} before ${lines} lines of progress`);
}

function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

function linesOf(mac: Mac): string[] {
  const file = join(folderOf(mac), 'progress.jsonl');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
}

function lastLine(mac: Mac): number {
  return JSON.parse(linesOf(mac).at(-1)!).iteration;
}

/** Iteration of the last complete checkpoint. */
function iterationOf(mac: Mac): number {
  const folder = join(folderOf(mac), 'checkpoints');
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => /^\d+$/.test(name)) : [];
  return Math.max(0, ...names.map(Number));
}
