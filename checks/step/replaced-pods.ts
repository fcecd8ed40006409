import type { Manifest } from './objects';
import { sameTemplate } from './same-template';

/** What a controller does to the pods of one workload after the API server stored the change. */
export interface PodsEffect {
  /**
   *   none     pods stay as they are
   *   replace  pods end, and new ones replace them
   *   held     the change affects only new pods
   *   perhaps  replaces pods that an earlier change did not replace; only the cluster knows whether such pods exist
   */
  readonly does: 'none' | 'replace' | 'held' | 'perhaps';
  /** How many are replaced. */
  readonly count: number;
  /** Their names in the order of replacement, if the controller assigns names. */
  readonly names?: readonly string[];
  /** As "one after another, from the last ordinal down". */
  readonly order: string;
  /** Pods that are added or removed because the number changes. */
  readonly added: number;
  readonly removed: number;
  /** Names of removed pods in the order of removal, if known. */
  readonly removedNames?: readonly string[];
  /** Why, without the names of pods. */
  readonly reason: string;
}

/** What other rendered objects say about a workload. */
export interface Around {
  /** Least number of pods of the autoscaler. Undefined without an autoscaler. */
  readonly autoscaled?: number;
  /** Number of nodes that run a pod of a DaemonSet. @default 1 */
  readonly nodes?: number;
}

const NOTHING = { count: 0, order: '', added: 0, removed: 0 };

/** Compares one workload before and after, as the API server stores it. Undefined for kinds without pods. */
export function replacedPods(live: Manifest, next: Manifest, around: Around = {}): PodsEffect | undefined {
  switch (next.kind) {
    case 'Deployment':
      return deployment(live, next, around);
    case 'StatefulSet':
      return statefulSet(live, next);
    case 'DaemonSet':
      return daemonSet(live, next, around.nodes ?? 1);
    case 'Job':
      return job(live, next);
    case 'CronJob':
      return cronJob(live, next);
    case 'ReplicaSet':
    case 'ReplicationController':
      return replicaSet(live, next);
    default:
      return undefined;
  }
}

/** Resolves maxSurge or maxUnavailable, which are a number or a percentage. @param up whether to round up */
export function share(value: number | string | undefined, of: number, up: boolean, otherwise: number | string): number {
  const given = value ?? otherwise;
  if (typeof given === 'number') return given;
  const exact = (Number.parseInt(given, 10) * of) / 100;
  return up ? Math.ceil(exact) : Math.floor(exact);
}

/** maxSurge and maxUnavailable of a Deployment, in pods. */
export function rollingLimits({ spec }: Manifest, replicas: number): { surge: number; unavailable: number } {
  const { maxSurge, maxUnavailable } = spec.strategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, replicas, true, '25%');
  const unavailable = share(maxUnavailable, replicas, false, '25%');
  // Both cannot be 0, or the controller could not replace any pod.
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function deployment(live: Manifest, next: Manifest, { autoscaled }: Around): PodsEffect {
  const from = autoscaled ?? replicas(live);
  const to = autoscaled ?? replicas(next);
  const scale = scaled(from, to);
  const kept = Math.min(from, to);
  if (next.spec.paused === true)
    return changes(live, next)
      ? {
          ...NOTHING,
          ...scale,
          does: 'held',
          reason: 'the Deployment is paused: its pods change after spec.paused is removed',
        }
      : { ...NOTHING, ...scale, does: 'none', reason: scale.why ?? outside('a Deployment') };
  if (kept > 0 && changes(live, next))
    return {
      ...scale,
      does: 'replace',
      count: kept,
      order: deploymentOrder(next, to),
      reason: 'its pod template changes',
    };
  if (kept > 0 && live.spec.paused === true)
    return {
      ...scale,
      does: 'perhaps',
      count: kept,
      order: deploymentOrder(next, to),
      reason: 'it is no longer paused: if its pod template changed meanwhile, its pods are replaced now',
    };
  return { ...NOTHING, ...scale, does: 'none', reason: scale.why ?? outside('a Deployment') };
}

