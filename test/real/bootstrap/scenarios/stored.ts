import type { Json } from '../../cluster/client';
import type { Tally } from '../../tally';
import { tail } from '../harness/disturbed';
import type { Lab } from '../harness/lab';

const DAY = 86_400_000;
/** Where a try fails. */
const AWAY = 'the target rejects the key of the secret mongodb-backup';

/** The first backup is waited for, its age is judged, and its secret is not replaced behind the repository's back. */
export async function stored(lab: Lab, tally: Tally, first: string): Promise<void> {
  for (const name of ['cassandra', 'mongodb'])
    tally.check(
      `the first backup of ${name} is waited for`,
      first.includes(`${name} has its first backup`),
      first.slice(-2000),
    );
  await lab.restore('done');
  const { extra } = lab.simulation.state;
  const of = (newest: string | null, error: string | null) => (extra.backups.mongodb = { asked: 0, newest, error });
  const ago = (days: number) => `${new Date(Date.now() - days * DAY).toISOString().slice(0, 19)}Z`;
  const judged = [
    [ago(0), null, 'good'],
    [ago(1.5), AWAY, 'warning'],
    [ago(3), null, 'bad'],
    [null, AWAY, 'bad'],
  ] as const;
  for (const [newest, error, state] of judged) {
    of(newest, error);
    const finding = await looked(lab);
    tally.check(
      `verify calls a backup of ${newest}, ${error ?? 'without an error'}, ${state}`,
      finding?.state === state && (error === null || finding.saw.includes(error)),
      JSON.stringify(finding),
    );
  }
  of(ago(0), null);
  const files = lab.ownersFiles();
  const rotated = await lab.run(['rotate', 'mongodb-backup', '--yes']);
  tally.check(
    'rotate of the password of a repository says how it is done by hand, and changes nothing',
    rotated.code !== 0 && /restic .*key passwd/.test(rotated.output) && lab.ownersFiles() === files,
    tail(rotated),
  );
}

async function looked(lab: Lab): Promise<Json | undefined> {
  const { output } = await lab.run(['verify', '--json'], 0.5);
  const found: Json[] = JSON.parse(output.slice(output.indexOf('[')));
  return found.find(({ what }) => what === 'backup of mongodb');
}
