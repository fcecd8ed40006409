import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { cql, logs } from './clients';
import { CassandraWriter } from './faults/cassandra-ring';
import type { FaultTable } from './faults/table';
import { inFreshNode } from './fresh-node';
import { ring } from './growth';
import { loginsAtOne, measured, opsState, opsTells, schedule, started, up } from './ops-ring';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Tests the effects of the container `ops` on a ring. Runs with --full. */
export const OPS: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  'deleted rows': deletedRows,
  'a ring grows and shrinks': growsAndShrinks,
};

const MINUTES = 60;
const ROWS = 100;

/** Kills ops as soon as it starts an action, like a memory limit or a kubelet would. */
async function killedWhile(doing: string, seconds: number, pods: readonly Pod[]): Promise<Pod> {
  const pod = await until(
    `ops does: ${doing}`,
    seconds,
    async () => {
      const states = await Promise.all(pods.map(opsState));
      return pods[states.findIndex((state) => state.doing === doing)];
    },
    () => logs(pods),
  );
  pod.container('ops').signal('SIGKILL');
  return pod;
}

async function statusOf(pod: Pod): Promise<string> {
  return (await pod.container('cassandra').exec(['nodetool', 'status'])).output;
}

const isWhole = (status: string, count: number) =>
  (status.match(/^[UD][NLJM] /gm) ?? []).length === count && (status.match(/^UN /gm) ?? []).length === count;

async function count(chat: Pod, table: string, level = 'ALL'): Promise<number> {
  const { output } = await cql(chat, `CONSISTENCY ${level}; SELECT count(*) FROM ${table};`);
  return Number(/^\s*(\d+)$/m.exec(output)?.[1]);
}

function inserts(table: string): string {
  return Array.from({ length: ROWS }, (_, k) => `INSERT INTO ${table} (k) VALUES (${k});`).join(' ');
}

/**
 * A node misses deletions, and the marks of these are dropped (gc_grace_seconds): in the table `control` before a repair, in
 * `repaired` after it. Then the node is lost for good, and taken out of the ring.
 */
async function deletedRows(tally: Tally): Promise<void> {
  await inFreshNode(tally, loginsAtOne(ring(['r1', 'r2'], 1)), async (node, rendered) => {
    const { pods, chat } = await started(tally, node, rendered);
    schedule(node, pods, { repairSeconds: 60 });
    await opsTells('each node made its first repairs', 4 * MINUTES, pods, ({ repairs = {} }) =>
      Boolean(repairs.chat?.last && repairs.system_auth?.last),
    );
    schedule(node, pods, { repairSeconds: 5 * 24 * 3600 });
    tally.check('each node repairs every keyspace by itself', true);
    const [one, two] = pods as [Pod, Pod];
    for (const table of ['control', 'repaired']) {
      const made = await cql(chat, `CREATE TABLE ${table} (k int PRIMARY KEY); CONSISTENCY ALL; ${inserts(table)}`);
      tally.check(`${ROWS} rows are on both copies of ${table}`, made.code === 0, made.output);
    }
    // Away for longer than hints are kept.
    await one.container('cassandra').exec(['nodetool', 'disablehandoff']);
    await two.stop();
    const deletes = Array.from({ length: ROWS / 2 }, (_, k) => k).map(
      (k) => `DELETE FROM control WHERE k = ${k}; DELETE FROM repaired WHERE k = ${k};`,
    );
    const deleted = await cql(chat, `CONSISTENCY ONE; ${deletes.join(' ')}`);
    tally.check('half of the rows are deleted while a node is down', deleted.code === 0, deleted.output);
    const back = rendered.runMember(node, rendered.of('StatefulSet', 'cassandra')[1], 0);
    await up('the node is back', [back]);
    const both = [one, back];
    await repairedInTime(tally, node, both, chat);
    await goneForGood(tally, one, back, chat);
  });
}

async function repairedInTime(tally: Tally, node: TestNode, both: readonly Pod[], chat: Pod): Promise<void> {
  await forget(both, chat, 'control');
  const risen = await count(chat, 'control');
  tally.check('control: without a repair deleted rows come back', risen > ROWS / 2, `${risen} rows`);
  const before = Math.floor(Date.now() / 1000);
  schedule(node, both, { repairSeconds: 20 });
  const killed = await killedWhile('repair chat', 3 * MINUTES, both);
  await opsTells('each node repaired the keyspace', 3 * MINUTES, both, (state) => state.repairs?.chat?.last > before);
  tally.check('an ops that was killed during a repair repeats it', killed.restarts === 1, logs(both));
  schedule(node, both, { repairSeconds: 5 * 24 * 3600 });
  await forget(both, chat, 'repaired');
  const left = await count(chat, 'repaired');
  tally.check('after a repair deleted rows stay deleted', left === ROWS / 2, `${left} rows`);
  const states = await Promise.all(both.map(opsState));
  const failures = states.flatMap(({ repairs }) => Object.values<Json>(repairs).map((each) => each.failures ?? 0));
  tally.check('no repair failed', failures.length > 0 && failures.every((each) => each === 0), logs(both));
  const script = `import urllib.request; print(urllib.request.urlopen('http://${both[0]!.address}:7011/metrics').read().decode())`;
  const { output } = await both[1]!.container('cassandra').exec(['python3', '-c', script]);
  tally.check(
    'the metrics show the time of the last repair',
    /^collab_cassandra_repair_last_success_timestamp_seconds\{keyspace="chat"\} [1-9]/m.test(output),
    output,
  );
  for (const pod of both) measured(tally, pod);
}

