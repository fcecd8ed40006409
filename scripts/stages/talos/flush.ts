import { databasePods, machineOfDisk, type Homelab } from '../../../inventory';
import { kubectlChange, kubectlGet } from '../../engine/cluster';
import type { Context } from '../../engine/context';

/** A pod of a database, whose disk is on one node and cannot move. */
export interface DatabasePod {
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'cassandra' | 'mongodb';
  /** Whether other pods of the same database are on other nodes. */
  readonly hasOthers: boolean;
}

/**
 * For the mongosh in the pod, which has the login in its environment. A primary that others can follow steps down first;
 * alone on the node it would only interrupt clients twice. Then what is in memory goes to the disk.
 */
const MONGODB_FLUSH = `
const login = encodeURIComponent(process.env.ROOT_USERNAME) + ':' + encodeURIComponent(process.env.ROOT_PASSWORD);
const admin = new Mongo('mongodb://' + login + '@127.0.0.1:27017/admin?directConnection=true&serverSelectionTimeoutMS=5000').getDB('admin');
if (STEP_DOWN && admin.hello().isWritablePrimary) {
  // Without a member that can follow it stays primary; it tries again when it is stopped.
  try { admin.runCommand({ replSetStepDown: 60, secondaryCatchUpPeriodSecs: 30 }); } catch (error) { print(error.message); }
}
const done = admin.runCommand({ fsync: 1 });
if (done.ok !== 1) throw new Error(done.errmsg);
`;

/** The pods of databases whose disks a node holds. A retired one runs none. */
export function databasePodsOn(homelab: Homelab, node: string): DatabasePod[] {
  return Object.entries(homelab.databases)
    .filter(([, { state }]) => state !== 'retired')
    .flatMap(([namespace, database]) => {
      const pods = databasePods(namespace, database);
      const here = pods.filter((pod) => machineOfDisk(homelab, pod)[0] === node);
      return here.map((name) => ({ namespace, name, kind: database.kind, hasOthers: here.length < pods.length }));
    });
}

/** How a pod is told to bring what it holds in memory to its disk. */
export function flushCommand({ kind, hasOthers }: DatabasePod): { container: string; command: string[] } {
  if (kind === 'mongodb') {
    const script = MONGODB_FLUSH.replace('STEP_DOWN', String(hasOthers)).trim();
    // It holds mongosh and the login; mongod's own container has no login.
    return { container: 'reconcile', command: ['mongosh', '--nodb', '--norc', '--quiet', '--eval', script] };
  }
  // Not drain: it ends the node's service at once. The pod's preStop does that when it is really stopped.
  return { container: 'cassandra', command: ['nodetool', 'flush'] };
}

export async function flush(
  context: Context,
  pods: readonly DatabasePod[],
  say: (what: string) => void,
): Promise<void> {
  for (const pod of pods) {
    const { namespace, name } = pod;
    const found = await kubectlGet(context, ['pod', name, '-n', namespace]);
    const { container, command } = flushCommand(pod);
    const runs = found?.status?.containerStatuses?.some((each: any) => each.name === container && each.state?.running);
    // What does not run holds nothing in memory.
    if (!runs) continue;
    say(`${namespace}/${name} writes what it holds to its disk`);
    await kubectlChange(
      context,
      ['exec', '--request-timeout=0', '-n', namespace, name, '-c', container, '--', ...command],
      {
        // Memtables are at most 2 GiB here; an NVMe disk shared by six replicas writes that in a minute.
        seconds: 300,
        waitsFor: `${name} to flush`,
      },
    );
  }
}

/** Pods that are not ready, by name. A database that was never brought to the cluster has none. */
export async function unreadyPods(context: Context, pods: readonly DatabasePod[]): Promise<string[]> {
  const left: string[] = [];
  const absent = new Set<string>();
  for (const namespace of new Set(pods.map((pod) => pod.namespace))) {
    const sets = await kubectlGet(context, ['statefulsets', '-n', namespace]);
    if ((sets?.items ?? []).length === 0) absent.add(namespace);
  }
  for (const { namespace, name } of pods.filter((pod) => !absent.has(pod.namespace))) {
    const found = await kubectlGet(context, ['pod', name, '-n', namespace]);
    const conditions = found?.status?.conditions ?? [];
    const ready = conditions.some(({ type, status }: any) => type === 'Ready' && status === 'True');
    if (!ready || found.metadata?.deletionTimestamp !== undefined) left.push(`${namespace}/${name}`);
  }
  return left;
}
