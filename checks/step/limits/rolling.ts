import { podSpecOf } from '../../../constructs';
import { applications } from '../applications';
import type { Manifest } from '../objects';
import { daemonLimits, replacedPods, rollingLimits } from '../replaced-pods';
import type { Pair, Step } from '../step';
import { ownWave } from '../waves';
import type { Namespace } from './namespace';
import { countOf, most, podUsage, type Usage } from './pods';
import { countsPod } from './scopes';

/** The rollout of one workload from its old pods to its new ones. */
export interface Roll {
  readonly id: string;
  readonly name: string;
  /** Resources of one old pod and one new pod. */
  readonly was: Usage;
  readonly is: Usage;
  /** Number of old pods at first, of old pods that stay, and of all pods at the end. */
  readonly old: number;
  readonly stay: number;
  readonly target: number;
  /** How many pods more (surge) or fewer (unavailable) are allowed during the rollout. */
  readonly surge: number;
  readonly unavailable: number;
  /** Whether its pods run to completion, like those of a Job. */
  readonly ends: boolean;
  /** Wave. Argo CD syncs a folder wave by wave, each when the previous one is healthy. */
  readonly folder: string;
  readonly wave: number;
}

const NONE: Usage = {};

/** The rollouts of one namespace that one quota counts. */
export function rollsOf(space: Namespace, quota: Manifest, nodes: number, step: Step): Roll[] {
  return space.workloads.map((pair) => rollOf(pair, space, quota, nodes, step));
}

function rollOf(pair: Pair, space: Namespace, quota: Manifest, nodes: number, step: Step): Roll {
  const [before, after] = [pair.before?.object, pair.after?.object];
  const usage = (object?: Manifest) => {
    const spec = object && podSpecOf(object as Record<string, any>);
    return spec && countsPod(quota, spec) ? podUsage(spec, space.ranges) : NONE;
  };
  const count = (object?: Manifest) => (object ? countOf(object, nodes, space.scalers).pods : 0);
  const { folder } = (pair.after ?? pair.before)!;
  const object = (after ?? before)!;
  const common = {
    id: pair.id,
    name: object.metadata.name as string,
    was: usage(before),
    is: usage(after),
    ends: object.kind === 'Job',
    folder,
    // Without an application there are no waves.
    wave: applications(step.after).has(folder) ? ownWave(object) : 0,
  };
  const [from, to] = [count(before), count(after)];
  // An existing Job has usually completed.
  if (common.ends) return { ...common, old: 0, stay: 0, target: before ? 0 : to, surge: 0, unavailable: 0 };
  if (object.kind === 'CronJob' || object.kind === 'Pod') {
    const larger = most(common.was, common.is);
    const there = Math.max(from, to);
    return { ...common, was: larger, is: larger, old: there, stay: there, target: there, surge: 0, unavailable: 0 };
  }
  const stay = before && after ? staying(before, after, Math.min(from, to), nodes) : 0;
  return { ...common, old: from, stay, target: to, ...limitsOf(after, to) };
}

/** Old pods that no rollout replaces. */
function staying(before: Manifest, after: Manifest, both: number, nodes: number): number {
  const effect = replacedPods(before, after, { nodes });
  if (effect?.does !== 'replace') return both;
  return after.kind === 'StatefulSet' ? both - effect.count : 0;
}

/** A StatefulSet and a DaemonSet end an old pod before they create the new one. */
function limitsOf(after: Manifest | undefined, target: number): { surge: number; unavailable: number } {
  if (after?.kind === 'Deployment')
    return after.spec.strategy?.type === 'Recreate'
      ? { surge: 0, unavailable: target }
      : rollingLimits(after, Math.max(1, target));
  return after?.kind === 'DaemonSet' ? daemonLimits(after, Math.max(1, target)) : { surge: 0, unavailable: 1 };
}

