import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Step } from '../step';
import { countsOf } from './counts';
import type { Namespace } from './namespace';
import { amount, quantity, sum, times, type Usage } from './pods';
import { rollsOf, roomFor, stopOf, type Roll, type Stop } from './rolling';
import { countsObjects } from './scopes';

/** Quotas of one namespace that do not admit the final pods, or a pod during the rollout. */
export function quotaRisks(space: Namespace, nodes: number, step: Step): Risk[] {
  return space.quotas.flatMap((quota) => {
    const rolls = rollsOf(space, quota, nodes, step);
    const counts = countsObjects(quota) ? countsOf(space) : {};
    return Object.keys(quota.spec.hard ?? {}).flatMap((given) => quotaRisk(quota, given, rolls, counts, space) ?? []);
  });
}

/** Short names of resources, and what they mean. */
const KEYS: Readonly<Record<string, string>> = {
  cpu: 'requests.cpu',
  memory: 'requests.memory',
  'count/pods': 'pods',
};

function quotaRisk(
  quota: Manifest,
  given: string,
  rolls: readonly Roll[],
  counts: Usage,
  { before }: Namespace,
): Risk | undefined {
  const key = KEYS[given] ?? given;
  const allowed = quantity(quota.spec.hard[given]);
  const rest = rolls.map(({ ends, target, is }) => (ends ? 0 : (times(is, target)[key] ?? 0)));
  const end = { ...sum(rest.map((value) => ({ [key]: value }))), ...counts }[key] ?? 0;
  const text = (value: number) => amount(key, value);
  const { name, namespace } = quota.metadata;
  const risk = (to: number, ids: readonly string[], problem: string, way: readonly string[]): Risk => ({
    verdict: 'limit',
    what: `${namespace}/${name}.${given}`,
    objects: [identity(quota), ...ids],
    path: `spec.hard[${given}]`,
    from: text(allowed),
    to: text(to),
    problem: `The quota ${name} of ${namespace} allows ${text(allowed)} of ${given}${problem}`,
    way,
  });
  if (end > allowed + 1e-6) {
    const parts = rolls.flatMap((roll, index) => (rest[index]! > 0 ? [`${roll.name} ${text(rest[index]!)}`] : []));
    const ids = rolls.filter((_, index) => rest[index]! > 0).map(({ id }) => id);
    const problem = `, and the rendered objects need ${total(parts, text(end))}: the last ones are never created.`;
    return risk(end, ids, problem, [`Raise ${given} of the quota to ${text(end)}, or remove objects.`]);
  }
  const stop = stopOf(rolls, key, allowed);
  if (!stop) return undefined;
  const room = roomFor(rolls, key, allowed);
  const ids = stop.unfinished.map(({ id }) => id);
  const earlier = before.get(identity(quota))?.spec.hard?.[given];
  const lowered = earlier !== undefined && quantity(earlier) > allowed ? quantity(earlier) : undefined;
  return risk(room, ids, problemOf(stop, key), [
    ...inSteps(stop, room - end, allowed - end, lowered !== undefined),
    lowered !== undefined && lowered >= room
      ? `Leave ${given} of the quota at ${text(lowered)} in this commit, and lower it in the next one, when all pods are new.`
      : `Raise ${given} of the quota to ${text(room)} in a commit before this one, or change fewer workloads at once.`,
  ]);
}

/** The pods at the point where the quota admits no next pod, and the sum with that pod. */
function problemOf({ refused, unfinished, there, needed }: Stop, key: string): string {
  const text = (value: number) => amount(key, value);
  const [first] = refused;
  const parts = [...there].filter(([, value]) => value > 0).map(([roll, value]) => `${roll.name} ${text(value)}`);
  const arithmetic = total([...parts, `the new pod ${text(first!.is[key] ?? 0)}`], text(needed));
  const waiting = unfinished.filter((each) => !refused.includes(each)).map(({ name }) => name);
  const others = waiting.length > 0 ? `, and ${listed(waiting)} wait${waiting.length > 1 ? '' : 's'} behind it` : '';
  const stops =
    refused.length > 1
      ? `rollouts of ${listed(refused.map(({ name }) => name))} wait for each other: the quota has no room for their next pods${others}.`
      : `the pod is refused, so the rollout stops there${others}.`;
  return `; with a new pod of ${first!.name}, ${arithmetic}: ${stops}`;
}

/**
 * If requests and a quota are lowered together, old pods still use what the quota no longer has. In smaller steps
 * the difference fits into the final reserve of the quota. Deployments need room for one more pod.
 */
function inSteps({ refused }: Stop, over: number, left: number, lowered: boolean): string[] {
  const steps = Math.ceil(over / left - 1e-6);
  if (!lowered || left <= 0 || steps > 20 || refused.some(({ surge }) => surge > 0)) return [];
  return [`Lower it in ${steps} equal steps, a commit each, and wait until all pods are new before the next one.`];
}

function total(parts: readonly string[], all: string): string {
  return `${parts.slice(0, 8).join(' + ')}${parts.length > 8 ? ' + ...' : ''} = ${all}`;
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
