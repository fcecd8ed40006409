import { backupHost, backupOf, type Backup, type Homelab } from '../inventory';
import type { Check, Finding } from './finding';

/** Every database needs a backup outside its own host, or a written reason for having none. */
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
          message: `databases.${name} has no backup: if the disks of its host break, or its data is deleted, it is lost; write backup in homelab.ts (docs/backup.md), or backup: false if you can create the data again`,
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
        message: `${place}.sameHost is not needed: the target ${host} is not a host or machine of this homelab; remove it`,
      },
    ];
  const what =
    host === undefined
      ? 'is a claim, and its volume may be on the same host'
      : `is ${host}, a machine on the host of the databases`;
  return [
    {
      severity: 'error',
      message: `${place}.target of ${name} ${what}: a failure of that host destroys the backups, too; choose another target, or write ${place}.sameHost with the reason`,
    },
  ];
}