/** The point where rollouts stop, because a quota refuses every next pod. */
export interface Stop {
  /** Rollouts whose next pod is refused; the first one requests the least. */
  readonly refused: readonly Roll[];
  /** All rollouts that are not complete. */
  readonly unfinished: readonly Roll[];
  /** Usage at this point, by workload. */
  readonly there: ReadonlyMap<Roll, number>;
  /** Usage with the next pod. */
  readonly needed: number;
}

interface Progress {
  readonly roll: Roll;
  old: number;
  fresh: number;
}

/** Simulates rollouts pod by pod. Retries a rejected pod after another pod ended. @returns undefined if all complete */
export function stopOf(rolls: readonly Roll[], key: string, allowed: number): Stop | undefined {
  if (mostOf(rolls, key) <= allowed) return undefined;
  const was = ({ was: usage }: Roll) => usage[key] ?? 0;
  const is = ({ is: usage }: Roll) => usage[key] ?? 0;
  // Growing rollouts come first, because they do not release what they use.
  const all = [...rolls]
    .sort((a, b) => is(b) - was(b) - (is(a) - was(a)))
    .map((roll): Progress => ({ roll, old: roll.old, fresh: 0 }));
  const size = ({ roll, old, fresh }: Progress) => old * was(roll) + (roll.ends ? 0 : fresh * is(roll));
  let used = all.reduce((sum, each) => sum + size(each), 0);
  let unfinished = all;
  for (;;) {
    unfinished = unfinished.filter((each) => !isDone(each));
    if (unfinished.length === 0) return undefined;
    const refused: Progress[] = [];
    let moved = false;
    for (const each of firstWaves(unfinished)) {
      const { roll } = each;
      for (;;) {
        const ended = endable(each);
        each.old -= ended;
        used -= ended * was(roll);
        const wants = each.fresh < roll.target - roll.stay && each.old + each.fresh < roll.target + roll.surge;
        const fits = used + is(roll) <= allowed + 1e-6 || is(roll) === 0;
        if (wants && fits) {
          each.fresh += 1;
          if (!roll.ends) used += is(roll);
        }
        if (ended === 0 && !(wants && fits)) {
          if (wants) refused.push(each);
          break;
        }
        moved = true;
      }
    }
    if (moved) continue;
    refused.sort((a, b) => is(a.roll) - is(b.roll));
    const [first] = refused;
    if (!first) return undefined;
    return {
      refused: refused.map(({ roll }) => roll),
      unfinished: unfinished.map(({ roll }) => roll),
      there: new Map(all.map((each) => [each.roll, size(each)])),
      needed: used + is(first.roll),
    };
  }
}

/** The lowest value of a quota with which all rollouts complete. */
export function roomFor(rolls: readonly Roll[], key: string, allowed: number): number {
  let room = allowed;
  for (let tries = 0; tries < 50; tries += 1) {
    const stop = stopOf(rolls, key, room);
    if (!stop || stop.needed <= room) return room;
    room = stop.needed;
  }
  return mostOf(rolls, key);
}

/** The upper bound, in any order of replacement. */
function mostOf(rolls: readonly Roll[], key: string): number {
  return rolls.reduce(
    (sum, { was, is, old, target, surge }) =>
      sum + Math.max(old, target + surge) * Math.max(was[key] ?? 0, is[key] ?? 0),
    0,
  );
}

function isDone({ roll, old, fresh }: Progress): boolean {
  return old === roll.stay && fresh >= roll.target - roll.stay;
}

/** The rollouts of each folder's first unfinished wave. */
function firstWaves(unfinished: readonly Progress[]): Progress[] {
  const first = new Map<string, number>();
  for (const { roll } of unfinished)
    first.set(roll.folder, Math.min(roll.wave, first.get(roll.folder) ?? Number.POSITIVE_INFINITY));
  return unfinished.filter(({ roll }) => roll.wave === first.get(roll.folder));
}

/** How many old pods may end now. */
function endable({ roll, old, fresh }: Progress): number {
  return Math.max(0, Math.min(old - roll.stay, old + fresh - (roll.target - roll.unavailable)));
}
