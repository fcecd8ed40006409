import type { Risk } from '../plan';
import { idsOf, thingOf, type Database, type Index } from './databases';
import { dataRisk } from './risk';
import { containersOf, podOf } from './workloads';

/** Backups that a step ends, or begins again from nothing in another place. */
export function backupRisks(was: Database, is: Database, index: Index): Risk[] {
  const [from, to] = [repositoryOf(was), repositoryOf(is)];
  if (from === undefined || from === to) return [];
  return [
    dataRisk({
      what: `${thingOf(was, index)}.backup`,
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

/** Where the container `backup` writes to. */
function repositoryOf({ sets }: Database): string | undefined {
  const backup = sets.flatMap((set) => containersOf(podOf(set))).find(({ name }) => name === 'backup');
  const variables: { name: string; value?: string }[] = backup?.env ?? [];
  return variables.find(({ name }) => name === 'RESTIC_REPOSITORY')?.value;
}
