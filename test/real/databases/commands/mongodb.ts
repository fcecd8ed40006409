import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { inLab, type Lab } from './lab';

type Json = any;

const read = (file: string) => fs.readFileSync(join(__dirname, '../backups', file), 'utf8');

/** The commands of an owner, from a laptop to a set on an API server: everything is destroyed, and comes back. */
export async function mongodbCommands(tally: Tally): Promise<void> {
  await inLab(tally, 'mongodb', 3, (lab) => commands(lab, 'mongodb-2'));
}

async function commands(lab: Lab, keeper: string): Promise<void> {
  const { tally, owner } = lab;
  await lab.apply();
  await typed(lab, read('mongo-data.js'));
  const before = await contents(lab);
  await backedUp(lab, keeper);
  const well = await owner.homelab('status');
  tally.check('status finds nothing late or broken', well.code === 0 && /0 min ago/.test(well.output), well.output);
  await lateAndBroken(lab, keeper);
  const drill = await owner.homelab('restore-drill', ['mongodb']);
  tally.check(
    'restore-drill finds it whole',
    drill.code === 0 && /the backup is whole/.test(drill.output),
    drill.output,
  );

  await lab.destroy();
  await lab.apply();
  const restored = await owner.homelab('restore', ['mongodb']);
  tally.check('restore ends well', restored.code === 0 && /^restored: /m.test(restored.output), restored.output);
  console.log(`  ${/^restored: .*$/m.exec(restored.output)?.[0]}`);
  const after = await contents(lab);
  tally.check('all that was there is there again', after === before, `${before}\n${after}`);
  await connects(lab);
}

/** `backup`, until the pod that stores has done it. */
export async function backedUp(lab: Lab, keeper: string): Promise<Json> {
  const status = async (): Promise<Json> =>
    JSON.parse(await lab.kubectl(['exec', keeper, '-c', 'backup', '--', 'cat', '/handover/status.json']));
  const before = await status().catch(() => undefined);
  const asked = await lab.owner.homelab('backup', [lab.kind]);
  lab.tally.check('backup asks every pod', asked.code === 0 && asked.output.includes(keeper), asked.output);
  return until('the backup was tried', 120, async () => {
    const after = await status();
    return after.tried > (before?.tried ?? '') && after;
  });
}

/** What is late or broken is said, and seen by the exit code; what was mended is not. */
async function lateAndBroken(lab: Lab, keeper: string): Promise<void> {
  const { tally, owner, store } = lab;
  const older = `cd /handover && sed 's/"newest":"20../"newest":"2001/' status.json >older && mv older status.json`;
  await lab.kubectl(['exec', keeper, '-c', 'backup', '--', 'sh', '-c', older]);
  const late = await owner.homelab('status');
  tally.check(
    'status ends with 1 where a backup is late',
    late.code === 1 && /should be at most/.test(late.output),
    late.output,
  );
  await store.stop();
  await backedUp(lab, keeper);
  const broken = await owner.homelab('status');
  const said = broken.code === 1 && /the last try of a backup failed/.test(broken.output);
  tally.check('status ends with 1 where the target is away', said, broken.output);
  await store.start(store.authorized);
  await backedUp(lab, keeper);
  const mended = await owner.homelab('status');
  tally.check('and with 0 once it is back', mended.code === 0, mended.output);
}

/** A shell on the laptop, by a way through the API server. */
async function connects({ tally, owner }: Lab): Promise<void> {
  const script = "print('rows ' + db.getSiblingDB('shop').many.countDocuments({}))\n";
  const root = await owner.homelab('connect', ['mongodb'], script);
  tally.check('connect opens a shell that answers', root.code === 0 && /rows 20000/.test(root.output), root.output);
  const roles =
    'print(db.getName(), JSON.stringify(db.runCommand({ connectionStatus: 1 }).authInfo.authenticatedUsers))\n';
  const app = await owner.homelab('connect', ['mongodb', '--as=app'], roles);
  tally.check(
    'or one with the login of a client',
    app.code === 0 && /app \[\{"user":"app"/.test(app.output),
    app.output,
  );
}

/** As root, in a pod. @throws with what it printed where it fails */
async function typed(lab: Lab, script: string): Promise<string> {
  const password = encodeURIComponent(lab.password('mongodb-root'));
  const uri = `mongodb://root:${password}@mongodb.mongodb.svc.cluster.local/admin?replicaSet=rs0`;
  return lab.kubectl([
    'exec',
    'mongodb-0',
    '-c',
    'mongod',
    '--',
    'mongosh',
    '--norc',
    '--quiet',
    uri,
    '--eval',
    script,
  ]);
}

async function contents(lab: Lab): Promise<string> {
  const printed = await typed(lab, read('mongo-contents.js'));
  return printed.split('\n').find((line) => line.startsWith('CONTENTS '))!;
}
