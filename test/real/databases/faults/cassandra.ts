import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import { inFreshNode, small } from '../fresh-node';
import { CassandraWriter, Ring } from './cassandra-ring';
import type { FaultTable } from './table';

type Fault = (ring: Ring) => Promise<void>;

/** What a ring of three is put through, one after the other, while one client writes. */
export const CASSANDRA_FAULTS: Readonly<Record<string, Fault>> = {
  'cassandra: kill -9': killed,
};

/** Runs some of them on one ring. A fault that fails is followed by the next if the ring is whole again. */
export async function cassandraFaults(
  tally: Tally,
  table: FaultTable,
  names: readonly string[],
  lapped: (what: string) => void,
): Promise<void> {
  if (names.length === 0) return;
  await inFreshNode(tally, small, async (node, rendered, again) => {
    const ring = new Ring(node, rendered, again, tally, table);
    await ring.whole(15);
    const { pod, code } = await rendered.runJob(node, 'cassandra', 'first');
    tally.check('the schema job succeeds', code === 0, pod.log('job'));
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
