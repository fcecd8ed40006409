import type { Tally } from '../../tally';
import {
  disturbed,
  finishes,
  leavesSomething,
  oneOfEach,
  pointsAt,
  signatureOf,
  type Came,
  type Point,
  type Reference,
} from '../harness/disturbed';
import type { Lab } from '../harness/lab';
import type { Call, Interception } from '../simulator/programs/program';

/** The state beside a call that leaves something, put aside while a run stood still there. */
interface Kept {
  /** Of the call, in the reference. */
  readonly index: number;
  readonly name: string;
  /** Whether it is the one after the call before it: a run that is killed here leaves nothing that is new. */
  readonly isKnown: boolean;
}

/**
 * Kills a stage before, during and after each call that leaves something, and disturbs each call once with each fault.
 *
 * One run stands still at those calls while everything is put aside. A kill before or after a call leaves exactly this, so only
 * the next run is tried; a kill during it, and a fault, are tried in a run that begins at the last state before the call.
 */
export async function everywhere(
  lab: Lab,
  tally: Tally,
  stage: string,
  reference: Reference,
  kills: boolean,
  faults: readonly Interception[],
  call: string,
): Promise<Map<string, number>> {
  const done = new Map<string, number>();
  const count = (what: string) => done.set(what, (done.get(what) ?? 0) + 1);
  const { calls } = reference;
  const kept = await keepBesideEach(lab, stage, calls);
  for (const { index, name, isKnown } of kills ? kept : []) {
    const isBefore = name.endsWith('before');
    const where = `${stage}, ${isBefore ? 'before' : 'after'}: ${signatureOf(calls[index]!).slice(0, 200)}`;
    if (!isKnown) {
      await lab.restore(name);
      await finishes(lab, tally, where, stage, reference);
    }
    count(isBefore ? (isKnown ? 'before (same state as after the previous call)' : 'before') : 'after');
    if (isBefore) await strike({ stage, signature: signatureOf(calls[index]!), nth: 0, how: 'during' }, name);
  }
  for (const how of faults)
    for (const point of oneOfEach(pointsAt(stage, calls, () => true, how))) {
      if (!point.signature.includes(call)) continue;
      const index = calls.findIndex((call) => signatureOf(call) === point.signature);
      const nearest = kept.filter((each) => each.index < index && each.name.endsWith('after')).at(-1);
      await strike(point, nearest?.name);
    }
  lab.forget(`${stage} `);
  // What is waited for is asked for once more or once less in another run, and that alone may not come again.
  const wanted = calls.filter(leavesSomething).length;
  const missed = calls.filter((each, index) => leavesSomething(each) && !kept.some((one) => one.index === index));
  const killed = Math.min(done.get('during') ?? 0, done.get('after') ?? 0);
  if (kills)
    tally.check(
      `${stage}: killed at the ${wanted} calls that change state`,
      killed >= 0.9 * wanted,
      `at ${killed}, not at:\n${missed.map((each) => signatureOf(each).slice(0, 300)).join('\n')}`,
    );
  return done;

  async function strike(point: Point, from?: string): Promise<void> {
    let came: Came = await disturbed(lab, tally, point, reference, from);
    if (came === undefined && from !== undefined) came = await disturbed(lab, tally, point, reference);
    count(came ?? `${point.how}, call not repeated`);
  }
}

async function keepBesideEach(lab: Lab, stage: string, calls: readonly Call[]): Promise<Kept[]> {
  const nameOf = (points: readonly Point[]) => points.map(({ signature, nth }) => `${nth} ${signature}`);
  const indices = new Map(nameOf(pointsAt(stage, calls, () => true, 'before')).map((name, index) => [name, index]));
  await lab.restore(`before ${stage}`);
  const seen = new Map<string, number>();
  const found = new Map<Call, number>();
  const kept: Kept[] = [];
  let last = lab.fingerprint();
  const keep = async (index: number, when: string) => {
    const name = `${stage} ${index} ${when}`;
    await lab.keep(name);
    const now = lab.fingerprint();
    kept.push({ index, name, isKnown: when === 'before' && now === last });
    last = now;
  };
  // One after the other, where two calls run at once.
  let turn = Promise.resolve();
  lab.simulation.intercept = async (call) => {
    const signature = signatureOf(call);
    const nth = seen.get(signature) ?? 0;
    seen.set(signature, nth + 1);
    const index = indices.get(`${nth} ${signature}`);
    if (index === undefined || !leavesSomething(calls[index]!)) return undefined;
    found.set(call, index);
    await (turn = turn.then(() => keep(index, 'before')));
    return undefined;
  };
  lab.simulation.answering = async (call) => {
    const index = found.get(call);
    if (index !== undefined) await (turn = turn.then(() => keep(index, 'after')));
  };
  const run = await lab.run(['apply', stage, '--yes'], 1);
  lab.simulation.intercept = undefined;
  lab.simulation.answering = undefined;
  if (run.code !== 0) throw new Error(`${stage} must finish where it stands still:\n${run.output}`);
  return kept;
}
