import type { Tally } from '../tally';
import { logs } from './clients';
import { fill } from './faults/cassandra-ring';
import { inFreshNode } from './fresh-node';
import { ring } from './growth';
import { loginsAtOne, measured, opsState, opsTells, schedule, started, up } from './ops-ring';
import type { Pod } from '../node/pod';

/** Repairs as much data as a small homelab has, and measures the memory of ops. Runs with --full. */
export const LARGE_REPAIR: Readonly<Record<string, (tally: Tally) => Promise<void>>> = { 'large repair': largeRepair };

const MINUTES = 60;
/** In each of two turns; every node of a ring of three holds a copy. */
const MEBIBYTES = 160;

/** A node misses half of the data. Every node repairs its ranges; ops looks at its node meanwhile, with a second nodetool. */
async function largeRepair(tally: Tally): Promise<void> {
  await inFreshNode(tally, loginsAtOne(ring(['r1', 'r2', 'r3'], 1)), async (node, rendered) => {
    const { pods, chat } = await started(tally, node, rendered);
    const [one, two, three] = pods as [Pod, Pod, Pod];
    await fill(chat, MEBIBYTES);
    for (const pod of [one, two]) await pod.container('cassandra').exec(['nodetool', 'disablehandoff']);
    await three.stop();
    await fill(chat, MEBIBYTES);
    const back = rendered.runMember(node, rendered.of('StatefulSet', 'cassandra')[2], 0);
    await up('the node is back', [back]);
    const before = await mebibytes(back);
    tally.check('a node misses half of the data', near(before, MEBIBYTES), `${before} MiB`);

    const whole = [one, two, back];
    const begin = Math.floor(Date.now() / 1000);
    schedule(node, whole, { repairSeconds: 30, lookSeconds: 10, retrySeconds: 30 });
    const repaired = ({ repairs }: { repairs?: Record<string, { last?: number }> }) =>
      (repairs?.chat?.last ?? 0) > begin;
    await opsTells('each node repaired the keyspace', 15 * MINUTES, whole, repaired);
    const states = await Promise.all(whole.map(opsState));
    const seconds = states.map(({ repairs }) => repairs.chat.ended - repairs.chat.last).join(', ');
    const held = await Promise.all(whole.map(mebibytes));
    console.log(`  repairs of ${seconds} s; MiB on the nodes: ${held.join(', ')}, before ${before} on the last`);
    tally.check(
      'after a repair every node has all data',
      held.every((each) => near(each, 2 * MEBIBYTES)),
      `${held.join(', ')} MiB\n${logs(whole)}`,
    );
    tally.check(
      'no repair failed',
      states.every(({ repairs }) => repairs.chat.failures === 0),
      logs(whole),
    );
    tally.check(
      'no ops was restarted',
      whole.every((pod) => pod.container('ops').restarts === 0),
      logs(whole),
    );
    const script = `import urllib.request; print(urllib.request.urlopen('http://${back.address}:7011/metrics').read().decode())`;
    const { output } = await one.container('cassandra').exec(['python3', '-c', script]);
    const last = /^collab_cassandra_repair_last_success_timestamp_seconds\{keyspace="chat"\} (\d+)/m.exec(output);
    tally.check('the metrics show the last successful repair', Number(last?.[1]) > begin, output);
    for (const pod of whole) measured(tally, pod);
  });
}

/** What a node holds of the table, in files of their own: a stream may leave rows twice until they are compacted. */
async function mebibytes(pod: Pod): Promise<number> {
  const cassandra = pod.container('cassandra');
  for (const command of ['flush', 'compact'])
    await cassandra.exec(['nodetool', command, 'chat', 'filled'], 5 * MINUTES);
  const { output } = await cassandra.exec(['nodetool', 'tablestats', 'chat.filled']);
  return Math.round(Number(/Space used \(live\): (\d+)/.exec(output)?.[1]) / 2 ** 20);
}

/** Names and marks beside the content take less than a tenth. */
function near(found: number, wanted: number): boolean {
  return found > 0.98 * wanted && found < 1.1 * wanted;
}
