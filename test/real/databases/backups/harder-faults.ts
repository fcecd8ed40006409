import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import { logs } from '../clients';
import { caught, kill } from '../faults/tools';
import { inFreshNode } from '../fresh-node';
import { pause } from '../../node/processes';
import type { Tally } from '../../tally';
import { stored, StoredSet, withStore } from './stored-set';

type Json = any;

const BIG = `db.getSiblingDB('shop').big.insertMany(Array.from({ length: 24 }, () => ({ b: BinData(0, require('crypto').randomBytes(2 ** 20).toString('base64')) }))).acknowledged`;

/** Faults: a slow or silent target, and a member that is killed during its copy. */
export async function slowAndKilled(tally: Tally): Promise<void> {
  await withStore(tally, 3, async (set) => {
    await set.start();
    await set.firstBackup();
    await set.type(BIG);
    await copiedMemberKilled(set, tally);
    await slow(set, tally);
    await silent(set, tally);
    const drill = await set.restore({ RESTORE_DRILL: 'yes' });
    tally.check('the final backup is complete', drill.code === 0, drill.log);
  });
}

async function copiedMemberKilled(set: StoredSet, tally: Tally): Promise<void> {
  const before = await set.status();
  const pod = set.pods.at(-1)!;
  const list = join(pod.volume('handover'), 'files');
  fs.rmSync(list, { force: true });
  const tried = set.backUp(180);
  const { restarts } = pod.container('mongod');
  // Written just before the files are copied.
  await caught('the files are being copied', 60, () => fs.existsSync(list));
  kill(pod, 'mongod');
  await until('mongod is started again', 60, async () => pod.container('mongod').restarts > restarts);
  const status = await tried;
  tally.check(
    'a copy whose mongod is killed is reported, and the last good backup is still shown',
    /no copy of the database/.test(status.error ?? '') && status.newest === before.newest,
    `${JSON.stringify([before, status])}\n${logs([pod])}`,
  );
  console.log(`  a copied member that was killed: ${status.error}`);
  await until(
    'the member is back',
    120,
    async () => pod.ready,
    () => logs(set.pods),
  );
  const after = await set.backUp(180);
  tally.check('the next backup succeeds', after.error === null && after.newest > before.newest, JSON.stringify(after));
}

/** A slow connection: the backup completes, and writes do not wait for it. */
async function slow(set: StoredSet, tally: Tally): Promise<void> {
  await set.type(BIG);
  const release = set.store.slow();
  try {
    const began = Date.now();
    const tried = set.backUp(500);
    await pause(5);
    const asked = Date.now();
    await set.type(
      `db.getSiblingDB('shop').c.insertOne({ _id: 'meanwhile' }, { writeConcern: { w: 'majority', wtimeout: 60000 } })`,
    );
    const wrote = (Date.now() - asked) / 1000;
    const status = await tried;
    const took = (Date.now() - began) / 1000;
    console.log(`  to a slow target in ${took.toFixed(1)} s; a write took ${wrote.toFixed(1)} s with its shell`);
    tally.check('a slow target gets the complete backup', status.error === null, JSON.stringify(status));
    tally.check('writes do not wait for the backup', wrote < 15, `${wrote} s`);
    tally.check('the target was slow', took > 15, `${took} s`);
  } finally {
    release();
  }
}

/** The connection stays open, but the target sends nothing. ssh gives up after two minutes. */
async function silent(set: StoredSet, tally: Tally): Promise<void> {
  const before = await set.status();
  await set.type(BIG);
  const release = set.store.slow();
  const began = Date.now();
  let status: Json;
  try {
    const tried = set.backUp(500);
    const ready = () =>
      set.pods
        .at(-1)!
        .log('reconcile')
        .match(/ready, the member was locked/g)!.length;
    const copies = ready();
    await until('a copy lies ready', 60, async () => ready() > copies);
    await pause(8);
    set.store.freeze();
    status = await tried;
  } finally {
    set.store.thaw();
    release();
  }
  console.log(`  a silent target was given up after ${((Date.now() - began) / 1000).toFixed(0)} s: ${status.error}`);
  tally.check(
    'a silent target times out and is reported',
    status.error !== null && status.newest === before.newest,
    JSON.stringify(status),
  );
  const after = await set.backUp(180);
  tally.check('the target is used again when it answers', after.error === null, JSON.stringify(after));
}

