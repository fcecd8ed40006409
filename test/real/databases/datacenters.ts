import { App, Chart, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { CassandraStatefulSet, DataStorage, images, MicroserviceDeployment } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { admin, cql, logs, ready } from './clients';
import { inFreshNode } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

/** Adds a second datacenter to a ring. Runs with --full. */
export const DATACENTERS: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  'a second datacenter of Cassandra': second,
};

const MINUTES = 60;
const ROWS = 500;

/** A ring of one node, and a client of it. With `both` a datacenter more, which a client of its own reads. */
function ring(both: boolean): App {
  const app = new App();
  const chart = new Chart(app, 'cassandra', { namespace: 'cassandra' });
  const services = new Chart(app, 'services', { namespace: 'services' });
  const common = {
    clusterName: 'collab',
    storage: DataStorage.storageClass(Size.gibibytes(4), 'disk'),
    resources: { memory: Size.mebibytes(2560), cpu: Cpu.millis(500) },
  };
  const first = new CassandraStatefulSet(chart, 'cassandra', { ...common, racks: ['r1'] });
  const service = (name: string) => new MicroserviceDeployment(services, name, { image: 'registry.test/app:1' });
  service('chat').connectTo(first, { keyspace: 'chat' });
  if (!both) return app;
  const other = new CassandraStatefulSet(chart, 'reports', {
    ...common,
    datacenter: 'dc2',
    racks: ['s1'],
    joins: first,
  });
  service('report').connectTo(other, { keyspace: 'chat', access: 'read' });
  return app;
}

async function up(node: TestNode, rendered: Rendered, name: string): Promise<Pod> {
  const set = rendered.of('StatefulSet', 'cassandra').find(({ metadata }) => metadata.name === name);
  const [pod] = rendered.runSet(node, set) as [Pod];
  await until(
    `${name} is ready`,
    8 * MINUTES,
    async () => pod.ready,
    () => logs([pod]),
  );
  return pod;
}

async function second(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(false), async (node, rendered, again) => {
    const one = await up(node, rendered, 'cassandra-r1');
    const made = await rendered.runJob(node, 'cassandra', 'first');
    tally.check('the schema job succeeds in one datacenter', made.code === 0, made.pod.log('job'));
    const chat = rendered.runClient(node, 'chat', images.cassandra);
    await ready(chat);
    const rows = Array.from({ length: ROWS }, (_, key) => `INSERT INTO t (k, v) VALUES (${key}, 'v${key}');`);
    const filled = await cql(chat, `CREATE TABLE t (k int PRIMARY KEY, v text); ${rows.join(' ')}`);
    tally.check(`a client wrote ${ROWS} rows`, filled.code === 0, filled.output);

    const both = await again(ring(true));
    one.refresh();
    const two = await up(node, both, 'reports-s1');
    const status = await two.container('cassandra').exec(['nodetool', 'status']);
    const parts = status.output.split(/^Datacenter: /m).slice(1);
    tally.check(
      'the node joined as the second datacenter of the same ring',
      parts.map((part) => part.split('\n')[0]).join() === 'dc1,dc2' && parts.every((part) => /^UN /m.test(part)),
      status.output,
    );
    const job = await both.runJob(node, 'cassandra', 'second');
    tally.check('the schema job succeeds in two', job.code === 0, job.pod.log('job'));
    const copies = await admin(
      node,
      one,
      "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'chat';",
    );
    tally.check('the keyspace has copies in both', /'dc1': '1'.*'dc2': '1'/.test(copies.output), copies.output);
    const report = both.runClient(node, 'report', images.cassandra);
    await ready(report);
    // From here on, only its own datacenter can answer.
    await one.stop(0);
    const read = await cql(report, 'CONSISTENCY LOCAL_ONE; SELECT count(*) FROM t;');
    tally.check(
      'its client logs in there and reads every row while the first datacenter is down',
      read.code === 0 && new RegExp(`^\\s*${ROWS}$`, 'm').test(read.output),
      read.output,
    );
    const write = await cql(report, "INSERT INTO t (k, v) VALUES (-1, 'x');");
    tally.check(
      'its client may not write',
      write.code !== 0 && /no MODIFY permission/.test(write.output),
      write.output,
    );
  });
}
