import { Duration } from 'cdk8s';
import { images } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { logs, mongo, ready } from './clients';
import { inFreshNode } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';
import { sized, started } from './shrinking';

type Json = any;

/** Hidden and delayed members. Runs with --full. */
export const HIDDEN_MEMBERS: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  'mongodb: hidden and delayed members': delayed,
};

const MINUTES = 60;
const DELAY = 60;

/** Three that vote and are seen, and one that follows a minute later. */
const withDelayed = (ordinal: number) => (homelab: Json) => {
  sized(4, 4)(homelab);
  homelab.services.identity.connects.find(({ mongodb }: Json) => mongodb).access = ['readWrite', 'dbAdmin'];
  homelab.databases.mongodb.memberOptions = { [ordinal]: { delay: Duration.seconds(DELAY) } };
};

async function delayed(tally: Tally): Promise<void> {
  await inFreshNode(tally, withDelayed(3), async (node, rendered, again) => {
    const pods = await started(node, rendered, 1);
    await become(tally, node, pods, 3, 'a new set');
    const later = await again(withDelayed(2));
    for (const pod of pods) pod.refresh();
    await become(tally, node, pods, 2, 'another member becomes the delayed one');
    await followsLater(tally, node, pods, 2);
    notNamed(tally, later, 2);
    await administers(tally, node, later);
    await again(withDelayed(3));
    for (const pod of pods) pod.refresh();
    await become(tally, node, pods, 3, 'it becomes a plain one again');
    await wrote(node, pods, 'again');
    const seen = await seconds(node, pods[2]!, 'again');
    tally.check('which has a document within seconds', seen < 10, `${seen} s`);
    tally.check(
      'no container restarted, and all are ready',
      pods.every(({ restarts, ready }) => restarts === 0 && ready),
      logs(pods),
    );
  });
}

/** Until one member, and no other, is hidden, delayed and without a vote. */
async function become(tally: Tally, node: TestNode, pods: readonly Pod[], ordinal: number, what: string) {
  const plain = (index: number) => `1 ${index === 0 ? 2 : 1} false 0`;
  const wanted = pods.map((_, index) => (index === ordinal ? `0 0 true ${DELAY}` : plain(index))).join(', ');
  const script = `print(db.adminCommand({ replSetGetConfig: 1 }).config.members
    .map((each) => [each.votes, each.priority, each.hidden, Number(each.secondaryDelaySecs)].join(' ')).join(', '))`;
  let found = '';
  await until(
    what,
    3 * MINUTES,
    async () => (found = (await at(node, pods[0]!, script)).output.trim()) === wanted,
    () => `${found}\n${logs(pods)}`,
  );
  tally.check(`${what}: votes, priority, hidden and delay are as wanted`, found === wanted, found);
}

async function followsLater(tally: Tally, node: TestNode, pods: readonly Pod[], ordinal: number): Promise<void> {
  await wrote(node, pods, 'mistake');
  const behind = seconds(node, pods[ordinal]!, 'mistake');
  for (const pod of pods.filter((_, index) => index !== ordinal && index !== 0)) {
    const seen = await seconds(node, pod, 'mistake');
    tally.check(`${pod.name} has a document within seconds`, seen < 20, `${seen} s`);
  }
  const seen = await behind;
  console.log(`  the delayed member had the document after ${seen.toFixed(1)} s`);
  tally.check('the delayed member has it a minute later', seen >= DELAY - 2 && seen < DELAY + 30, `${seen} s`);
  const hello = await at(node, pods[0]!, 'const { hosts, passives = [] } = db.hello(); print(hosts.concat(passives))');
  const named = hello.output.includes(pods[ordinal]!.name);
  tally.check('the set does not tell clients of it', hello.code === 0 && !named, hello.output);
}

function notNamed(tally: Tally, rendered: Rendered, ordinal: number): void {
  const deployment = rendered.of('Deployment', 'services').find(({ metadata }) => metadata.name === 'identity');
  const env: Json[] = deployment.spec.template.spec.containers[0].env;
  const uri: string = env.find(({ name }) => name === 'MONGODB_URI').value;
  const named = uri.match(/mongodb-\d(?=\.)/g)!.join();
  tally.check(
    'the URI of a client names the others',
    named === 'mongodb-0,mongodb-1,mongodb-2,mongodb-3'.replace(`mongodb-${ordinal},`, ''),
    uri,
  );
}

/** A client with a further role on its own database, which tells of the set by the URI that has three members. */
async function administers(tally: Tally, node: TestNode, rendered: Rendered): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'mongodb', 'hidden');
  tally.check('the users job succeeds', code === 0, pod.log('job'));
  const client = rendered.runClient(node, 'identity', images.mongodb, '-admin');
  await ready(client);
  const own = await mongo(client, 'db.c.insertOne({}); print(db.setProfilingLevel(0).ok, db.dropDatabase().ok)');
  tally.check('a client with dbAdmin administers its database', /1 1/.test(own.output), own.output);
  const other = await mongo(client, "db.getSiblingDB('documents').setProfilingLevel(0)");
  tally.check(
    'it may not administer another database',
    other.code !== 0 && /not authorized/.test(other.output),
    other.output,
  );
  await client.stop(0);
}

async function wrote(node: TestNode, pods: readonly Pod[], name: string): Promise<void> {
  const write = `db.c.insertOne({ _id: '${name}' }, { writeConcern: { w: 'majority', wtimeout: 20000 } })`;
  const { code, output } = await at(node, pods[0]!, write);
  if (code !== 0) throw new Error(output);
}

/** Until a member has a document, counted from now. */
async function seconds(node: TestNode, pod: Pod, name: string): Promise<number> {
  const since = Date.now();
  await until(
    `${pod.name} has ${name}`,
    2 * MINUTES,
    async () =>
      (await at(node, pod, `print('found', db.c.countDocuments({ _id: '${name}' }))`)).output.includes('found 1'),
    () => logs([pod]),
  );
  return (Date.now() - since) / 1000;
}

/** At one member itself, as root. */
function at(node: TestNode, pod: Pod, script: string) {
  const { password } = node.cluster.secrets.get('mongodb/mongodb-root')!;
  const uri = `mongodb://root:${encodeURIComponent(password!)}@127.0.0.1:27017/seen?directConnection=true&authSource=admin&readPreference=secondaryPreferred`;
  return pod.container('mongod').exec(['mongosh', '--norc', '--quiet', uri, '--eval', script]);
}
