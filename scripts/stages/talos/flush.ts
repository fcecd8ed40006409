import { databasePods, machineOfDisk, type Homelab } from '../../../inventory';
import { SECRETS, type Sops } from '../../engine/sops';
import { CommandFailed } from '../../engine/commands';
import type { Kubernetes } from '../../clients/kubernetes';
import { mongosh } from '../../clients/mongosh';
import { Blocked } from '../../engine/problem';
import type { Values } from '../../secrets/declared';
import { SecretStore } from '../../secrets/store';
import type { Progress } from '../../engine/step';

/** A pod of a database, whose disk is on one node and cannot move. */
export interface DatabasePod {
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'cassandra' | 'mongodb';
  /** Whether other pods of the same database are on other nodes. */
  readonly hasOthers: boolean;
}

/**
 * For the mongosh beside mongod, on its standard input, because it holds the login. A primary that others can follow steps
 * down first; alone on the node it would only interrupt clients twice. Then what is in memory goes to the disk.
 */
function mongodbFlush({ username, password }: Values, hasOthers: boolean): string {
  const login = `${encodeURIComponent(username!)}:${encodeURIComponent(password!)}`;
  const url = `mongodb://${login}@127.0.0.1:27017/admin?directConnection=true&serverSelectionTimeoutMS=5000`;
  return `
const admin = new Mongo(${JSON.stringify(url)}).getDB('admin');
if (${hasOthers} && admin.hello().isWritablePrimary) {
  // Without a member that can follow it stays primary; it tries again when it is stopped.
  try { admin.runCommand({ replSetStepDown: 60, secondaryCatchUpPeriodSecs: 30 }); } catch (error) { print(error.message); }
}
const done = admin.runCommand({ fsync: 1 });
if (done.ok !== 1) throw new Error(done.errmsg);
`;
}

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

/** The command with which a pod flushes its memory to its disk. */
export async function flushCommand(
  sops: Sops,
  { namespace, kind, hasOthers }: DatabasePod,
): Promise<{ container: string; command: string[]; stdin?: string }> {
  if (kind === 'cassandra') {
    // Not drain: it ends the node's service at once. The pod's preStop does that when it is really stopped.
    return { container: 'cassandra', command: ['nodetool', 'flush'] };
  }
  const { secrets } = await new SecretStore(sops).read();
  const login = secrets[namespace]?.[`${namespace}-root`];
  if (login?.password === undefined)
    throw new Blocked(
      `${SECRETS.cluster} must hold the login ${namespace}-root, but does not; npm run bootstrap -- apply secrets`,
    );
  // In mongod's container, which has room: another mongosh beside the reconciler's own would not fit into its 192 MiB.
  // It opens its input anew, which a pipe of its own user always lets it.
  const command = mongosh('cat | mongosh --nodb --norc --quiet --file /dev/stdin');
  return { container: 'mongod', command, stdin: mongodbFlush(login, hasOthers) };
}

export async function flush(
  kubernetes: Kubernetes,
  sops: Sops,
  pods: readonly DatabasePod[],
  progress: Progress,
): Promise<void> {
  for (const pod of pods) {
    const { namespace, name } = pod;
    const found = await kubernetes.get(['pod', name, '-n', namespace]);
    const { container, command, stdin } = await flushCommand(sops, pod);
    const status = found?.status?.containerStatuses?.find((each: any) => each.name === container);
    // A database that has not started holds nothing in memory, and may not answer.
    if (!status?.state?.running || status.started === false) continue;
    progress(`${namespace}/${name} writes what it holds to its disk`);
    const argv = [
      ...['exec', '--request-timeout=0', ...(stdin === undefined ? [] : ['-i'])],
      ...['-n', namespace, name, '-c', container, '--', ...command],
    ];
    // Memtables are at most 2 GiB here; an NVMe disk shared by six replicas writes that in a minute.
    const options = { seconds: 300, waitsFor: `${name} to flush`, ...(stdin !== undefined && { stdin }) };
    try {
      await kubernetes.change(argv, options);
    } catch (error) {
      // An unhealthy database may be the reason for the restart. Its acknowledged writes are in its commit log or journal.
      if (!(error instanceof CommandFailed) || status.ready !== false) throw error;
      progress(`${namespace}/${name} is not ready, and did not flush: ${error.message}`);
    }
  }
}

/** Pods that are not ready, by name. A database that was never brought to the cluster has none. */
export async function unreadyPods(kubernetes: Kubernetes, pods: readonly DatabasePod[]): Promise<string[]> {
  const left: string[] = [];
  const absent = new Set<string>();
  for (const namespace of new Set(pods.map((pod) => pod.namespace))) {
    const sets = await kubernetes.get(['statefulsets', '-n', namespace]);
    if ((sets?.items ?? []).length === 0) absent.add(namespace);
  }
  for (const { namespace, name } of pods.filter((pod) => !absent.has(pod.namespace))) {
    const found = await kubernetes.get(['pod', name, '-n', namespace]);
    const conditions = found?.status?.conditions ?? [];
    const ready = conditions.some(({ type, status }: any) => type === 'Ready' && status === 'True');
    if (!ready || found.metadata?.deletionTimestamp !== undefined) left.push(`${namespace}/${name}`);
  }
  return left;
}
