import { Size } from 'cdk8s';
import mine from '../../../homelab';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { admin, asRoot, logs } from './clients';
import { inFreshNode, small } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Tests the owner's settings for the databases with the real databases. Runs with --full. */
export const SETTINGS: Readonly<Record<string, (tally: Tally) => Promise<void>>> = { settings };

const MINUTES = 60;
const HEAP = 1100;

/** The smallest ring and set, for what does not need several. */
export function single(homelab: Json): void {
  small(homelab);
  homelab.databases.cassandra.racks = ['r1'];
  homelab.databases.mongodb.members = 1;
  homelab.machines['talos-worker-01'].dataDisks = { 'cassandra-r1-0': Size.gibibytes(100) };
  homelab.machines['talos-worker-02'].dataDisks = { 'mongodb-0': Size.gibibytes(100) };
}

/** Settings of this homelab's own databases as well: one that the program does not take is found here, before the cluster. */
function ownSettings(kind: 'cassandra' | 'mongodb'): object {
  const own = Object.values(mine.databases).filter((database) => database.kind === kind);
  return Object.assign({}, ...own.map(({ config }) => config));
}

function good(homelab: Json): void {
  single(homelab);
  Object.assign(homelab.databases.cassandra, {
    heap: Size.mebibytes(HEAP),
    config: { ...ownSettings('cassandra'), compaction_throughput: '24MiB/s', auto_snapshot_ttl: '7d' },
    keyspaces: { archive: { copies: 1 } },
  });
  homelab.databases.mongodb.config = {
    ...ownSettings('mongodb'),
    operationProfiling: { slowOpThresholdMs: 250 },
    setParameter: { transactionLifetimeLimitSeconds: 31 },
  };
}

/** A key that no version of the program has. */
function unknown(homelab: Json): void {
  single(homelab);
  homelab.databases.cassandra.config = { concurrent_readz: 64 };
  homelab.databases.mongodb.config = { operationProfiling: { slowOpThresholdMz: 250 } };
}

async function settings(tally: Tally): Promise<void> {
  await inFreshNode(tally, good, async (node, rendered, again) => {
    const [ring, set] = [started(node, rendered, 'cassandra'), started(node, rendered, 'mongodb')];
    await until(
      'both with settings of the owner',
      5 * MINUTES,
      async () => ring.ready && set.ready,
      () => logs([ring, set]),
    );
    await Promise.all([ofCassandra(tally, node, rendered, ring), ofMongo(tally, node, set)]);
    await Promise.all([ring.stop(60), set.stop(60)]);
    await refusals(tally, node, await again(unknown));
  });
}

function started(node: TestNode, rendered: Rendered, name: string): Pod {
  const [set] = rendered.of('StatefulSet', name);
  return rendered.runMember(node, set, 0);
}

async function ofCassandra(tally: Tally, node: TestNode, rendered: Rendered, pod: Pod): Promise<void> {
  const nodetool = (...words: string[]) => pod.container('cassandra').exec(['nodetool', ...words]);
  const throughput = await nodetool('getcompactionthroughput', '-d');
  tally.check(
    'Cassandra has the setting of the owner',
    / 25\.1\d* MB\/s|24\.0 MiB\/s/.test(throughput.output),
    throughput.output,
  );
  const info = await nodetool('info');
  const heap = Number(/Heap Memory \(MB\)\s*:\s*[\d.]+ \/ ([\d.]+)/.exec(info.output)?.[1]);
  tally.check('Cassandra has the heap of the owner', heap > HEAP * 0.95 && heap <= HEAP, info.output);
  const { pod: job, code } = await rendered.runJob(node, 'cassandra', 'settings');
  tally.check('the schema job creates a keyspace without a client', code === 0, job.log('job'));
  const keyspace = await admin(
    node,
    pod,
    "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'archive';",
  );
  tally.check('the keyspace has the replicas that the owner set', /'dc1': '1'/.test(keyspace.output), keyspace.output);
}

async function ofMongo(tally: Tally, node: TestNode, pod: Pod): Promise<void> {
  const script = `const { slowms } = db.getSiblingDB('identity').getProfilingStatus();
print(slowms, db.adminCommand({ getParameter: 1, transactionLifetimeLimitSeconds: 1 }).transactionLifetimeLimitSeconds)`;
  const { output } = await asRoot(node, [pod], script);
  tally.check('mongod has the settings of the owner, parameters too', output.includes('250 31'), output);
}

async function refusals(tally: Tally, node: TestNode, rendered: Rendered): Promise<void> {
  const [ring, set] = [started(node, rendered, 'cassandra'), started(node, rendered, 'mongodb')];
  for (const [pod, container, said] of [
    [ring, 'cassandra', /concurrent_readz/],
    [set, 'mongod', /Unrecognized option: operationProfiling\.slowOpThresholdMz/],
  ] as const) {
    await until(
      `${container} says which setting it does not know`,
      2 * MINUTES,
      async () => said.test(pod.log(container)),
      () => logs([pod]),
    );
    tally.check(`${container} does not start with a setting that it does not know, and names it`, !pod.ready);
  }
}
