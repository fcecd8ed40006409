import * as fs from 'node:fs';
import { join } from 'node:path';
import { Size } from 'cdk8s';
import { images } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { logs, members, mongo, ready } from './clients';
import { inFreshNode, small } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Sets with data that shrink, move and retire. Runs with --full. */
export const SHRINKING: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  'five members to one': fiveToOne,
  'three members to one at once': threeToOneAtOnce,
};

const MINUTES = 60;
const ROWS = 100;

/** A set of so many members and pods, with a disk for each. */
export function sized(count: number, pods: number) {
  return (homelab: Json): void => {
    small(homelab);
    Object.assign(homelab.databases.mongodb, { members: count, pods });
    homelab.machines['talos-worker-02'].dataDisks = Object.fromEntries(
      Array.from({ length: pods }, (_, index) => [`mongodb-${index}`, Size.gibibytes(100)]),
    );
  };
}

/** Follows the documentation: removes members first, and their pods one commit later. */
async function fiveToOne(tally: Tally): Promise<void> {
  await inFreshNode(tally, sized(5, 5), async (node, rendered, again) => {
    const pods = await started(node, rendered);
    await written(tally, node, rendered);
    let last = rendered;
    for (const [count, running] of [
      [3, 5],
      [3, 3],
      [1, 3],
      [1, 1],
    ] as const) {
      last = await again(sized(count, running));
      // As a StatefulSet does: the last first. The ConfigMap comes to those that stay within a minute.
      for (const pod of pods.splice(running).reverse()) await pod.stop();
      for (const pod of pods) pod.refresh();
      const what = `${count} members, ${running} pods`;
      await until(
        what,
        3 * MINUTES,
        async () => (await members(pods)) === count,
        () => logs(pods),
      );
      tally.check(
        `${what}: members leave before their pods do`,
        pods.every(({ stopped }) => !stopped) && pods.length === running,
      );
      tally.check(
        `${what}: nobody restarted`,
        pods.every(({ restarts }) => restarts === 0),
        logs(pods),
      );
      await readable(tally, node, last, what);
      if (count === 3 && running === 3) await memberMoves(tally, node, last, pods);
    }
    await retires(tally, node, last, pods[0]!);
  });
}

/** A member whose disk is another one, on another machine: the others fill it. */
async function memberMoves(tally: Tally, node: TestNode, rendered: Rendered, pods: Pod[]): Promise<void> {
  const [manifest] = rendered.of('StatefulSet', 'mongodb');
  const moved = pods.pop()!;
  await moved.stop();
  fs.rmSync(join(node.folder, `mongodb-data-${moved.name}.disk`));
  const there = rendered.runMember(node, manifest, pods.length);
  pods.push(there);
  await until(
    'the moved member is synced',
    3 * MINUTES,
    async () => there.ready,
    () => logs(pods),
  );
  const uri = 'mongodb://127.0.0.1:27017/?directConnection=true';
  const script = 'print(db.hello().secondary || db.hello().isWritablePrimary)';
  const { output } = await there.container('mongod').exec(['mongosh', '--norc', '--quiet', uri, '--eval', script]);
  tally.check('a member on an empty disk is filled by the others', /true/.test(output), output);
  await readable(tally, node, rendered, 'after a member moved');
}

/** A retired set runs no pods. Its disks stay, and it can be activated again. */
async function retires(tally: Tally, node: TestNode, rendered: Rendered, pod: Pod): Promise<void> {
  const [manifest] = rendered.of('StatefulSet', 'mongodb');
  await pod.stop();
  const back = rendered.runMember(node, manifest, 0);
  await until(
    'the set is back',
    2 * MINUTES,
    async () => back.ready,
    () => logs([back]),
  );
  await readable(tally, node, rendered, 'after it retired and came back');
}

/** A change that the plan reports as data risk: two of three voters leave at once, and the remaining one never has a majority again. */
async function threeToOneAtOnce(tally: Tally): Promise<void> {
  await inFreshNode(tally, sized(3, 3), async (node, rendered, again) => {
    const pods = await started(node, rendered);
    await written(tally, node, rendered);
    const last = await again(sized(1, 1));
    await Promise.all(pods.splice(1).map((pod) => pod.stop()));
    const [survivor] = pods as [Pod];
    survivor.refresh();
    await new Promise((resolve) => setTimeout(resolve, 90_000));
    tally.check('control: three members to one at once leave a set of three', (await members(pods)) === 3, logs(pods));
    const client = rendered.runClient(node, 'identity', images.mongodb, '-late');
    await ready(client);
    const { code, output } = await mongo(client, insert(ROWS + 1));
    tally.check('control: the survivor takes no write, because it has no primary', code !== 0, output);
    tally.check(
      'control: the survivor keeps waiting for a primary',
      /watch: this member is not primary/.test(survivor.log('reconcile')),
      survivor.log('reconcile').slice(-2000),
    );
    tally.check(
      'control: the plan of that commit was for one member',
      last.of('StatefulSet', 'mongodb')[0].spec.replicas === 1,
    );
  });
}

/** A new set, once it has all of its members. */
export async function started(node: TestNode, rendered: Rendered, hidden = 0): Promise<Pod[]> {
  const [manifest] = rendered.of('StatefulSet', 'mongodb');
  const pods = rendered.runSet(node, manifest);
  await until(
    `a set of ${pods.length}`,
    8 * MINUTES,
    async () => pods.every((pod) => pod.ready) && (await members(pods)) === pods.length - hidden,
    () => logs(pods),
  );
  return pods;
}

async function written(tally: Tally, node: TestNode, rendered: Rendered): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'mongodb', 'first');
  tally.check('the users job succeeds', code === 0, pod.log('job'));
  const client = rendered.runClient(node, 'identity', images.mongodb, '-writes');
  await ready(client);
  const { code: done, output } = await mongo(client, insert(ROWS));
  tally.check(`${ROWS} documents are written with a majority`, done === 0, output);
  await client.stop(0);
}

function insert(count: number): string {
  const documents = `Array.from({ length: ${count} }, (_, n) => ({ n }))`;
  return `db.c.insertMany(${documents}, { writeConcern: { w: 'majority', wtimeout: 20000 } })`;
}

let readers = 0;

/** By a client with the variables of that commit, restarted as its Deployment restarts it. */
async function readable(tally: Tally, node: TestNode, rendered: Rendered, what: string): Promise<void> {
  const client = rendered.runClient(node, 'identity', images.mongodb, `-reads-${readers++}`);
  await ready(client);
  const read = await mongo(client, `print('found', db.c.find().readConcern('majority').toArray().length)`);
  tally.check(`${what}: all documents are read with a majority`, read.output.includes(`found ${ROWS}`), read.output);
  const write = await mongo(
    client,
    `db.c.updateOne({ n: 0 }, { $inc: { times: 1 } }, { writeConcern: { w: 'majority', wtimeout: 20000 } })`,
  );
  tally.check(`${what}: a majority takes a write`, write.code === 0, write.output);
  await client.stop(0);
}
