import * as fs from 'node:fs';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import type { Pod } from '../../node/pod';
import { inFreshNode, small } from '../fresh-node';
import { pause } from '../../node/processes';
import { AROUND_CASSANDRA, schema } from './cassandra-around';
import { CassandraWriter, Ring } from './cassandra-ring';
import type { FaultTable } from './table';
import { fillDisk, freeze, partition, powerCut, replace, thaw, withClock } from './tools';

type Fault = (ring: Ring) => Promise<void>;

/** Faults of a ring of three, one after the other, while one client writes. */
export const CASSANDRA_FAULTS: Readonly<Record<string, Fault>> = {
  'cassandra: kill -9': killed,
  'cassandra: SIGTERM': terminated,
  'cassandra: rolling restart': rolled,
  'cassandra: partition': parted,
  'cassandra: SIGSTOP': stopped,
  'cassandra: disk full': diskFull,
  ...AROUND_CASSANDRA,
  'cassandra: volume lost': volumeLost,
  'cassandra: volume and address lost': volumeAndAddressLost,
  'cassandra: kill -9 while joining': killedWhileJoining,
  'cassandra: two of three without data': twoWithoutData,
  'cassandra: all at once': allAtOnce,
  'cassandra: power cut': power,
  'cassandra: clock': clock,
  'cassandra: control': control,
};

/** Runs some of them on one ring. After a failed fault, the next one runs if the ring is complete again. */
export async function cassandraFaults(
  tally: Tally,
  table: FaultTable,
  names: Iterable<string>,
  lapped: (what: string) => void,
): Promise<void> {
  await inFreshNode(tally, small, async (node, rendered, again) => {
    const ring = new Ring(node, rendered, again, tally, table);
    await ring.whole(15);
    await schema(ring, 'first');
    ring.writer = new CassandraWriter(node, rendered);
    for (const name of names) {
      try {
        await CASSANDRA_FAULTS[name]!(ring);
        lapped(name);
      } catch (error) {
        tally.check(`${name}: runs to its end`, false, `${(error as Error).stack}\n${logs(ring.pods)}`);
        await ring.whole();
      }
    }
  });
}

/** One node after the other; the kubelet starts each again. */
export async function killed(ring: Ring, nodes: readonly number[] = [1, 2]): Promise<void> {
  for (const pod of nodes.map((index) => ring.pods[index]!))
    await ring.fault('kill -9 of a node', async () => {
      const before = pod.restarts;
      pod.container('cassandra').signal('SIGKILL');
      await until('the kubelet starts it again', 30, async () => pod.restarts > before);
    });
}

async function terminated(ring: Ring): Promise<void> {
  await ring.fault('SIGTERM of a node, which comes back with another address', async () => {
    await replace(ring.members[0]!);
  });
}

/** Like Argo CD: updates a rack when the previous one is complete. */
async function rolled(ring: Ring): Promise<void> {
  await ring.fault('rolling restart, rack after rack', async () => {
    for (const member of ring.members) {
      await replace(member);
      await until(
        'the rack is ready',
        300,
        async () => member.pod.ready,
        () => logs(ring.pods),
      );
    }
  });
}

/** Partitions one of three nodes, while clients still reach all three. */
async function parted(ring: Ring): Promise<void> {
  const [one, ...others] = ring.pods;
  await ring.fault('partition: one node reaches no other, 60 s', async () => {
    const heal = partition([one!], others);
    await pause(60);
    heal();
  });
}

async function stopped(ring: Ring): Promise<void> {
  await ring.fault('SIGSTOP of a node, 90 s', async () => {
    const [, pod] = ring.pods;
    freeze(pod!);
    await pause(90);
    thaw(pod!);
  });
}

/** A node that cannot write exits, then waits for free space in a running container, where a command can free it. */
async function diskFull(ring: Ring): Promise<void> {
  const pod = ring.pods[2]!;
  const container = pod.container('cassandra');
  await ring.fault('disk full, and room again', async () => {
    const before = container.restarts;
    const makeRoom = fillDisk(pod);
    await container.exec(['nodetool', 'flush'], 60);
    await until(
      'the node ended, and says that it needs room',
      120,
      async () => /wait: \d+ MiB of the disk are free/.test(pod.log('cassandra')),
      () => logs([pod]),
    );
    await pause(20);
    ring.tally.check('it is started again once, and waits there', container.restarts === before + 1);
    makeRoom();
  });
}

