import type { Tally } from '../tally';
import { until } from '../cluster/processes';
import { asRoot, logs } from './clients';
import { CassandraWriter, Ring } from './faults/cassandra-ring';
import { MongoSet, MongoWriter } from './faults/mongodb-set';
import { killedAt } from './faults/mongodb-steps';
import type { FaultTable } from './faults/table';
import { replace } from './faults/tools';
import { inFreshNode, small } from './fresh-node';
import { ring } from './growth';
import { OLDER_CASSANDRA } from './images';

type Json = any;

/** Upgrades databases and their data format while a client writes. Runs with --full. */
export const UPGRADES: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  'feature compatibility of MongoDB': compatibility,
  'upgrade of Cassandra': upgrade,
};

const MINUTES = 60;

/** What homelab.ts says of a set that runs the version which stands in for the image. */
function at(featureCompatibilityVersion?: string) {
  return (homelab: Json): void => {
    small(homelab);
    Object.assign(homelab.databases.mongodb, { version: '6.0.5', featureCompatibilityVersion });
  };
}

async function compatibility(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, at(), async (node, rendered, again) => {
    const set = new MongoSet(node, rendered, again, tally, table);
    await set.whole(8);
    const { pod, code } = await rendered.runJob(node, 'mongodb', 'first');
    tally.check('the users job succeeds', code === 0, pod.log('job'));
    set.writer = new MongoWriter(node, rendered);
    const root = (script: string) => asRoot(node, set.pods, script);
    const version = async () => {
      const script =
        'print(db.adminCommand({ getParameter: 1, featureCompatibilityVersion: 1 }).featureCompatibilityVersion.version)';
      return (await root(script)).output.trim().split('\n').at(-1);
    };
    const commit = async (wanted?: string) => {
      await again(at(wanted));
      for (const each of set.pods) each.refresh();
    };
    const says = (text: RegExp) =>
      until(
        `the primary says ${text}`,
        2 * MINUTES,
        async () => set.pods.some((each) => text.test(each.log('reconcile'))),
        () => logs(set.pods),
      );
    tally.check('a new set writes the data format of its version', (await version()) === '6.0', await version());
    await commit('5.0');
    await says(
      /wait: the feature compatibility version is 6\.0, and 5\.0 is wanted: it is never lowered automatically/,
    );
    tally.check('a lower data format is not applied', (await version()) === '6.0', await version());
    // As a set that came from 5.0 is after its binaries were upgraded.
    const lowered = await root("db.adminCommand({ setFeatureCompatibilityVersion: '5.0' })");
    tally.check('by hand it is 5.0', (await version()) === '5.0', lowered.output);
    await set.fault('feature compatibility version 5.0 to 6.0', async () => {
      await commit('6.0');
      await says(
        /raise-compatibility: the feature compatibility version is 5\.0, and 6\.0 is wanted: every member runs it/,
      );
      await until(
        'it is 6.0',
        MINUTES,
        async () => (await version()) === '6.0',
        () => logs(set.pods),
      );
    });
    tally.check(
      'no container restarted for it',
      set.pods.every(({ restarts }) => restarts === 0),
      logs(set.pods),
    );
    await set.fault(
      'kill -9 at the step that raises the feature compatibility version, and a little after',
      async () => {
        for (const seconds of [0, 0.2]) {
          await commit(undefined);
          await until('it is 5.0 by hand', 2 * MINUTES, async () => {
            await root("db.adminCommand({ setFeatureCompatibilityVersion: '5.0' })");
            return (await version()) === '5.0';
          });
          const raised = killedAt(set, 'raise-compatibility', seconds);
          await commit('6.0');
          await raised;
          await until(
            'it is 6.0 all the same',
            2 * MINUTES,
            async () => (await version()) === '6.0',
            () => logs(set.pods),
          );
        }
      },
    );
  });
}

/** Three racks: roles are read at LOCAL_QUORUM, so with two nobody can log in while one of them is away. */
async function upgrade(tally: Tally, table: FaultTable): Promise<void> {
  const racks = ring(['r1', 'r2', 'r3'], 1);
  const older = (homelab: Json): void => {
    racks(homelab);
    homelab.databases.cassandra.version = OLDER_CASSANDRA;
  };
  await inFreshNode(tally, older, async (node, rendered, again) => {
    const all = new Ring(node, rendered, again, tally, table);
    await all.whole(8);
    const { pod, code } = await rendered.runJob(node, 'cassandra', 'first');
    tally.check('the schema job succeeds', code === 0, pod.log('job'));
    all.writer = new CassandraWriter(node, rendered);
    const versions = async () => {
      const said = await Promise.all(all.pods.map((each) => each.container('cassandra').exec(['nodetool', 'version'])));
      return said.map(({ output }) => /ReleaseVersion: (\S+)/.exec(output)?.[1]).join(' ');
    };
    tally.check(
      'all nodes run the older version',
      (await versions()) === Array(3).fill(OLDER_CASSANDRA).join(' '),
      await versions(),
    );
    const next = await again(racks);
    // As Argo CD's waves do it: a rack when the one before is healthy.
    await all.fault(`upgrade from ${OLDER_CASSANDRA} rack after rack`, async () => {
      for (const member of all.members) {
        const { name } = member.set.metadata;
        const set = next.of('StatefulSet', 'cassandra').find(({ metadata }) => metadata.name === name);
        await replace(Object.assign(member, { rendered: next, set }));
        await all.whole();
      }
    });
    tally.check('all run the newer one', !(await versions()).includes(OLDER_CASSANDRA), await versions());
    const job = await next.runJob(node, 'cassandra', 'upgraded');
    tally.check('the schema job of the newer version succeeds', job.code === 0, job.pod.log('job'));
  });
}
