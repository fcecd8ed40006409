import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import homelab from '../../fixtures/homelab';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { controllers } from './simulator/controllers';
import { dayTwo } from './scenarios/day-two';
import {
  difference,
  disturbed,
  encryptedFiles,
  KILLS,
  leavesSomething,
  machinesOf,
  oneOfEach,
  pointsAt,
  secretValues,
  tail,
  type Reference,
} from './harness/disturbed';
import { gateway } from './scenarios/gateway';
import { serviceSecrets } from './scenarios/service-secrets';
import { hangsBelow, interrupted, unanswered } from './scenarios/endings';
import { everywhere } from './scenarios/everywhere';
import { Lab } from './harness/lab';
import { machineProofs } from './scenarios/machine-proofs';
import { inNamespace } from './simulator/machines';
import { undone } from './scenarios/undone';
import { offerAll } from './harness/offers';
import { overSsh } from './scenarios/over-ssh';
import type { Call, Interception } from './simulator/programs/program';
import { refusals } from './scenarios/refusals';
import { stored } from './scenarios/stored';
import { secretsIn } from './harness/secrets-in';
import { seen } from './scenarios/seen';

inNamespace();

/**
 * The bootstrap against a simulated homelab: from bare machines to done, nothing left to do, and then disturbed at its
 * calls. The sample ends by its own clock; --full takes every call. --stage=NAME takes the calls of one stage, --how=NAME of
 * it the kills or one fault, --call=TEXT faults at the calls that hold it, --seconds=N a longer sample.
 */
const full = process.argv.includes('--full');
const only = process.argv
  .find((arg) => arg.startsWith('--stage='))
  ?.slice('--stage='.length)
  .split(',');
const seconds = Number(process.argv.find((arg) => arg.startsWith('--seconds='))?.slice('--seconds='.length) ?? 40);
/** A sample of this many seconds is worth to be written down. */
const LONG = 300;
/** --full does these at the same time, each part in a process: they take about as long, and each waits now and then. */
const PARTS = [
  ['day-two', 'secrets', 'gitops', 'keys', 'images'],
  ['gateway', 'ai-vm', 'models'],
  ['talos', 'vms', 'host'],
] as const;
const STAGES: ReadonlySet<string> = new Set(PARTS.flat());
/** Undefined: whatever the clock allows, of all. */
const chosen: readonly string[] | undefined = only ?? (full ? PARTS[0] : undefined);
const how = process.argv
  .find((arg) => arg.startsWith('--how='))
  ?.slice('--how='.length)
  .split(',');
const call = process.argv.find((arg) => arg.startsWith('--call='))?.slice('--call='.length) ?? '';
const FAULTS = (['fail', 'hang', 'nonsense'] satisfies Interception[]).filter((each) => how?.includes(each) ?? true);

const tally = new Tally();
const laps = new Laps();

async function main(): Promise<void> {
  const kubectl = execFileSync('sh', ['-c', 'command -v kubectl']).toString().trim();
  const lab = await Lab.start(homelab, kubectl);
  const stop = controllers(lab.plane.client);
  try {
    offerAll(lab, homelab);
    const rendered = await lab.run(['render']);
    tally.check('render', rendered.code === 0, rendered.output);
    await withoutTalosctl(
      lab,
      /^keys: [^]*age-keygen: a new key[^]*the secrets of Talos.*\(planned after talosctl is installed\)/m,
    );
    const references = await fromBareToDone(lab);
    const others = full && !only ? PARTS.slice(1).map(otherPart) : [];
    if (!only) await nothingLeft(lab);
    if (!only)
      await withoutTalosctl(
        lab,
        /^talos: .*\n {2}cannot be planned: talosctl must be installed here[^]*^gitops: .*\n {2}nothing to do/m,
      );
    if (!only) await looks(lab);
    if (!only) await seen(lab, tally);
    if (!only) await stored(lab, tally, printed);
    if (!only) await refusals(lab, tally);
    if (!only) await undone(lab, tally);
    if (!only) await interrupted(lab, tally, references.get('vms')!);
    if (!only) await hangsBelow(lab, tally);
    if (!only) await unanswered(lab, tally);
    if (!only) await machineProofs(lab, tally);
    if (!only) await overSsh(lab, tally);
    if (chosen?.includes('secrets') ?? true) {
      await serviceSecrets(lab, tally);
      laps.lap('secrets of services: asked for, generated, shared, rotated');
    }
    if (chosen?.includes('day-two') ?? true) laps.lap(`commands of day 2, ${await dayTwo(lab, tally, full)}`);
    if (chosen?.includes('gateway') ?? true) {
      await gateway(lab, tally, references.get('ai-vm')!, full);
      laps.lap('the gateway of the models: verify, kills, rotations, switched off and on');
    }
    await disturbAll(lab, references);
    await Promise.all(others);
  } finally {
    stop();
    await lab.stop();
  }
  if ((full || seconds >= LONG) && !only && tally.good)
    writeProofs('bootstrap', [...laps.lines, tally.line()], full ? '--full' : `--seconds=${seconds}`);
  tally.close();
}

