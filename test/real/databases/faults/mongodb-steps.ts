import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { asRoot, logs } from '../clients';
import { inFreshNode } from '../fresh-node';
import type { Pod } from '../../node/pod';
import { pause } from '../../node/processes';
import { sized } from '../shrinking';
import { hello, MongoSet, MongoWriter } from './mongodb-set';
import type { FaultTable } from './table';
import { caught, kill } from './tools';

type Json = any;

type Part = (tally: Tally, table: FaultTable) => Promise<void>;

/** Sets that change, and are killed in the middle of it; each has a node of its own. */
export const MONGODB_STEPS: Readonly<Record<string, Part>> = {
  'mongodb: killed at each step of its making': (tally, table) => made(tally, table, 0),
  'mongodb: killed a little after each step of its making': (tally, table) => made(tally, table, 0.2),
  'mongodb: killed at each step of its shrinking': shrunk,
  'mongodb: killed at each change of a member': changed,
  'mongodb: one member to five and back': grown,
};

/** Nothing is written yet: what counts is that there is one set in the end, with one root. */
async function made(tally: Tally, table: FaultTable, seconds: number): Promise<void> {
  await inFreshNode(tally, sized(3, 3), async (node, rendered, again) => {
    const set = new MongoSet(node, rendered, again, tally, table);
    for (const step of ['join', 'initiate', 'create-root', 'add mongodb-1', 'add mongodb-2'])
      await killedAt(set, step, seconds);
    await set.whole(10);
    const users = await asRoot(node, set.pods, 'print(db.getUsers().users.map(({ user }) => user).join())');
    const unchained = set.pods.some((pod) => pod.log('reconcile').includes('unchain'));
    tally.check('members copy from the primary from the first configuration on', !unchained, logs(set.pods));
    tally.check('there is one root', users.output.trim() === 'root', users.output);
    const { code, pod } = await rendered.runJob(node, 'mongodb', 'first');
    tally.check('the users job succeeds', code === 0, pod.log('job'));
  });
}

/** The primary is one of those that go, so that it must step down first. */
async function shrunk(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, sized(3, 3), async (node, rendered, again) => {
    const set = await written(new MongoSet(node, rendered, again, tally, table));
    await set.fault('kill -9 at each step from three members to one', async () => {
      await asRoot(node, set.pods, 'db.adminCommand({ replSetStepDown: 90 })');
      await set.become(1, 3);
      for (const step of ['remove mongodb-', 'step-down', 'remove mongodb-']) await killedAt(set, step, 0);
    });
  });
}

/** To hidden and back: before it is told to the set, and a little after. */
async function changed(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, sized(3, 3), async (node, rendered, again) => {
    const set = await written(new MongoSet(node, rendered, again, tally, table));
    const chaining = (change: string) =>
      asRoot(
        node,
        set.pods,
        `const { config } = db.adminCommand({ replSetGetConfig: 1 }); ${change}; print('chaining ' + config.settings.chainingAllowed)`,
      );
    await set.fault(
      'kill -9 where the set of an older version is told that members copy from the primary',
      async () => {
        await chaining(
          'config.version++; config.settings.chainingAllowed = true; db.adminCommand({ replSetReconfig: config })',
        );
        await killedAt(set, 'unchain', 0);
        await until(
          'they do',
          180,
          async () => (await chaining('')).output.includes('chaining false'),
          () => logs(set.pods),
        );
      },
    );
    await set.fault('kill -9 at each change of a member, to hidden and back', async () => {
      for (const [memberOptions, seconds, seen] of [
        [{ 2: { hidden: true } }, 0, 2],
        [{}, 0.2, 3],
      ] as const) {
        await again((homelab: Json) => {
          sized(3, 3)(homelab);
          homelab.databases.mongodb.memberOptions = memberOptions;
        });
        for (const pod of set.pods) pod.refresh();
        await killedAt(set, 'change mongodb-2', seconds);
        await until(
          `clients see ${seen} members`,
          180,
          async () => (await hello((await set.primary()).pod))?.hosts.length === seen,
          () => logs(set.pods),
        );
      }
    });
  });
}

async function grown(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, sized(1, 1), async (node, rendered, again) => {
    const set = await written(new MongoSet(node, rendered, again, tally, table));
    for (const [members, pods] of [
      [3, 3],
      [5, 5],
      [3, 5],
      [3, 3],
      [1, 3],
      [1, 1],
    ] as const)
      await set.fault(`${members} members, ${pods} pods`, () => set.become(members, pods));
  });
}

async function written(set: MongoSet): Promise<MongoSet> {
  await set.whole(10);
  const { pod, code } = await set.rendered.runJob(set.node, 'mongodb', 'first');
  set.tally.check('the users job succeeds', code === 0, pod.log('job'));
  set.writer = new MongoWriter(set.node, set.rendered);
  return set;
}

/** Kills mongod and its reconciler where one says that it does something, so many seconds later. */
export async function killedAt(set: MongoSet, step: string, seconds: number): Promise<void> {
  const times = (pod: Pod) => pod.log('reconcile').split(`Z ${step}`).length;
  const before = set.pods.map(times);
  const doing = await caught(step, 240, () => set.pods.find((pod, index) => times(pod) > before[index]!));
  await pause(seconds);
  for (const container of ['mongod', 'reconcile']) kill(doing, container);
}
