import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../../tally';
import { faults } from './faults';
import { inClaim, movedAndRotated, slowAndKilled } from './harder-faults';
import { withStore } from './stored-set';
import { stores } from './stores';

type Json = any;

const FILL = fs.readFileSync(join(__dirname, 'mongo-data.js'), 'utf8');

/** Destroys everything and restores it from the store: completely, one database only, and after a kill. */
async function destroyed(tally: Tally): Promise<void> {
  await withStore(tally, 3, async (set) => {
    await set.start();
    await set.type(FILL);
    const before = await set.contents();
    const status = await set.backUp();
    tally.check('a backup runs on request', status.error === null && status.bytes > 0, JSON.stringify(status));
    const scraped = await fetch(`http://${set.pods[2]!.address}:7012/metrics`).then((answer) => answer.text());
    const at = Number(/^collab_backup_newest_timestamp_seconds (\d+)$/m.exec(scraped)?.[1]);
    tally.check('the metrics show the age of the backup', at === Date.parse(status.newest) / 1000, scraped);
    const others = set.pods.slice(0, 2).map((pod) => pod.log('backup'));
    tally.check(
      'only the last secondary is backed up',
      others.every((log) => /no backup from this pod/.test(log)),
      others.join('\n'),
    );
    for (const pod of set.pods)
      for (const name of ['backup', 'reconcile']) {
        const container = pod.container(name);
        console.log(
          `  ${pod.name} ${name}: at most ${Math.round(container.peak / 2 ** 20)} of ${container.limit / 2 ** 20} MiB`,
        );
      }
    const drill = await set.restore({ RESTORE_DRILL: 'yes' });
    tally.check(
      'a drill finds the backup complete',
      drill.code === 0 && /"drill":\{"ok":true/.test(drill.log),
      drill.log,
    );

    await set.destroy();
    await set.start();
    const began = Date.now();
    const { code, log } = await set.restore();
    console.log(`  restored in ${Math.round((Date.now() - began) / 1000)} s`);
    tally.check('a restore into an empty set succeeds', code === 0, log);
    const after = await set.contents();
    tally.check('every document, index, option, user and role is restored', after === before, differing(before, after));
    const bob = await set.type("db.auth('bob', 'bob').ok && db.getSiblingDB('shop').many.countDocuments({})");
    tally.check(
      'a user that was created by hand logs in with the old password and has its permissions',
      /20000/.test(bob),
      bob,
    );

    const again = await set.restore();
    tally.check('a second run changes nothing', again.code === 0 && /left as it is/.test(again.log), again.log);
    await set.type(
      "db.getSiblingDB('shop').types.deleteMany({}); db.getSiblingDB('shop').late.insertOne({ a: 1 }); db.getSiblingDB('other').x.insertOne({ kept: 1 })",
    );
    const only = await set.restore({ RESTORE_ONLY: 'shop', RESTORE_REPLACE: 'yes' });
    const shop = (text: string) => JSON.stringify(JSON.parse(text.slice(9)).shop);
    const one = await set.contents();
    tally.check(
      'a single database is restored',
      only.code === 0 && shop(one) === shop(before),
      only.log + differing(before, one),
    );
    const other = await set.type("db.getSiblingDB('other').x.countDocuments({})");
    tally.check('no other database changes', other.trim().endsWith('2'), other);
  });
}

/** Part of the sample: one member with a backup over SSH loses its disk and is restored. */
export async function givenBackByOne(tally: Tally): Promise<void> {
  await withStore(tally, 1, async (set) => {
    await set.start();
    await set.type(FILL);
    const before = await set.contents();
    const { error, bytes } = await set.backUp();
    tally.check('a backup of MongoDB is made', error === null && bytes > 0, String(error));
    await set.destroy();
    await set.start();
    const { code, log } = await set.restore();
    tally.check('a restore into an empty set succeeds', code === 0, log);
    const after = await set.contents();
    tally.check('all stored data is restored', after === before, differing(before, after));
  });
}

/** Short text of the differences between two sets. */
function differing(before: string, after: string): string {
  const [one, other] = [before, after].map((text) => JSON.parse((text ?? 'CONTENTS {}').slice(9)));
  const flat = (value: Json, path = ''): [string, string][] =>
    value && typeof value === 'object'
      ? Object.entries(value).flatMap(([key, each]) => flat(each, `${path}.${key}`))
      : [[path, String(value)]];
  const had = new Map(flat(one));
  const has = new Map(flat(other));
  return [...new Set([...had.keys(), ...has.keys()])]
    .filter((path) => had.get(path) !== has.get(path))
    .slice(0, 20)
    .map((path) => `${path}: ${had.get(path)?.slice(0, 200)} -> ${has.get(path)?.slice(0, 200)}`)
    .join('\n');
}

/** Parts of --full, by name. */
export const MONGODB_BACKUPS = {
  'mongodb-backup-of-one': givenBackByOne,
  'mongodb-backup': destroyed,
  'mongodb-backup-faults': faults,
  'mongodb-backup-slow': slowAndKilled,
  'mongodb-backup-moved': movedAndRotated,
  'mongodb-backup-claim': inClaim,
  'backup-stores': stores,
};
