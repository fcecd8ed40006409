import * as fs from 'node:fs';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import { inFreshNode, small } from '../fresh-node';
import { pause } from '../../node/processes';
import { hello, MongoSet, MongoWriter } from './mongodb-set';
import type { FaultTable } from './table';
import { partition, replace, type Member } from './tools';

type Json = any;

/** Two of three members lose their disks, and the one that is left lacks what they acknowledged last. */
export const MONGODB_OLD_COPY: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  'mongodb: an old copy is left': oldCopyLeft,
};

export const ASKS = /this member is empty and no member is primary.*run in this container: touch (\S+)/;

async function oldCopyLeft(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, small, async (node, rendered, again) => {
    const set = new MongoSet(node, rendered, again, tally, table);
    await set.whole(8);
    const { pod, code } = await rendered.runJob(node, 'mongodb', 'first');
    tally.check('the users job succeeds', code === 0, pod.log('job'));
    set.writer = new MongoWriter(node, rendered);
    await set.fault('two of three lose their volumes, an old copy is left, and the disks are found', () =>
      foundAgain(set),
    );
    await table.control(set.writer, 'without start.sh, two of three lose their volumes and an old copy is left', () =>
      copied(set),
    );
  });
}

/** Of the three, only the last has data, and not what the others acknowledged in 10 s. @returns the other two, which are stopped */
async function leaveOld(set: MongoSet): Promise<Member[]> {
  const [one, two, old] = set.members as [Member, Member, Member];
  const heal = partition([old.pod], [one.pod, two.pod]);
  try {
    // One that had copied from the last looks for another source first, and no write has a majority until then.
    await until('the last one lacks 10 s of what a majority has', 120, async () => {
      const [has, lacks] = await Promise.all([one.pod, old.pod].map(hello));
      return has?.lastWrite.majorityWriteDate - lacks?.lastWrite.lastWriteDate > 10_000;
    });
    await Promise.all([one, two].map(({ pod }) => pod.stop(0)));
  } finally {
    heal();
  }
  return [one, two];
}

async function foundAgain(set: MongoSet): Promise<void> {
  const lost = await leaveOld(set);
  const disks = lost.map(({ node, pod }) => node.claims.disk(pod.namespace, `data-${pod.name}`));
  for (const disk of disks) fs.renameSync(disk, `${disk}.lost`);
  for (const member of lost) member.pod = set.rendered.runMember(set.node, set.manifest, member.ordinal);
  await until(
    'both empty members ask',
    120,
    async () => lost.every(({ pod }) => ASKS.test(pod.log('reconcile'))),
    () => logs(set.pods),
  );
  await pause(30);
  const answers = await Promise.all(set.pods.map(hello));
  const [, , old] = answers;
  set.tally.check(
    'no member joins and none is elected before the owner agrees',
    answers.every((answer) => answer?.isWritablePrimary === false) &&
      old.secondary === true &&
      answers.slice(0, 2).every((answer) => answer.setName === undefined),
    JSON.stringify(answers),
  );
  set.tally.check(
    'no container restarted meanwhile',
    lost.every(({ pod }) => pod.restarts === 0),
    logs(lost.map(({ pod }) => pod)),
  );
  await Promise.all(lost.map(({ pod }) => pod.stop()));
  for (const disk of disks) fs.renameSync(`${disk}.lost`, disk);
  for (const member of lost) member.pod = set.rendered.runMember(set.node, set.manifest, member.ordinal);
}

/** The same with mongod as it was started before. */
async function copied(set: MongoSet): Promise<void> {
  const bare: Json = structuredClone(set.manifest);
  const mongod = bare.spec.template.spec.containers.find(({ name }: Json) => name === 'mongod');
  mongod.command = mongod.command.slice(mongod.command.indexOf('mongod'));
  for (const member of await leaveOld(set)) {
    const index = set.members.indexOf(member);
    set.members[index] = { ...member, set: bare };
    await replace(set.members[index]!, { disk: 'lose', grace: 0 });
  }
  await set.whole();
}
