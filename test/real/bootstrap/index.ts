import { execFileSync } from 'node:child_process';
import homelab from '../../../homelab';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { controllers } from './controllers';
import { disturbed, encryptedFiles, machinesOf, secretValues, type Point, type Reference } from './disturbed';
import { Lab, type Run } from './lab';
import { inNamespace } from './machines';
import { offerAll } from './offers';
import type { Interception } from './programs/program';
import { refusals } from './refusals';
import { seedsIn } from './seeds';

inNamespace();

/**
 * The bootstrap against a simulated homelab: from bare machines to done, nothing left to do, and then disturbed at its
 * calls. The sample ends by its own clock; --full takes every call. --stage=NAME takes the calls of one stage.
 */
const full = process.argv.includes('--full');
const only = process.argv.find((arg) => arg.startsWith('--stage='))?.slice('--stage='.length);
const SAMPLE_SECONDS = 90;
const STAGES = ['keys', 'host', 'images', 'vms', 'talos', 'ai-vm', 'models', 'secrets', 'gitops'];
const KILLS: readonly Interception[] = ['before', 'during', 'after'];
const FAULTS: readonly Interception[] = ['fail', 'hang', 'nonsense'];

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
    await lab.keep('bare');
    await fromBareToDone(lab);
    const references = await stageByStage(lab);
    if (!only) await refusals(lab, tally);
    await disturbAll(lab, references);
  } finally {
    stop();
    await lab.stop();
  }
  if (full && !only && tally.good) writeProofs('bootstrap', [...laps.lines, tally.line()]);
  tally.close();
}

async function fromBareToDone(lab: Lab): Promise<void> {
  const first = await lab.run(['apply', '--yes']);
  tally.check('from bare to done in one run', first.code === 0, tail(first));
  if (first.code !== 0) throw new Error(`the rest needs a run that ends well\n${first.output}`);
  laps.lap(`from bare to done: ${lab.simulation.calls.length} calls in ${first.seconds.toFixed(0)} s`);
  const begin = lab.simulation.calls.length;
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
  laps.lap(`a second run: ${lab.simulation.calls.length - begin} calls, ${changing.length} that change`);
  const secrets = secretValues(lab);
  tally.check('sops reads every encrypted file', encryptedFiles(lab).length >= 4 && secrets.size > 50);
  const seen = seedsIn(lab, [...secrets.values()], `${first.output}${second.output}`);
  tally.check('no secret in logs, arguments, rendered files or messages', seen.length === 0, seen.join('\n'));
  laps.lap(`${secrets.size} secret values, found nowhere in the clear`);
}

/** Puts the state before each stage aside, with what the stage leaves when nobody disturbs it. */
async function stageByStage(lab: Lab): Promise<Map<string, Reference>> {
  const references = new Map<string, Reference>();
  await lab.restore('bare');
  for (const stage of STAGES) {
    await lab.keep(`before ${stage}`);
    lab.simulation.calls.length = 0;
    const run = await lab.run(['apply', stage, '--yes']);
    if (run.code !== 0) throw new Error(`${stage} must end well by itself:\n${run.output}`);
    references.set(stage, { calls: lab.simulation.calls.length, machines: machinesOf(lab) });
    if (stage === only) break;
  }
  laps.lap(`stage by stage: ${[...references].map(([stage, { calls }]) => `${stage} ${calls}`).join(', ')} calls`);
  return references;
}

async function disturbAll(lab: Lab, references: ReadonlyMap<string, Reference>): Promise<void> {
  const points = [...references]
    .filter(([stage]) => only === undefined || stage === only)
    .flatMap(([stage, { calls }]) =>
      Array.from({ length: calls }, (_, index) =>
        [...KILLS, ...FAULTS].map((how): Point => ({ stage, index, how })),
      ).flat(),
    );
  const chosen = full ? points : shuffled(points);
  const begin = Date.now();
  const done = new Map<string, number>();
  for (const point of chosen) {
    if (!full && Date.now() - begin > SAMPLE_SECONDS * 1000) break;
    await disturbed(lab, tally, point, references.get(point.stage)!);
    done.set(point.how, (done.get(point.how) ?? 0) + 1);
  }
  const kills = KILLS.reduce((sum, how) => sum + (done.get(how) ?? 0), 0);
  const faults = FAULTS.reduce((sum, how) => sum + (done.get(how) ?? 0), 0);
  laps.lap(`${kills} kill points and ${faults} failing, hanging or nonsensical calls of ${points.length} possible`);
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

function tail({ code, output }: Run): string {
  return `exit ${code}\n${output.trim().split('\n').slice(-30).join('\n')}`;
}

main().catch((error: Error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