/** Restores from a copy of another homelab's repository, and then changes the password of the own one. */
export async function movedAndRotated(tally: Tally): Promise<void> {
  await withStore(tally, 1, async (set) => {
    await set.start();
    await set.firstBackup();
    await set.type(`db.getSiblingDB('shop').c.insertMany(Array.from({ length: 100 }, (_, _id) => ({ _id })))`);
    const first = await set.backUp(150);
    tally.check('a backup', first.error === null, JSON.stringify(first));
    const before = await set.contents();

    await set.destroy();
    const at = (name: string) => join(set.store.path, name);
    fs.renameSync(at('mongodb'), at('first-homelab'));
    const place = 'mongodb/mongodb-backup';
    const { secrets } = set.node.cluster;
    const old = secrets.get(place)!;
    secrets.set(place, { ...old, password: 'of the second homelab' });
    await set.start();
    const unknown = await set.restore({ RESTORE_FROM: 'first-homelab' });
    tally.check(
      'a repository with another password is not restored, with an error',
      unknown.code === 3 && /does not open the repository/.test(unknown.log),
      unknown.log,
    );
    fs.writeFileSync(at('password'), 'of the second homelab');
    execFileSync('restic', ['-q', '-r', at('first-homelab'), 'key', 'add', '--new-password-file', at('password')], {
      env: { ...process.env, RESTIC_PASSWORD: old.password },
    });
    fs.rmSync(at('password'));
    const { code, log } = await set.restore({ RESTORE_FROM: 'first-homelab' });
    tally.check('a restore from the repository of another homelab succeeds', code === 0, log);
    tally.check('the restore has every document', (await set.contents()) === before, log);
    const own = await set.backUp(150);
    tally.check(
      'the homelab stores its backups in its own repository',
      own.error === null && fs.existsSync(at('mongodb')),
    );
    await rotated(set, tally);
  });
}

/** Follows the steps that `npm run bootstrap -- rotate mongodb-backup` prints. */
async function rotated(set: StoredSet, tally: Tally): Promise<void> {
  const place = 'mongodb/mongodb-backup';
  const { secrets } = set.node.cluster;
  const [pod] = set.pods;
  const backup = pod!.container('backup');
  const tell = `restic \${BACKUP_SSH_CONFIG:+-o} \${BACKUP_SSH_CONFIG:+"sftp.command=ssh -F $BACKUP_SSH_CONFIG target -s sftp"} key`;
  await backup.exec(['sh', '-c', "echo 'another password' >/tmp/new"]);
  let changed: { code: number; output: string } | undefined;
  // restic rejects it while a backup runs.
  await until('restic changes the password of the repository', 60, async () => {
    changed = await backup.exec(['sh', '-c', `${tell} passwd --new-password-file /tmp/new`]);
    return changed.code === 0 || !changed.output.includes('already locked');
  });
  tally.check('restic changes the password of the repository', changed?.code === 0, changed?.output);
  const old = await set.backUp(150);
  tally.check(
    'the old password is reported',
    /the password in the secret mongodb-backup does not open the repository/.test(old.error ?? ''),
    JSON.stringify(old),
  );
  secrets.set(place, { ...secrets.get(place)!, password: 'another password' });
  pod!.refresh();
  const own = await set.backUp(150);
  tally.check('the new password is used without a restart', own.error === null, JSON.stringify(own));
  const keys = await backup.exec(['sh', '-c', `${tell} list --json`]);
  tally.check('the repository has only the new password', JSON.parse(keys.output).length === 1, keys.output);
  const drill = await set.restore({ RESTORE_DRILL: 'yes' });
  tally.check('the new password opens older backups', drill.code === 0, drill.log);
}

/** A claim as target, for example on NFS: a folder that each pod mounts. */
export async function inClaim(tally: Tally): Promise<void> {
  const backup = { target: { kind: 'claim', claim: 'backups' }, sameHost: 'the folder of a test' };
  await inFreshNode(tally, stored(3, backup), async (node, rendered) => {
    const set = new StoredSet(node, rendered, undefined, tally);
    await set.start();
    await set.firstBackup();
    await set.type(`db.getSiblingDB('shop').c.insertMany(Array.from({ length: 100 }, (_, _id) => ({ _id })))`);
    const status = await set.backUp(150);
    tally.check('a backup into a claim', status.error === null && status.bytes > 0, JSON.stringify(status));
    const before = await set.contents();
    await set.destroy();
    await set.start();
    const { code, log } = await set.restore();
    tally.check(
      'a backup in a claim restores everything after all disks are lost',
      code === 0 && (await set.contents()) === before,
      log,
    );
    const drill = await set.restore({ RESTORE_DRILL: 'yes' });
    tally.check('a drill finds the backup complete', drill.code === 0, drill.log);
  });
}
