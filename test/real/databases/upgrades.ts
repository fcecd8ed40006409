import type { Tally } from '../tally';
import { until } from '../cluster/processes';
import { asRoot, logs } from './clients';
import { MongoSet, MongoWriter } from './faults/mongodb-set';
import type { FaultTable } from './faults/table';
import { inFreshNode, small } from './fresh-node';

type Json = any;

/** Sets that write another form of data while a client writes: with --full. */
export const UPGRADES: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  'feature compatibility of MongoDB': compatibility,
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
    const commit = async (wanted: string) => {
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
    tally.check('a new set writes the form of its version', (await version()) === '6.0', await version());
    await commit('5.0');
    await says(/wait: the feature compatibility version is 6\.0, and 5\.0 is wanted: it is never lowered from here/);
    tally.check('a lower one is not brought about', (await version()) === '6.0', await version());
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
      'nobody restarted for it',
      set.pods.every(({ restarts }) => restarts === 0),
      logs(set.pods),
    );
  });
}