/**
 * One run, which stands still when the plan of a stage is shown, while its state is put aside. What was called since the last
 * step of the stage before is the look of this one.
 */
async function fromBareToDone(lab: Lab): Promise<Map<string, Reference>> {
  const { calls } = lab.simulation;
  const begins: { stage: string; at: number; machines: string }[] = [];
  const keeping: Promise<void>[] = [];
  let afterStep = 0;
  const first = await lab.run(['apply', '--yes'], undefined, (line) => {
    if (/^[✔↓] /.test(line)) afterStep = calls.length;
    const stage = /^([a-z-]+): /.exec(line)?.[1];
    if (stage === undefined || !STAGES.has(stage)) return;
    begins.push({ stage, at: afterStep, machines: machinesOf(lab) });
    keeping.push(lab.keep(`before ${stage}`));
  });
  await Promise.all(keeping);
  await lab.keep('done');
  tally.check('from bare to done in one run', first.code === 0, tail(first));
  if (first.code !== 0) throw new Error(`the rest needs a run that ends well\n${first.output}`);
  printed = first.output;
  const references = begins.map(({ stage, at }, index): [string, Reference] => {
    const next = begins[index + 1];
    return [stage, { calls: calls.slice(at, next?.at), machines: next?.machines ?? machinesOf(lab) }];
  });
  laps.lap(`from bare to done: ${calls.length} calls in ${first.seconds.toFixed(0)} s`);
  laps.lap(
    references
      .map(
        ([stage, { calls: own }]) =>
          `${stage} ${own.length} calls, ${own.filter(leavesSomething).length} that change state`,
      )
      .join('; '),
  );
  return new Map(references);
}

let printed = '';

async function nothingLeft(lab: Lab): Promise<void> {
  const begin = lab.simulation.calls.length;
  const files = lab.ownersFiles();
  const second = await lab.run(['apply', '--yes']);
  const changing = lab.simulation.calls.slice(begin).filter((call) => call.changing);
  tally.check('a second run ends well', second.code === 0, tail(second));
  tally.check(
    'a second run changes nothing',
    changing.length === 0,
    changing.map(({ machine, program, argv }) => `${machine}: ${program} ${argv.join(' ').slice(0, 200)}`).join('\n'),
  );
  tally.check(
    'nothing unknown was called',
    lab.simulation.unexpected.length === 0,
    lab.simulation.unexpected.join('\n'),
  );
  const now = lab.ownersFiles();
  tally.check('a second run leaves the clone and the keys as they were', now === files, difference(files, now));
  laps.lap(`a second run: ${lab.simulation.calls.length - begin} calls, ${changing.length} that change`);
  const secrets = secretValues(lab);
  tally.check('sops reads every encrypted file', encryptedFiles(lab).length >= 4 && secrets.size > 50);
  const seen = secretsIn(lab, [...secrets.values()], `${printed}${second.output}`);
  tally.check('no secret in logs, arguments, rendered files or messages', seen.length === 0, seen.join('\n'));
  laps.lap(`${secrets.size} secret values searched for in all files, logs and messages, ${seen.length} found`);
}

/** What is bad here: the clone is one of a test, and kwok's pods run nothing and hold nothing. */
const BAD: Readonly<Record<string, RegExp>> = {
  doctor: /^(everything is committed|git\.url of homelab\.ts is yours)$/,
  verify: /^(claims of .*|ring cassandra|replica set mongodb|llm-service answers .*|https:.*|network policies)$/,
};

