import * as fs from 'node:fs';
import { join } from 'node:path';
import { Size } from 'cdk8s';
import { images } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { cql, logs, ready } from './clients';
import { killed } from './faults/cassandra';
import { CassandraWriter, Ring } from './faults/cassandra-ring';
import type { FaultTable } from './faults/table';
import { inFreshNode, small } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Rings of other shapes, growth, and a node that lost its disk. Runs with --full. */
export const GROWTH: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  waves,
  'fewer racks than copies': fewerRacks,
  'one node to three': oneToThree,
  'an empty disk': emptyDisk,
  'rendered limits': renderedLimits,
};

const MINUTES = 60;
const isUp = ({ ready: isReady }: Pod) => isReady;

/** A ring of these racks, with a disk for each node. */
export function ring(racks: readonly string[], nodesPerRack: number) {
  return (homelab: Json): void => {
    small(homelab);
    Object.assign(homelab.databases.cassandra, { racks, nodesPerRack });
    const disks = racks.flatMap((rack) =>
      Array.from({ length: nodesPerRack }, (_, ordinal) => [`cassandra-${rack}-${ordinal}`, Size.gibibytes(100)]),
    );
    // The machine's own memory is not what this is about.
    homelab.machines['talos-worker-01'].memory = Size.gibibytes(22);
    homelab.machines['talos-worker-01'].dataDisks = Object.fromEntries(disks);
  };
}

/** As Argo CD makes them: a rack when the one before is whole. The wait for racks that are not there is cut short. */
async function waves(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(['r1', 'r2', 'r3'], 2), async (node, rendered) => {
    impatient(node);
    const pods: Pod[] = [];
    for (const set of rendered.of('StatefulSet', 'cassandra')) {
      pods.push(...rendered.runSet(node, set));
      await until(
        `rack ${set.metadata.name} is whole`,
        10 * MINUTES,
        async () => pods.every(isUp),
        () => logs(pods),
      );
    }
    await allUp(tally, pods, 6);
    await schema(tally, node, rendered);
  });
}

async function fewerRacks(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(['r1', 'r2'], 2), async (node, rendered) => {
    const pods = rendered.of('StatefulSet', 'cassandra').flatMap((set) => rendered.runSet(node, set));
    await until(
      'two racks of two nodes',
      15 * MINUTES,
      async () => pods.every(isUp),
      () => logs(pods),
    );
    await allUp(tally, pods, 4);
    await schema(tally, node, rendered);
  });
}

async function oneToThree(tally: Tally, table: FaultTable): Promise<void> {
  await inFreshNode(tally, ring(['r1'], 1), async (node, rendered, again) => {
    const cassandra = new Ring(node, rendered, again, tally, table);
    await cassandra.whole();
    await schema(tally, node, rendered);
    cassandra.writer = new CassandraWriter(node, rendered);
    const grown = await again(ring(['r1'], 3));
    const [first] = cassandra.pods as [Pod];
    await cassandra.fault('growth from one node to three, and a kill -9 while one joins', async () => {
      const [larger] = grown.of('StatefulSet', 'cassandra');
      for (const ordinal of [1, 2]) {
        const pod = grown.runMember(node, larger, ordinal);
        cassandra.members.push({ node, rendered: grown, set: larger, ordinal, pod });
      }
      const second = cassandra.members[1]!.pod;
      await until(
        'the second joins',
        3 * MINUTES,
        async () => /JOINING: Starting to bootstrap/.test(second.log('cassandra')),
        () => logs(cassandra.pods),
      );
      const cut = Date.now();
      second.container('cassandra').signal('SIGKILL');
      await until(
        'the second has joined',
        8 * MINUTES,
        async () => second.ready,
        () => logs(cassandra.pods),
      );
      const seconds = Math.round((Date.now() - cut) / 1000);
      // Cassandra forgets a node that joined and is gone after 5 minutes: that long nobody else may join.
      const waited = /wait: another node joins/.test(second.log('cassandra'));
      tally.check('an interrupted join starts again at once', !waited && seconds < 5 * MINUTES, `${seconds} s`);
      console.log(`  killed in its first join, it had joined after ${seconds} s`);
      await cassandra.whole(15);
      await schema(tally, node, grown);
    });
    tally.check('the first node was not restarted', first.restarts === 0 && isUp(first));
    const chat = await client(node, rendered, 'chat');
    const copies = await cql(chat, 'DESCRIBE KEYSPACE chat;');
    tally.check('the keyspace has three copies', copies.output.includes("'dc1': '3'"), copies.output);
    await first.stop(0);
    cassandra.members.shift();
    await table.under(cassandra.writer, 'the node that had all data first goes', async () => undefined);
  });
}