/** Cassandra drops messages that look older than their timeout: a node whose clock is off is alone, and its ops says why. */
async function clock(ring: Ring): Promise<void> {
  const member = ring.members[2]!;
  const [one] = ring.pods as [Pod];
  for (const [seconds, others] of [
    [-600, /clock: these clocks .*\(\+600 s\)/],
    [600, /clock: these clocks .*\(-600 s\)/],
  ] as const)
    await ring.fault(`the clock of a node is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`, async () => {
      const off = { ...member, set: withClock(member.set, seconds, { java: true }) };
      member.pod = await replace(off);
      await until(
        'ops says by how much',
        120,
        async () => others.test(member.pod.log('ops')) && /clock: these clocks/.test(one.log('ops')),
        () => logs(ring.pods),
      );
      await until(
        'it serves clients',
        180,
        async () => member.pod.ready,
        () => logs(ring.pods),
      );
      await pause(30);
      const dropped = ring.pods.some((pod) => /0 internal and \d+ cross node/.test(pod.log('cassandra')));
      ring.tally.check('Cassandra drops the messages of a clock that is off', dropped, logs(ring.pods));
      const [own, seen] = await Promise.all([member.pod, one].map(nodesUp));
      ring.tally.check('so that it is alone', own === 1 && seen === 2, `it sees ${own} up, another ${seen}`);
      await replace(member, { grace: 0 });
    });
  // What the node wrote of itself with a clock ahead is newer than what it writes now: a second start would have the generation
  // of the first, and the others would not take its new address.
  ring.notBefore = Date.now() + 600_000;
}

async function nodesUp(pod: Pod): Promise<number> {
  const { output } = await pod.container('cassandra').exec(['nodetool', 'status']);
  return (output.match(/^UN /gm) ?? []).length;
}

/** Its container is started again in the same pod. */
async function volumeLost(ring: Ring): Promise<void> {
  const pod = ring.pods[1]!;
  await ring.fault('a node loses its volume', async () => {
    const folder = pod.volume('data');
    pod.container('cassandra').signal('SIGKILL');
    for (const entry of fs.readdirSync(folder)) fs.rmSync(`${folder}/${entry}`, { recursive: true });
    await until('the kubelet starts it again', 60, async () => pod.container('cassandra').pid !== undefined);
  });
  taken(ring, 1);
}

async function volumeAndAddressLost(ring: Ring): Promise<void> {
  await ring.fault('a node loses its volume and its address', async () => {
    await replace(ring.members[0]!, { disk: 'lose', grace: 0 });
  });
  taken(ring, 0);
}

function taken(ring: Ring, index: number): void {
  const log = ring.pods[index]!.log('cassandra');
  ring.tally.check(
    'an empty node takes its own place',
    /taking the place of the dead node/.test(log),
    log.slice(-2000),
  );
}

async function killedWhileJoining(ring: Ring): Promise<void> {
  await ring.fault('kill -9 of a node while it joins', async () => {
    const pod = await replace(ring.members[1]!, { disk: 'lose', grace: 0 });
    await until(
      'it joins',
      200,
      async () => /taking the place/.test(pod.log('cassandra')),
      () => logs(ring.pods),
    );
    const data = `${pod.volume('data')}/data`;
    await until('it holds data', 120, async () => fs.existsSync(data) && fs.readdirSync(data).length > 0);
    await pause(3);
    pod.container('cassandra').signal('SIGKILL');
  });
}

/** The remaining data must not become the valid copy before the owner agrees. */
async function twoWithoutData(ring: Ring): Promise<void> {
  await ring.fault('two of three lose volume and address', async () => {
    const lost = ring.members.slice(1);
    await Promise.all(lost.map((member) => replace(member, { disk: 'lose', grace: 0 })));
    const { pod } = lost[0]!;
    const refusal = /wait: 2 of 3 replicas are empty .* run in this container: (touch \S+)/;
    await until(
      'the first of them refuses, and says what to do',
      180,
      async () => refusal.test(pod.log('cassandra')),
      () => logs(ring.pods),
    );
    await pause(20);
    const isWaiting = lost.every((member) => !/taking the place/.test(member.pod.log('cassandra')));
    ring.tally.check('neither goes on by itself', isWaiting, logs(ring.pods));
    const [, command] = refusal.exec(pod.log('cassandra'))!;
    await pod.container('cassandra').exec(command!.split(' '));
    await ring.whole(10);
  });
}

async function allAtOnce(ring: Ring): Promise<void> {
  await ring.fault('all nodes are killed and start at once', async () => {
    await Promise.all(ring.members.map((member) => replace(member, { grace: 0 })));
  });
}

async function power(ring: Ring): Promise<void> {
  await ring.fault('power cut of all nodes', async () => {
    await powerCut(ring.members);
  });
}

/** Settings that are too weak for a power cut. Runs last, because its losses would count in every later fault. */
async function control(ring: Ring): Promise<void> {
  const maps = ring.node.cluster.configMaps;
  const config = maps.get('cassandra/cassandra-config')!;
  const strong = String(config['cassandra.yaml']);
  const weak = strong.replace(
    'commitlog_sync: group\ncommitlog_sync_group_window: 10ms',
    'commitlog_sync: periodic\ncommitlog_sync_period: 10000ms',
  );
  ring.tally.check('what is rendered syncs the commit log before a write is acknowledged', weak !== strong);
  maps.set('cassandra/cassandra-config', { ...config, 'cassandra.yaml': weak });
  await ring.due();
  await Promise.all(ring.members.map((member) => replace(member)));
  await ring.whole();
  await ring.table.control(ring.writer, 'control: power cut with commitlog_sync: periodic', async () => {
    await powerCut(ring.members);
    await ring.whole();
  });
}
