import { backupOf, type Backup, type Database } from '../../inventory';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import type { Context } from '../clients/context';
import {
  backupErrors,
  backupStatuses,
  newestBackup,
  storedDatabases,
  type BackupStatuses,
} from '../stages/gitops/backups';

/** How old the newest backup of each database is. */
export function backupChecks({ homelab, kubernetes }: Context): Record<string, Check> {
  return Object.fromEntries(
    storedDatabases(homelab).map(([name, database]) => [
      `backup of ${name}`,
      async () => {
        const all = await backupStatuses(kubernetes, name, database);
        return [backupFinding(name, database, backupOf(homelab, database)!, all, Date.now())];
      },
    ]),
  );
}

/** Late by more than one backup that was due is bad: one may fall into an hour in which the target sleeps. */
export function backupFinding(
  name: string,
  database: Database,
  { every }: Backup,
  all: BackupStatuses,
  now: number,
): Finding {
  const what = `backup of ${name}`;
  const fix = `kubectl -n ${name} logs ${[...all.keys()].at(-1)} -c backup; docs/backup.md says what to do`;
  const errors = backupErrors(all);
  const at = newestBackup(database, all);
  if (at === undefined) {
    const silent = [...all].filter(([, status]) => status === undefined).map(([pod]) => `${pod} tells nothing`);
    return bad(what, ['some parts have no backup yet', ...silent, ...errors].join('; '), fix);
  }
  const hours = every?.toHours({ integral: false }) ?? 24;
  const age = `${((now - at) / 3_600_000).toFixed(1)} h old`;
  if (now - at > 2 * hours * 3_600_000)
    return bad(what, [`${age}, and one is due every ${hours} h`, ...errors].join('; '), fix);
  return errors.length > 0 ? warning(what, [age, ...errors].join('; '), fix) : good(what, age);
}
