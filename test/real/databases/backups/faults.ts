import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import { withStore, type StoredSet } from './stored-set';

/** Faults of a backup. Each is reported, no stored data is lost, and the next backup succeeds. */
export async function faults(tally: Tally): Promise<void> {
  await withStore(tally, 1, async (set) => {
    await set.start();
    await set.type(`db.getSiblingDB('shop').c.insertOne({ _id: 1 })`);
    await until(
      'the first backup',
      90,
      async () => (await set.status())?.newest != null,
      () => logs(set.pods),
    );
    await target(set, tally);
    await killed(set, tally);
    await damaged(set, tally);
  });
}

/** @returns the status of the next backup */
async function reported(set: StoredSet, tally: Tally, what: string, error: RegExp): Promise<void> {
  const before = await set.status();
  const status = await set.backUp(120);
  tally.check(`${what} is reported`, error.test(status.error ?? ''), JSON.stringify(status));
  tally.check(
    `${what}: the last good backup is still reported`,
    status.newest === before.newest,
    JSON.stringify([before, status]),
  );
}

async function wellAgain(set: StoredSet, tally: Tally, what: string): Promise<void> {
  const before = await set.status();
  const after = await set.backUp(150);
  const isNewer = after.error === null && after.newest > (before.newest ?? '');
  tally.check(`${what}: the next backup succeeds`, isNewer, JSON.stringify([before, after]));
}

async function target(set: StoredSet, tally: Tally): Promise<void> {
  const { store } = set;
  const authorized = store.authorized;
  await store.stop();
  await reported(set, tally, 'a target that is away', /refused/);
  store.makeHostKey();
  await store.start(authorized);
  await reported(
    set,
    tally,
    'a target with another host key',
    /host key of the target is not in backup.target.hostKeys/,
  );
  await store.stop();
  store.takeHostKeyBack();
  await store.start('');
  await reported(set, tally, 'a target that does not know the key', /rejects the key of the secret mongodb-backup/);
  await store.stop();
  await store.start(authorized);
  await wellAgain(set, tally, 'after those');

  const moved = `${store.path}.moved`;
  fs.renameSync(store.path, moved);
  await reported(set, tally, 'a disk that is not mounted', /the target has no folder \S+: mount its disk/);
  tally.check('the backup creates nothing instead of the missing target', !fs.existsSync(store.path), '');
  fs.renameSync(moved, store.path);
  await wellAgain(set, tally, 'after the disk is back');

  store.fill();
  await set.type(
    `db.getSiblingDB('shop').big.insertMany(Array.from({ length: 24 }, () => ({ b: BinData(0, require('crypto').randomBytes(2 ** 20).toString('base64')) })))`,
  );
  await reported(set, tally, 'a full target', /whether its disk is full/);
  store.empty();
  await wellAgain(set, tally, 'after there is room');
}

async function killed(set: StoredSet, tally: Tally): Promise<void> {
  const [pod] = set.pods;
  const backup = pod!.container('backup');
  const again = backup.restarts;
  await backup.exec(['touch', '/tmp/now']);
  await until(
    'a copy lies ready',
    60,
    async () => /ready, the member was locked/.test(pod!.log('reconcile').split('locking').at(-1)!),
    () => logs(set.pods),
  );
  backup.signal('SIGKILL');
  await until('the container is back', 60, async () => backup.restarts > again && backup.pid !== undefined);
  const status = await set.backUp(120);
  tally.check('a killed backup runs again', status.error === null, JSON.stringify(status));

  const reconcile = pod!.container('reconcile');
  const locks = () => (pod!.log('reconcile').match(/locking this member/g) ?? []).length;
  const before = locks();
  await backup.exec(['touch', '/tmp/now']);
  await until(
    'the member is locked',
    60,
    async () => locks() > before,
    () => logs(set.pods),
  );
  reconcile.signal('SIGKILL');
  const began = Date.now();
  const written = await set.type(
    `db.getSiblingDB('shop').runCommand({ insert: 'c', documents: [{ _id: 'written' }], writeConcern: { w: 'majority', wtimeout: 60000 } }).ok`,
  );
  tally.check('a reconciler that is killed while the member is locked leaves no lock', /1/.test(written), written);
  console.log(`  writes waited ${((Date.now() - began) / 1000).toFixed(1)} s`);
  await wellAgain(set, tally, 'after that');
}

async function damaged(set: StoredSet, tally: Tally): Promise<void> {
  // Enough collections that the restore still runs when it is killed.
  await set.type(
    `for (let at = 0; at < 150; at++) db.getSiblingDB('shop').getCollection('small' + at).insertOne({ at })`,
  );
  const before = await set.contents();
  await set.backUp();
  const repository = join(set.store.path, 'mongodb');
  const packs = fs.readdirSync(join(repository, 'data'), { recursive: true, encoding: 'utf8' });
  const [pack] = packs
    .map((name) => join(repository, 'data', name))
    .filter((file) => fs.statSync(file).isFile())
    .sort((one, other) => fs.statSync(other).size - fs.statSync(one).size);
  const whole = fs.readFileSync(pack!);
  const broken = Buffer.from(whole);
  broken.fill(0, 1000, 60_000);
  fs.chmodSync(pack!, 0o600);
  fs.writeFileSync(pack!, broken);
  const drill = await set.restore({ RESTORE_DRILL: 'yes' });
  tally.check(
    'the drill finds a damaged backup',
    drill.code === 3 && /cannot be restored completely/.test(drill.log),
    drill.log,
  );
  const refused = await set.restore({ RESTORE_REPLACE: 'yes' });
  tally.check('a damaged backup is not loaded', refused.code === 3 && (await set.contents()) === before, refused.log);
  fs.writeFileSync(pack!, whole);

  fs.renameSync(repository, `${repository}.away`);
  const none = await set.restore({ RESTORE_REPLACE: 'yes' });
  tally.check('a missing backup is reported', none.code === 3 && /none was stored there/.test(none.log), none.log);
  fs.mkdirSync(join(repository, 'keys'), { recursive: true });
  fs.writeFileSync(join(repository, 'keys', 'part'), 'half');
  const half = await set.restore({ RESTORE_REPLACE: 'yes' });
  tally.check('an incomplete backup is rejected', half.code === 3, half.log);
  fs.rmSync(repository, { recursive: true });
  fs.renameSync(`${repository}.away`, repository);

  const full = await set.restore();
  tally.check(
    'a restore does not overwrite existing data',
    full.code === 3 && /already has documents/.test(full.log),
    full.log,
  );
  const kill = set.restore({ RESTORE_REPLACE: 'yes' }, /documents, equal/);
  const first = await kill;
  tally.check('a killed restore fails', first.code === 137, first.log);
  const second = await set.restore({ RESTORE_REPLACE: 'yes' });
  tally.check('the next restore finishes it', second.code === 0 && (await set.contents()) === before, second.log);
}