/** The documented way for a node that is lost: a healthy node removes it. */
async function goneForGood(tally: Tally, one: Pod, lost: Pod, chat: Pod): Promise<void> {
  await lost.stop(0);
  const id = await until('the node is seen as down', 2 * MINUTES, async () =>
    /^DN .*\s([0-9a-f-]{36})\s/m.exec(await statusOf(one))?.at(1),
  );
  const removed = await one.container('cassandra').exec(['nodetool', 'removenode', id], 3 * MINUTES);
  tally.check('removenode removes a lost node', removed.code === 0, removed.output);
  const status = await statusOf(one);
  tally.check('the ring is complete without it', isWhole(status, 1), status);
  const left = await count(chat, 'repaired', 'ONE');
  tally.check('the rows that other nodes have are there', left === ROWS / 2, `${left} rows`);
}

/** Drops the marks of deletions on every node, as compaction does once gc_grace_seconds are over. */
async function forget(pods: readonly Pod[], chat: Pod, table: string): Promise<void> {
  await cql(chat, `ALTER TABLE ${table} WITH gc_grace_seconds = 1;`);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const pod of pods)
    for (const command of ['flush', 'compact'])
      await pod.container('cassandra').exec(['nodetool', command, 'chat', table]);
}

/** One copy of each row, so that each move of rows shows: one node, two, one, two again on the volume that was left. */
async function growsAndShrinks(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, ring(['r1'], 1), async (node, rendered, again) => {
    const { pods, chat } = await started(tally, node, rendered);
    const [one] = pods as [Pod];
    const made = await cql(chat, `CREATE TABLE t (k int PRIMARY KEY); ${inserts('t')}`);
    tally.check(`${ROWS} rows are written to one node`, made.code === 0, made.output);
    await one.container('cassandra').exec(['nodetool', 'flush', 'chat', 't']);

    const writer = new CassandraWriter(node, rendered);
    const larger = await again(ring(['r1'], 2));
    let two!: Pod;
    await table.under(writer, 'a rack grows from one node to two, one copy', async () => {
      two = larger.runMember(node, larger.of('StatefulSet', 'cassandra')[0], 1);
      one.refresh();
      await up('two nodes', [one, two]);
    });
    const partitions = async () => {
      const { output } = await one.container('cassandra').exec(['nodetool', 'tablestats', 'chat.t']);
      return Number(/Number of partitions \(estimate\): (\d+)/.exec(output)?.[1]);
    };
    const before = await partitions();
    schedule(node, [one, two], { lookSeconds: 30 });
    await until(
      'the first node cleans up',
      4 * MINUTES,
      async () => /cleanup: done/.test(one.log('ops')),
      () => logs([one, two]),
    );
    const after = await partitions();
    tally.check(
      'after growth a node drops the rows that moved',
      before === ROWS && after < ROWS && after > 0,
      `${before}, ${after}`,
    );
    tally.check('all rows are still there', (await count(chat, 't')) === ROWS);
    tally.check('the first node was not restarted', one.restarts === 0);

    await table.under(writer, 'and back to one by committed members, kill -9 of ops meanwhile', () =>
      leaves(tally, again, one, two, chat),
    );
    await comesBack(tally, node, again, one, chat);
    measured(tally, one);
  });
}

type Again = (change: (homelab: Json) => void) => Promise<Rendered>;

/** By committed members; ops is killed in the middle of it. */
async function leaves(tally: Tally, again: Again, one: Pod, two: Pod, chat: Pod): Promise<void> {
  await again((homelab) => {
    ring(['r1'], 2)(homelab);
    homelab.databases.cassandra.membersPerRack = 1;
  });
  for (const pod of [one, two]) pod.refresh();
  await killedWhile('decommission', 3 * MINUTES, [two]);
  await opsTells('the node has left', 5 * MINUTES, [two], ({ inRing }) => inRing === false);
  const status = await until('its ring knows it no more', MINUTES, async () => {
    const text = await statusOf(one);
    return isWhole(text, 1) && text;
  });
  tally.check('the last node of the rack leaves the ring, also where its ops was killed meanwhile', true, status);
  const rows = await count(chat, 't');
  tally.check('its rows moved to the remaining node', rows === ROWS, `${rows} rows`);
  await until(
    'the node that left waits',
    2 * MINUTES,
    async () => /is no member of the ring/.test(two.log('cassandra')),
    () => logs([two]),
  );
  tally.check('a node that left does not start again', !two.ready, logs([two]));
  await two.stop();
}

/** Its volume has the data of a node that Cassandra would refuse. */
async function comesBack(tally: Tally, node: TestNode, again: Again, one: Pod, chat: Pod): Promise<void> {
  const grown = await again(ring(['r1'], 2));
  one.refresh();
  const back = grown.runMember(node, grown.of('StatefulSet', 'cassandra')[0], 1);
  await up('two nodes again', [one, back]);
  tally.check(
    'on the volume of a node that left, a node joins as a new one',
    /removing its data/.test(back.log('cassandra')),
    back.log('cassandra'),
  );
  const status = await statusOf(one);
  tally.check('the ring has two nodes again', isWhole(status, 2), status);
  const rows = await count(chat, 't');
  tally.check('the ring has all rows', rows === ROWS, `${rows} rows`);
}