function deploymentOrder(next: Manifest, to: number): string {
  if (next.spec.strategy?.type === 'Recreate') return 'all pods end, then the new ones start';
  const { surge, unavailable } = rollingLimits(next, to);
  if (unavailable === 0)
    return surge === 1 || to === 1
      ? 'one more first, then an old one ends'
      : `${Math.min(surge, to)} more first, then old ones end`;
  return `at most ${unavailable} of ${to} away${surge > 0 ? `, ${surge} more meanwhile` : ''}`;
}

function statefulSet(live: Manifest, next: Manifest): PodsEffect {
  const [before, after] = [ordinals(live), ordinals(next)];
  const gone = before.filter((ordinal) => !after.includes(ordinal)).reverse();
  const name = (ordinal: number) => `${next.metadata.name}-${ordinal}`;
  const scale = {
    added: after.filter((ordinal) => !before.includes(ordinal)).length,
    removed: gone.length,
    removedNames: gone.map(name),
  };
  const why = statefulScale(before, after, name, gone, next);
  const { type, partition } = strategy(next);
  // Counts from the first ordinal, which need not be 0.
  const reached = (from: number, to = Infinity) =>
    after
      .filter((ordinal, index) => before.includes(ordinal) && index >= from && index < to)
      .reverse()
      .map(name);
  const replace = (does: 'replace' | 'perhaps', names: string[], reason: string): PodsEffect => ({
    ...scale,
    does,
    count: names.length,
    names,
    order: names.length > 1 ? 'one after another, from the last ordinal down' : 'it ends, then starts again',
    reason,
  });
  if (changes(live, next)) {
    if (type === 'OnDelete')
      return {
        ...NOTHING,
        ...scale,
        does: 'held',
        reason: 'its updateStrategy is OnDelete: a pod changes when it is deleted by hand',
      };
    const names = reached(partition);
    if (names.length > 0)
      return replace(
        'replace',
        names,
        partition > 0
          ? `its pod template changes, and partition ${partition} keeps the first ${partition} pods as they are`
          : 'its pod template changes',
      );
    if (after.length > 0 && partition > 0)
      return { ...NOTHING, ...scale, does: 'held', reason: `partition ${partition} keeps every pod as it is` };
  } else if (type === 'RollingUpdate') {
    const was = strategy(live);
    const names = was.type === 'OnDelete' ? reached(partition) : reached(partition, was.partition);
    if (names.length > 0)
      return replace(
        'perhaps',
        names,
        `${was.type === 'OnDelete' ? 'its updateStrategy is no longer OnDelete' : `its partition goes from ${was.partition} to ${partition}`}: pods that an earlier change has not reached are replaced now`,
      );
  }
  return { ...NOTHING, ...scale, does: 'none', reason: why ?? outside('a StatefulSet') };
}

function statefulScale(
  before: readonly number[],
  after: readonly number[],
  name: (ordinal: number) => string,
  gone: readonly number[],
  next: Manifest,
): string | undefined {
  if (gone.length > 0) {
    const how = next.spec.podManagementPolicy === 'Parallel' ? 'all at once' : 'one after another';
    const claims = next.spec.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete';
    const order = gone.length > 1 ? ` ${how}, from the last ordinal down` : '';
    const kept = (next.spec.volumeClaimTemplates ?? []).length > 0;
    return `${pods(before.length)} ${after.length}: ${gone.map(name).join(', ')} end${gone.length > 1 ? '' : 's'}${order}${claims ? ', and their claims are deleted' : kept ? '; their claims stay' : ''}`;
  }
  return after.length > before.length
    ? `${pods(before.length)} ${after.length}: existing pods do not change`
    : undefined;
}

