import type { Client, Json } from '../cluster/client';
import { workloadOf, type Seen } from './seen';

export type Outcome = 'created' | 'gone' | 'recreated' | 'changed';

/** What became of a cluster. */
export interface Happened {
  /** Objects that are not what they were. */
  readonly objects: ReadonlyMap<string, Outcome>;
  /** Names of the pods that were ended and came again, by workload, in the order in which they went. */
  readonly restarted: ReadonlyMap<string, readonly string[]>;
  /** The same in the order of all workloads. */
  readonly order: readonly string[];
}

/** Compares two moments. @param ended workload and pod of each deletion between them, in order */
export function happened(
  before: Seen,
  now: Seen,
  ended: readonly (readonly [workload: string, pod: string])[],
): Happened {
  const objects = new Map<string, Outcome>();
  for (const [id, { uid, content }] of now.objects) {
    const was = before.objects.get(id);
    if (!was) objects.set(id, 'created');
    else if (was.uid !== uid) objects.set(id, 'recreated');
    else if (was.content !== content) objects.set(id, 'changed');
  }
  for (const id of before.objects.keys()) if (!now.objects.has(id)) objects.set(id, 'gone');
  const restarted = new Map<string, readonly string[]>();
  for (const workload of new Set([...before.pods.values()].map((pod) => pod.workload))) {
    const count = restarts(workload, before, now);
    if (count === 0) continue;
    const names = ended.filter(([whose]) => whose === workload).map(([, pod]) => pod);
    restarted.set(workload, unique(names).slice(0, count));
  }
  const order = unique(ended.map(([workload]) => workload)).filter((workload) => restarted.has(workload));
  return { objects, restarted, order };
}

/** How many pods of a workload were there before and after, and are others. Pods that only came or went were not restarted. */
function restarts(workload: string, before: Seen, now: Seen): number {
  const own = ({ pods }: Seen) => [...pods].filter(([, pod]) => pod.workload === workload);
  const [was, is] = [own(before), own(now)];
  if (workload.startsWith('apps/StatefulSet'))
    return was.filter(([name, { uid }]) => now.pods.has(name) && now.pods.get(name)!.uid !== uid).length;
  const stay = was.filter(([name, { uid }]) => now.pods.get(name)?.uid === uid).length;
  return Math.min(was.length, is.length) - stay;
}

/** Which pods of workloads were ended since a moment, in order. */
export async function endedSince(
  client: Client,
  { resourceVersion }: Seen,
): Promise<[workload: string, pod: string][]> {
  const events = await client.watch(`/api/v1/pods?resourceVersion=${resourceVersion}`, 1);
  const seen = new Set<string>();
  return events.flatMap(({ object }: Json): [string, string][] => {
    const { name, uid, deletionTimestamp } = object.metadata;
    const workload = workloadOf(object);
    if (workload === undefined || deletionTimestamp === undefined || seen.has(uid)) return [];
    seen.add(uid);
    return [[workload, name]];
  });
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