/** As on a Mac on which not everything is installed yet. */
async function withoutTalosctl(lab: Lab, shows: RegExp): Promise<void> {
  const program = join(lab.simulation.environment().PATH!.split(':')[0]!, 'talosctl');
  fs.renameSync(program, `${program}.away`);
  const run = await lab.run(['plan']);
  fs.renameSync(`${program}.away`, program);
  tally.check(
    'a plan without talosctl shows what it can, and says what is missing',
    run.code === 4 && shows.test(run.output) && /not installed here: talosctl; .*doctor/.test(run.output),
    run.output.slice(-2500),
  );
}

/** The commands that only look: no crash, no change, and what they found in a form for monitoring. */
async function looks(lab: Lab): Promise<void> {
  // What is run in a pod is written down by the simulation, and reads.
  const isExec = ({ program, argv }: Call) => program === 'kubectl' && argv.includes('exec');
  for (const command of ['doctor', 'verify', 'plan']) {
    const begin = lab.simulation.calls.length;
    // Slow enough that a busy machine is not taken for one that does not answer.
    const run = await lab.run(command === 'plan' ? ['plan'] : [command, '--json'], 0.5);
    const changing = lab.simulation.calls.slice(begin).filter((call) => call.changing && !isExec(call));
    tally.check(
      `${command} changes nothing`,
      changing.length === 0,
      changing.map(({ argv }) => argv.join(' ')).join('\n'),
    );
    tally.check(`${command} ends by itself`, run.code === 0 || (command !== 'plan' && run.code === 1), tail(run));
    if (command === 'plan') continue;
    const found = run.output.includes('{') ? (JSON.parse(run.output) as unknown) : undefined;
    const list = (Array.isArray(found) ? found : ((found as any)?.findings ?? [])) as {
      what: string;
      state: string;
      saw: string;
    }[];
    tally.check(
      `${command} says what it saw`,
      list.length > 15 && list.every(({ what, saw }) => what && saw),
      run.output.slice(0, 800),
    );
    const bad = list.filter(({ state }) => state === 'bad').map(({ what }) => what);
    tally.check(
      `${command} calls bad what cannot be good here, and nothing else`,
      bad.length > 0 && bad.every((what) => BAD[command]!.test(what)),
      JSON.stringify(list.filter(({ state }) => state === 'bad')),
    );
    laps.lap(`${command}: ${list.length} findings, bad: ${bad.join(', ')}`);
  }
}

async function disturbAll(lab: Lab, references: ReadonlyMap<string, Reference>): Promise<void> {
  if (full) {
    for (const stage of chosen!) {
      const reference = references.get(stage);
      if (reference === undefined) continue;
      const done = await everywhere(lab, tally, stage, reference, how?.includes('kill') ?? true, FAULTS, call);
      laps.lap(`${stage}: ${[...done].map(([how, count]) => `${how} ${count}`).join('; ')}`);
    }
    return;
  }
  const mine = [...references].filter(([stage]) => chosen?.includes(stage) ?? true);
  const points = mine.flatMap(([stage, { calls }]) => [
    ...KILLS.flatMap((how) => pointsAt(stage, calls, leavesSomething, how)),
    ...oneOfEach(FAULTS.flatMap((how) => pointsAt(stage, calls, () => true, how))),
  ]);
  const begin = Date.now();
  const done = new Map<string, number>();
  for (const point of shuffled(points)) {
    if (Date.now() - begin > seconds * 1000) break;
    const came = await disturbed(lab, tally, point, references.get(point.stage)!);
    const key = came ?? 'call not repeated';
    done.set(key, (done.get(key) ?? 0) + 1);
  }
  tally.check(
    'the sample disturbed something',
    [...done.keys()].some((key) => key !== 'call not repeated'),
  );
  laps.lap(`${points.length} points; done: ${[...done].map(([how, count]) => `${how} ${count}`).join(', ')}`);
}

/** A run of its own, whose figures are taken over. */
async function otherPart(stages: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, __filename, '--full', `--stage=${stages.join()}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let ended = false;
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? [];
    if (passed !== undefined) {
      tally.add(Number(passed), Number(failed));
      ended = true;
    } else if (stages.some((stage) => line.startsWith(`${stage}: `))) laps.lines.push(line);
  }
  tally.check(`${stages.join()}: the run comes to its end`, ended);
}

/** Another sample each day, the same all day long. */
function shuffled<T>(all: readonly T[]): T[] {
  let seed = Number(new Date().toISOString().slice(0, 10).replace(/-/g, ''));
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  return all
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

main().catch((error: Error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
