import { backupOf, databasePods, type Database, type Homelab } from '../../../inventory';
import type { Kubernetes } from '../../clients/kubernetes';
import { action } from '../../engine/actions';
import { isFault, Blocked } from '../../engine/problem';
import type { Progress, Step } from '../../engine/step';
import { until } from '../../engine/wait';

/** What the container `backup` of a pod last wrote down. */
interface BackupStatus {
  /** Of the newest backup; null where there is none. */
  readonly newest: string | null;
  /** Of the last try. */
  readonly tried: string | null;
  /** Why the last try failed. */
  readonly error: string | null;
}

/** By pod; undefined where it does not answer. */
export type BackupStatuses = ReadonlyMap<string, BackupStatus | undefined>;

/** A new database holds next to nothing; the rest is for a target that has to be made ready first. */
const FIRST_BACKUP_SECONDS = 15 * 60;

/** Databases of the homelab that run and are stored. */
export function storedDatabases(homelab: Homelab): [string, Database][] {
  return Object.entries(homelab.databases).filter(
    ([, database]) => database.state !== 'retired' && backupOf(homelab, database) !== undefined,
  );
}

export async function backupStatuses(
  kubernetes: Kubernetes,
  name: string,
  database: Database,
): Promise<BackupStatuses> {
  const found = new Map<string, BackupStatus | undefined>();
  for (const pod of databasePods(name, database)) {
    try {
      const where = { namespace: name, pod, container: 'backup' };
      const options = { seconds: 60, waitsFor: `${pod} to answer` };
      const { stdout } = await kubernetes.exec(where, ['cat', '/handover/status.json'], options);
      found.set(pod, JSON.parse(stdout));
    } catch (error) {
      if (!isFault(error) && !(error instanceof SyntaxError)) throw error;
      found.set(pod, undefined);
    }
  }
  return found;
}

/** When all of a database was last stored. One member stores all of MongoDB; each node of Cassandra its own part. */
export function newestBackup({ kind }: Database, all: BackupStatuses): number | undefined {
  const times = [...all.values()].map((status) => (status?.newest ? Date.parse(status.newest) : -Infinity));
  const at = kind === 'mongodb' ? Math.max(...times) : Math.min(...times);
  return Number.isFinite(at) ? at : undefined;
}

/** Why the last tries failed, by pod. */
export function backupErrors(all: BackupStatuses): string[] {
  return [...all].flatMap(([pod, status]) => (status?.error ? [`${pod}: ${status.error}`] : []));
}

/** The first backup of each database: until it is there, the disks are all there is. */
export function firstBackups(homelab: Homelab, kubernetes: Kubernetes): Step[] {
  return storedDatabases(homelab).map(([name, database]) => ({
    title: `${name} has its first backup`,
    async plan() {
      const all = await backupStatuses(kubernetes, name, database);
      if (newestBackup(database, all) !== undefined) return undefined;
      const wait = action(`wait until the pods of ${name} have made its first backup`, (progress) =>
        firstBackup(kubernetes, name, database, progress),
      );
      return { lines: backupErrors(all), actions: [wait] };
    },
  }));
}

async function firstBackup(
  kubernetes: Kubernetes,
  name: string,
  database: Database,
  progress: Progress,
): Promise<void> {
  let errors: string[] = [];
  const stored = async () => {
    const all = await backupStatuses(kubernetes, name, database);
    errors = backupErrors(all);
    return newestBackup(database, all);
  };
  await until(`the first backup of ${name}`, { seconds: FIRST_BACKUP_SECONDS, every: 10 }, progress, stored).catch(
    (error: Error) => {
      if (errors.length === 0) throw error;
      throw new Blocked(
        `${name} needs a first backup, but its pods cannot store one: ${errors.join('; ')}. Prepare the target (docs/backup.md), then run this again`,
      );
    },
  );
}
