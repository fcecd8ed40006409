import { images } from '../../../../constructs';
import { until } from '../../cluster/processes';
import { cql, logs, ready } from '../clients';
import { small } from '../fresh-node';
import type { Mode } from '../../node/name-server';
import { pause } from '../../node/processes';
import type { Ring } from './cassandra-ring';
import { crowd } from './tools';

type Json = any;

/** Faults around a node: DNS, passwords, memory, and the job that creates roles. */
export const AROUND_CASSANDRA: Readonly<Record<string, (ring: Ring) => Promise<void>>> = {
  'cassandra: DNS': names,
  'cassandra: memory': memory,
  'cassandra: wrong password': wrongPassword,
  'cassandra: schema job killed': schemaJobKilled,
};

/** A node restarts while DNS does not work. */
async function names(ring: Ring): Promise<void> {
  const { node } = ring;
  for (const [index, mode] of (['silent', 'slow', 'nobody'] satisfies Mode[]).entries()) {
    const pod = ring.pods[index]!;
    await ring.fault(`DNS ${mode} for 40 s while a node starts`, async () => {
      const said = pod.log('cassandra').length;
      node.names.mode = mode;
      pod.container('cassandra').signal('SIGKILL');
      await pause(40);
      node.names.mode = 'answers';
      const log = pod.log('cassandra').slice(said);
      ring.tally.check(`DNS ${mode}: no ring is started, no place is taken`, !/start:|taking the place/.test(log), log);
    });
  }
}

async function memory(ring: Ring): Promise<void> {
  const container = ring.pods[2]!.container('cassandra');
  await ring.fault('a node at its memory limit', async () => {
    await crowd(container);
    ring.tally.check('it was killed by the kernel', container.lastCode === 137, `ended with ${container.lastCode}`);
  });
}

/** The password in the Secret differs from that of the ring. */
async function wrongPassword(ring: Ring): Promise<void> {
  const { node, rendered, tally } = ring;
  const place = 'cassandra/cassandra-admin';
  const good = node.cluster.secrets.get(place)!;
  await ring.fault('wrong password of admin and of a client', async () => {
    node.cluster.secrets.set(place, { ...good, password: 'wrong' });
    const [job] = rendered.of('Job', 'cassandra');
    const manifest = { metadata: { name: 'wrong', namespace: 'cassandra' }, spec: job.spec.template.spec };
    const pod = node.run(manifest);
    const says = /neither admin nor the default superuser can log in .*(credentials|incorrect)/;
    await until(
      'the job says which password is wrong',
      90,
      async () => says.test(pod.log('job')),
      () => pod.log('job'),
    );
    await pod.stop(0);
    node.cluster.secrets.set(place, good);
    const client = rendered.runClient(node, 'presence', images.cassandra, '-wrong');
    await ready(client);
    const { code, output } = await cql(client, 'SELECT * FROM system.local;', {
      CASSANDRA_USERNAME: node.cluster.secrets.get('services/cassandra-presence')!.username!,
      CASSANDRA_PASSWORD: 'wrong',
    });
    tally.check(
      'a client with a wrong password is rejected with that reason',
      code !== 0 && /credentials/.test(output),
      output,
    );
    await client.stop(0);
    await schema(ring, 'right');
  });
}

/** Kills the job several times, then runs it to its end, for a client that moves to another keyspace. */
async function schemaJobKilled(ring: Ring): Promise<void> {
  const { node, again, tally } = ring;
  const rendered = await again((homelab: Json) => {
    small(homelab);
    homelab.services.presence.connects[0].keyspace = 'moved';
  });
  const [job] = rendered.of('Job', 'cassandra');
  for (const seconds of [2, 5, 8])
    await ring.fault('kill -9 of the schema job', async () => {
      const name = `killed-${seconds}`;
      const pod = node.run({ metadata: { name, namespace: 'cassandra' }, spec: job.spec.template.spec });
      await pause(seconds);
      await pod.stop(0);
    });
  const { pod, code } = await rendered.runJob(node, 'cassandra', 'after-kills');
  tally.check('the killed schema job succeeds the next time', code === 0, pod.log('job'));
  const client = rendered.runClient(node, 'presence', images.cassandra, '-after');
  await ready(client);
  const may = await cql(client, "CREATE TABLE t (k text PRIMARY KEY); INSERT INTO t (k) VALUES ('a');");
  tally.check('the client works in its keyspace', may.code === 0, `${may.output}\n${logs(ring.pods)}`);
  await client.stop(0);
}

export async function schema(ring: Ring, suffix: string): Promise<void> {
  const { pod, code } = await ring.rendered.runJob(ring.node, 'cassandra', suffix);
  ring.tally.check('the schema job succeeds', code === 0, pod.log('job'));
}