function daemonSet(live: Manifest, next: Manifest, nodes: number): PodsEffect {
  const onDelete = next.spec.updateStrategy?.type === 'OnDelete';
  const order = daemonOrder(next, nodes);
  if (changes(live, next))
    return onDelete
      ? { ...NOTHING, does: 'held', reason: 'its updateStrategy is OnDelete: a pod changes when it is deleted by hand' }
      : { ...NOTHING, does: 'replace', count: nodes, order, reason: 'its pod template changes' };
  return !onDelete && live.spec.updateStrategy?.type === 'OnDelete'
    ? {
        ...NOTHING,
        does: 'perhaps',
        count: nodes,
        order,
        reason:
          'its updateStrategy is no longer OnDelete: pods that an earlier change has not reached are replaced now',
      }
    : { ...NOTHING, does: 'none', reason: outside('a DaemonSet') };
}

function daemonOrder({ spec }: Manifest, nodes: number): string {
  const { surge, unavailable } = daemonLimits({ spec }, nodes);
  if (surge > 0)
    return `node after node: the new pod first, then the old one ends${surge > 1 ? `, ${surge} nodes at once` : ''}`;
  return unavailable > 1 ? `on ${unavailable} nodes at once` : 'one node after another';
}

/** maxUnavailable and maxSurge of a DaemonSet, in nodes. */
export function daemonLimits({ spec }: Manifest, nodes: number): { surge: number; unavailable: number } {
  const { maxSurge, maxUnavailable } = spec.updateStrategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, nodes, true, 0);
  return { surge, unavailable: surge > 0 ? 0 : Math.max(1, share(maxUnavailable, nodes, true, 1)) };
}

function job(live: Manifest, next: Manifest): PodsEffect {
  const [was, is] = [live.spec.suspend === true, next.spec.suspend === true];
  if (!was && is) return { ...NOTHING, does: 'none', reason: 'it is suspended: its running pods end' };
  if (was && !is) return { ...NOTHING, does: 'none', reason: 'it is no longer suspended: its pods start' };
  if (is) return { ...NOTHING, does: 'none', reason: 'it is suspended: the change takes effect when it runs' };
  return {
    ...NOTHING,
    does: 'none',
    reason: 'a finished Job does not change; a running one keeps its pods',
  };
}

function cronJob(live: Manifest, next: Manifest): PodsEffect {
  if (next.spec.suspend === true) return { ...NOTHING, does: 'none', reason: 'it is suspended: nothing runs' };
  if (sameTemplate(live.spec.jobTemplate, next.spec.jobTemplate))
    return { ...NOTHING, does: 'none', reason: 'running Jobs do not change' };
  return { ...NOTHING, does: 'held', reason: 'the next run uses it; running Jobs do not change' };
}

function replicaSet(live: Manifest, next: Manifest): PodsEffect {
  const scale = scaled(replicas(live), replicas(next));
  return changes(live, next)
    ? { ...NOTHING, ...scale, does: 'held', reason: 'existing pods do not change; only new ones get it' }
    : { ...NOTHING, ...scale, does: 'none', reason: scale.why ?? outside(`a ${next.kind}`) };
}

function changes(live: Manifest, next: Manifest): boolean {
  return !sameTemplate(live.spec.template, next.spec.template);
}

/** The default of the API server is 1. */
function replicas({ spec }: Manifest): number {
  return spec.replicas ?? 1;
}

function ordinals({ spec }: Manifest): number[] {
  const start = spec.ordinals?.start ?? 0;
  return Array.from({ length: spec.replicas ?? 1 }, (_, index) => start + index);
}

function strategy({ spec }: Manifest): { type: string; partition: number } {
  const { type = 'RollingUpdate', rollingUpdate } = spec.updateStrategy ?? {};
  return { type, partition: rollingUpdate?.partition ?? 0 };
}

function scaled(from: number, to: number): { added: number; removed: number; why?: string } {
  const why =
    from === to
      ? undefined
      : to > from
        ? `${pods(from)} ${to}: existing pods do not change`
        : `${pods(from)} ${to}: ${from - to} end, first those that are not ready, then the youngest`;
  return { added: Math.max(0, to - from), removed: Math.max(0, from - to), why };
}

function pods(count: number): string {
  return count === 1 ? '1 pod becomes' : `${count} pods become`;
}

function outside(what: string): string {
  return `${what} replaces its pods only if spec.template changes`;
}