/** A node without its data restarts with a new address while another node is down. */
async function emptyDisk(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(['r1', 'r2', 'r3'], 1), async (node, rendered) => {
    const sets = rendered.of('StatefulSet', 'cassandra');
    const pods = sets.flatMap((set) => rendered.runSet(node, set));
    await until(
      'three nodes',
      15 * MINUTES,
      async () => pods.every(isUp),
      () => logs(pods),
    );
    await schema(tally, node, rendered);
    const chat = await client(node, rendered, 'chat');
    await cql(chat, `CREATE TABLE t (k int PRIMARY KEY); ${inserts(0, 100)}`);
    const [, second, third] = pods as [Pod, Pod, Pod];
    await Promise.all([second.stop(0), third.stop(0)]);
    fs.rmSync(join(node.folder, `cassandra-data-${second.name}.disk`));
    const empty = rendered.runMember(node, sets[1], 0);
    await until(
      'the empty node is back',
      10 * MINUTES,
      async () => isUp(empty),
      () => logs([empty, pods[0]!]),
    );
    tally.check('it replaced its former self', /taking the place of the dead node/.test(empty.log('cassandra')));
    const back = rendered.runMember(node, sets[2], 0);
    await until(
      'the third is back',
      5 * MINUTES,
      async () => isUp(back),
      () => logs([back]),
    );
    await allUp(tally, [pods[0]!, empty, back], 3);
    const read = await cql(chat, 'CONSISTENCY ALL; SELECT count(*) FROM t;');
    tally.check('all rows are on all nodes', /^\s*100$/m.test(read.output), read.output);
  });
}

/** Uses the memory of the homelab. All other tests use the minimum of the construct. */
async function renderedLimits(tally: Tally, table: FaultTable): Promise<void> {
  const asRendered = () => undefined;
  await inFreshNode(tally, asRendered, async (node, rendered, again) => {
    const cassandra = new Ring(node, rendered, again, tally, table);
    await cassandra.whole(15);
    await schema(tally, node, rendered);
    cassandra.writer = new CassandraWriter(node, rendered);
    await killed(cassandra, [1]);
    for (const { name, containers } of cassandra.pods)
      for (const { peak, limit } of containers) {
        const [used, most] = [peak, limit].map((count) => Math.round(count / 1024 ** 2)) as [number, number];
        console.log(`  ${name}: at most ${used} of ${most} MiB`);
        tally.check(`${name} keeps a tenth of its limit free`, used < 0.9 * most, `${used} of ${most} MiB`);
      }
  });
}

async function allUp(tally: Tally, pods: readonly Pod[], count: number): Promise<void> {
  const { output } = await pods[0]!.container('cassandra').exec(['nodetool', 'status']);
  const lines = output.match(/^[UD][NLJM] /gm) ?? [];
  tally.check(
    `${count} nodes, all up and normal`,
    lines.length === count && lines.every((line) => line === 'UN '),
    output,
  );
}

async function schema(tally: Tally, node: TestNode, rendered: Rendered): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'cassandra', String(Date.now()));
  tally.check('the schema job succeeds', code === 0, pod.log('job'));
}

async function client(node: TestNode, rendered: Rendered, service: string): Promise<Pod> {
  const pod = rendered.runClient(node, service, images.cassandra, '-client');
  await ready(pod);
  return pod;
}

function inserts(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `INSERT INTO t (k) VALUES (${from + index});`).join(' ');
}

/** Pods that are not there are waited for ten minutes, which a test has not. */
function impatient(node: TestNode): void {
  const maps = node.cluster.configMaps;
  const scripts = maps.get('cassandra/cassandra-scripts')!;
  maps.set('cassandra/cassandra-scripts', {
    ...scripts,
    'node.json': String(scripts['node.json']).replace(/"absentSeconds": \d+/, '"absentSeconds": 20'),
  });
}
