import type { Risk } from '../plan';
import { idsOf, thingOf, type Database, type Index } from './databases';
import { storeOf } from '../stores';
import { dataRisk } from './risk';
import { podOf } from './workloads';

/** Backups that a step stops, or starts again in another place. */
export function backupRisks(was: Database, is: Database, before: Index, after: Index): Risk[] {
  const [from, to] = [placeOf(was, before), placeOf(is, after)];
  if (from === undefined || from === to) return [];
  return [
    dataRisk({
      what: `${thingOf(was, before)}.backup`,
      section: 'delete',
      objects: idsOf(was, is),
      from,
      to,
      problem:
        to === undefined
          ? 'No backups are made any more: if its disks break, or data is deleted by mistake, everything written since is lost.'
          : 'The new place has no backup until the first one is made, and a restore no longer finds the old ones.',
      way:
        to === undefined
          ? ['keep it, unless you can create the data again']
          : [
              'move the folder of the database to the new place first, or keep the old one while you may need it',
              'after the commit: npm run homelab -- backup, and npm run bootstrap -- verify until it shows the age of the new backup',
            ],
    }),
  ];
}

/** Machine and folder, bucket, or volume. Another user of the same folder sees the same backups. */
function placeOf({ sets, namespace }: Database, { byId }: Index): string | undefined {
  return sets.map((set) => storeOf(podOf(set), namespace, byId)?.place).find(Boolean);
}
