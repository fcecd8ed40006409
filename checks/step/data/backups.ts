import type { Risk } from '../plan';
import { idsOf, thingOf, type Database, type Index } from './databases';
import { storeOf } from '../stores';
import { dataRisk } from './risk';
import { podOf } from './workloads';

/** Backups that a step ends, or begins again from nothing in another place. */
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
          ? 'Nothing is stored from then on: what breaks its disks, or a wrong delete, takes everything that was written since.'
          : 'The new place has no backup until the first one is made, and a restore no longer sees the old ones.',
      way:
        to === undefined
          ? ['leave it, unless what it holds can be made again']
          : [
              'move the folder of the database to the new place first, or keep the old one for as long as you may want to go back',
              'after the commit: npm run homelab -- backup, and npm run bootstrap -- verify until it says how old the new one is',
            ],
    }),
  ];
}

/** Machine and folder, bucket, or volume. Another user of the same folder sees the same backups. */
function placeOf({ sets, namespace }: Database, { byId }: Index): string | undefined {
  return sets.map((set) => storeOf(podOf(set), namespace, byId)?.place).find(Boolean);
}
