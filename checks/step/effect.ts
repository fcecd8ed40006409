import type { ApiChange } from './api-server';
import type { Manifest } from './objects';
import type { ChangeVerdict, FieldChange, Rollout } from './plan';
import { readersOf, type Reader } from './readers';
import { remadeBecause } from './remade';
import { effectOnPods, remadeAtOnce, rolloutOf } from './rollout';
import { sameTemplate } from './same-template';
import type { Pair, State, Step } from './step';
import { templateOf, workloads } from './workloads';

/** What one accepted or refused change of an object does in the cluster. */
export interface Effect {
  readonly verdict: ChangeVerdict;
  /** Why, in one sentence. */
  readonly reason: string;
  readonly way?: string;
  readonly fields: readonly FieldChange[];
  readonly rollout?: Rollout;
}

/** The effect of a change of an object that exists before and after, given the result of the API server. */
export function effectOf(pair: Pair, change: ApiChange, step: Step): Effect {
  const { verdict, reason, way, fields } = change;
  const remade = remadeBecause(pair.after!, step);
  if (remade !== undefined)
    return { verdict: 'recreate', reason: remade, fields, rollout: remadeAtOnce(pair, change.next, step) };
  if (verdict === 'refused' || verdict === 'nothing') return { verdict, reason, way, fields };
  const pods = effectOnPods(pair, change, step);
  const rollout = pods && rolloutOf(pair, change, step);
  if (rollout) return { verdict: 'restart', reason: pods.reason, fields: fields.map(restarting), rollout };
  return { verdict, reason: pods?.reason ?? meanwhile(change.next, step) ?? reason, fields };
}

/** An additional reason for a new object. */
export function createdBecause({ after }: Pair, { before }: Step): string | undefined {
  const { object } = after!;
  const { kind, metadata, spec } = object;
  if (kind === 'CronJob') return `new: it runs first by its schedule, ${spec.schedule} ${spec.timeZone ?? ''}`.trim();
  if (kind !== 'Job') return undefined;
  const stem = withoutHash(metadata.name);
  const earlier = stem && hashNamed(before).get(`${metadata.namespace}/${stem}`);
  return earlier ? `the work of ${stem} has changed: it runs again, and ${earlier} is pruned` : 'new: it runs now';
}

const hashed = new WeakMap<State, Map<string, string>>();

/** Names of Jobs that end in a hash, by namespace and name without it. */
function hashNamed(state: State): Map<string, string> {
  const found = hashed.get(state) ?? new Map<string, string>();
  if (!hashed.has(state))
    for (const { kind, namespace, placed } of workloads(state).all) {
      const stem = kind === 'Job' ? withoutHash(placed.object.metadata.name) : undefined;
      if (stem !== undefined) found.set(`${namespace}/${stem}`, placed.object.metadata.name);
    }
  hashed.set(state, found);
  return found;
}

/** An additional reason for an object that leaves Git. */
export function prunedBecause({ before }: Pair): string | undefined {
  const { object } = before!;
  if (object.kind === 'Job') return 'it left Git: the Job is deleted with its pods; the results of its run stay';
  if (!templateOf(object)) return undefined;
  return object.kind === 'CronJob' ? 'it left Git: it runs no more Jobs' : 'it left Git, and its pods end';
}

/** Ten hexadecimal digits at the end, as hash-named-job.ts writes them. */
function withoutHash(name: string): string | undefined {
  return /^(.+)-[0-9a-f]{10}$/.exec(name)?.[1];
}

/** A change in a pod template restarts pods. */
function restarting(field: FieldChange): FieldChange {
  return field.verdict === 'live' && field.path.startsWith('spec.template')
    ? { ...field, verdict: 'restart', reason: 'it is in the pod template' }
    : field;
}

/** When and which workloads see a change of an object without pods. */
function meanwhile(next: Manifest, step: Step): string | undefined {
  switch (next.kind) {
    case 'ConfigMap':
    case 'Secret':
      return whoReads(next, step);
    case 'HorizontalPodAutoscaler':
      return 'the number of pods follows its limits; pods that stay do not restart';
    case 'LimitRange':
      return 'only new pods get its defaults';
    case 'PodDisruptionBudget':
      return 'it limits drains, not rollouts';
    default:
      return undefined;
  }
}

function whoReads(next: Manifest, step: Step): string {
  const readers = readersOf(step.after, next);
  if (readers.length === 0) return 'no pod reads it';
  const restarted = new Set(readers.map(({ workload }) => workload).filter((each) => restarts(each, step)));
  const others = readers.filter(({ workload }) => !restarted.has(workload));
  const own =
    others.length < readers.length ? [`${listed([...restarted])} restart anyway, because they change, too`] : [];
  const parts = [
    ...own,
    ...by(others, 'file', (names) => `${names} see it in their files within about a minute, without a restart`),
    ...by(others, 'sub-path', (names) => `${names} mount it by subPath, and see it after their next restart only`),
    ...by(others, 'env', (names) => `${names} read it as variables, and see it after their next restart only`),
  ];
  return parts.join('; ');
}

function by(readers: readonly Reader[], how: Reader['how'], say: (names: string) => string): string[] {
  const list = readers.filter((each) => each.how === how);
  return list.length > 0 ? [say(listed(list.map(({ workload }) => workload)))] : [];
}

/** Text such as "pods of services/chat and services/documents". */
function listed(of: readonly Reader['workload'][]): string {
  const names = [...new Set(of.map(({ name }) => name))];
  const last = names.pop();
  return `pods of ${names.length > 0 ? `${names.join(', ')} and ` : ''}${last}`;
}

/** Whether the pod template of a workload changes in the same step; a Job with a new name starts. */
function restarts({ kind, name, placed }: Reader['workload'], { before }: Step): boolean {
  const was = workloads(before).byName.get(`${kind} ${name}`);
  return (
    !was ||
    (kind !== 'CronJob' && kind !== 'Job' && !sameTemplate(templateOf(was.placed.object), templateOf(placed.object)))
  );
}
