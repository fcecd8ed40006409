import { backupHost, backupOf, type Backup, type Homelab } from '../inventory';
import type { Check, Finding } from './finding';

/** Every database is stored in another place than the host that it runs on, or somebody wrote down why not. */
export const backups: Check = {
  name: 'backups',
  needs: ['homelab'],
  find: ({ homelab }) => {
    const { databases } = homelab!;
    const active = Object.entries(databases).filter(([, { state }]) => state !== 'retired');
    return active.flatMap(([name, database]) => {
      const backup = backupOf(homelab!, database);
      if (backup !== undefined) return sameHost(name, backup, homelab!);
      if (database.backup === false) return [];
      return [
        {
          severity: 'warning',
          message: `databases.${name} has no backup: what breaks the disks of its host, or deletes its documents, takes them away for good; write backup in homelab.ts (docs/backup.md), or backup: false there where they can be made again`,
        },
      ];
    });
  },
};

function sameHost(name: string, backup: Backup, homelab: Homelab): Finding[] {
  const place = homelab.databases[name]!.backup ? `databases.${name}.backup` : 'backup';
  const host = backupHost(homelab, backup);
  const own = [...Object.values(homelab.hosts), ...Object.values(homelab.machines)]
    .filter(({ kind }) => kind !== 'mac')
    .map(({ address }) => address);
  const isNear = host === undefined || own.includes(host);
  if (isNear === (backup.sameHost !== undefined)) return [];
  if (!isNear)
    return [
      {
        severity: 'warning',
        message: `${place}.sameHost gives a reason, and the target ${host} is none of this homelab's own hosts and machines; remove it`,
      },
    ];
  const what =
    host === undefined
      ? 'is a claim, of which nobody knows here where its volume lies'
      : `is ${host}, a machine on the host of the databases`;
  return [
    {
      severity: 'error',
      message: `${place}.target of ${name} ${what}: what breaks that host takes the backups along; choose a target off it, or write ${place}.sameHost with the reason`,
    },
  ];
}
