import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../../tally';
import type { FaultTable } from '../faults/table';
import { everyCommand, givenBack, type Tried } from './given-back';
import { oneDatabase } from './homelab';
import { inLab, type Lab } from './lab';
import { onCluster } from './on-cluster';

const read = (file: string) => fs.readFileSync(join(__dirname, '../backups', file), 'utf8');

const WHO = 'print(db.getName(), JSON.stringify(db.runCommand({ connectionStatus: 1 }).authInfo.authenticatedUsers))\n';

const tried = (keeper: string): Tried => ({
  keeper,
  fill: (lab) => typed(lab, read('mongo-data.js')),
  contents,
  shells: [
    {
      args: [],
      input: "print('rows ' + db.getSiblingDB('shop').many.countDocuments({}))\n",
      answers: /rows 20000/,
    },
    { args: ['--as=app'], input: WHO, answers: /app \[\{"user":"app"/ },
  ],
});

/** Three members, and every command: a part of --full. */
export async function mongodbCommands(tally: Tally): Promise<void> {
  await inLab(tally, 'mongodb', 3, async (lab) => {
    await givenBack(lab, tried('mongodb-2'));
    await everyCommand(lab, tried('mongodb-2'));
  });
}

/** What `--kubeconfig` tries on a cluster of an owner, here with processes for its pods. */
export async function mongodbOnCluster(tally: Tally, table: FaultTable): Promise<void> {
  await inLab(tally, 'mongodb', 3, async (lab) => {
    await lab.apply();
    await onCluster(oneDatabase('mongodb', 3, lab.store.target), lab.owner, tally, table);
  });
}

/** One member is destroyed, and given back. */
export async function mongodbGivenBack(tally: Tally): Promise<void> {
  await inLab(tally, 'mongodb', 1, (lab) => givenBack(lab, tried('mongodb-0')));
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
