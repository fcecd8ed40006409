import { resolve } from 'node:path';
import { images } from '../../../constructs';
import own from '../../../homelab';
import homelab from '../../fixtures/homelab';
import { controlPlaneBinaries } from '../cluster/binaries';
import { until } from '../cluster/processes';
import { onLoopback } from '../loopback';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { CASSANDRA_BACKUPS } from './backups/cassandra';
import { givenBackByOne, MONGODB_BACKUPS } from './backups/mongodb';
import { rclone } from './backups/stores';
import { databasePrograms, MONGOD_VERSION } from './binaries';
import { admin, asRoot, cql, logs, mongo, reached, ready } from './clients';
import { DATACENTERS } from './datacenters';
import { CASSANDRA_FAULTS, cassandraFaults, killed } from './faults/cassandra';
import { CassandraWriter, Ring } from './faults/cassandra-ring';
import { LARGE_REPAIR } from './large-repair';
import { HIDDEN_MEMBERS } from './hidden-members';
import { onCluster } from './commands/on-cluster';
import { Owner } from './commands/owner';
import { MONGODB_OLD_COPY } from './faults/mongodb-old-copy';
import { cassandraCommands } from './commands/cassandra';
import { mongodbCommands, mongodbGivenBack, mongodbOnCluster } from './commands/mongodb';
import { MONGODB_STEPS } from './faults/mongodb-steps';
import { killed as killedPrimary, MONGODB_FAULTS, mongodbFaults, wrongKeyfile } from './faults/mongodb';
import { MongoSet, MongoWriter } from './faults/mongodb-set';
import { drawn, soakMinutes } from './faults/soak';
import { FaultTable } from './faults/table';
import { inFreshNode, small, type Test } from './fresh-node';
import { GROWTH } from './growth';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import { nodeParts } from '../node/prober';
import type { Rendered } from '../node/rendering';
import { instrument } from './instrument';
import { OPS } from './ops';
import { opsSees } from './ops-ring';
import { ROTATION } from './rotation';
import { SETTINGS } from './settings';
import { UPGRADES } from './upgrades';
import { SHRINKING } from './shrinking';

type Json = any;

/**
 * Runs both databases from their rendered manifests as processes, with the users, limits, volumes, probes and names of their pods.
 * Then tests their jobs, clients, and clients that move or are removed. With --kubeconfig FILE tests the databases of homelab.ts
 * in your own cluster: deletes pods one after the other during writes, makes a backup and tests it.
 */
const kubeconfig = process.argv.includes('--kubeconfig')
  ? process.argv[process.argv.indexOf('--kubeconfig') + 1]
  : undefined;
if (kubeconfig === undefined && process.getuid?.() !== 0)
  throw new Error(
    'the suite of the databases must run as root on Linux, because it mounts volumes and sets memory limits; sudo npm run test:real -- databases',
  );
const needsStores = process.argv.some((arg) => arg === '--full' || /^--only=.*backup-stores/.test(arg));
if (kubeconfig === undefined)
  onLoopback(
    () => [databasePrograms(), nodeParts(), controlPlaneBinaries(homelab.versions.kubernetes), needsStores && rclone()],
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
  );

const full = process.argv.includes('--full');
const tally = new Tally();
const table = new FaultTable(tally);
const laps = new Laps();
const lapped = (what: string) => laps.lap(what);

/** A password that an owner might type: every character that means something in a URI, in CQL or in an ini file. */
const BY_HAND = `p@ss/w'ord%20:"$(x)#;`;

/** Moves one client of each database, and removes another. */
function later(homelab: Json): void {
  small(homelab);
  homelab.services.chat.connects[0].keyspace = 'token';
  homelab.services.workspaces.connects[0].database = 'rooms';
  const gone = ['presence', 'notifications'];
  const stay = Object.entries(homelab.services).filter(([name]) => !gone.includes(name));
  homelab.services = Object.fromEntries(stay);
  homelab.services.gateway.connects = homelab.services.gateway.connects.filter(
    ({ service }: Json) => !gone.includes(service),
  );
}

/** From nothing to ready, then jobs and clients. */
const sample: Test = async (node, rendered, again) => {
  await instrument(tally, node, rendered);
  lapped('the instrument detects each injected fault');
  await Promise.all([cassandra(node, rendered, again), mongodb(node, rendered, again)]);
  const second = await again(later);
  await Promise.all([movedInCassandra(node, second), movedInMongo(node, second)]);
};

/** The sample ends within 8 minutes, and this part takes 150 s. */
const LATEST_SECONDS = 330;

async function storedAndGivenBack(tally: Tally): Promise<void> {
  const part = 'MongoDB: one member is stored and given back';
  if (laps.seconds > LATEST_SECONDS) {
    console.log(`left out: ${part}, because ${Math.round(laps.seconds)} s are over (--only=mongodb-backup-of-one)`);
    return;
  }
  await givenBackByOne(tally);
  lapped(part);
}

async function main(): Promise<void> {
  if (kubeconfig !== undefined) return inYourCluster(kubeconfig);
  const byHand = ['cassandra-chat', 'cassandra-admin', 'mongodb-root', 'mongodb-identity'];
  const parts: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
    ...GROWTH,
    ...OPS,
    ...LARGE_REPAIR,
    ...SHRINKING,
    ...SETTINGS,
    ...UPGRADES,
    ...DATACENTERS,
    ...MONGODB_BACKUPS,
    ...ROTATION,
    ...MONGODB_STEPS,
    ...MONGODB_OLD_COPY,
    ...HIDDEN_MEMBERS,
    ...CASSANDRA_BACKUPS,
    'mongodb-commands': mongodbCommands,
    'mongodb-given-back': mongodbGivenBack,
    'mongodb-on-cluster': mongodbOnCluster,
    'cassandra-commands': cassandraCommands,
  };
  const known = [...Object.keys(parts), ...Object.keys(CASSANDRA_FAULTS), ...Object.keys(MONGODB_FAULTS)];
  const only = process.argv
    .find((arg) => arg.startsWith('--only='))
    ?.slice('--only='.length)
    .split(',');
  const unknown = only?.filter((name) => !known.includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`--only must name parts of --full, got ${unknown.join(', ')} (allowed: ${known.join(', ')})`);
  const chosen = only ?? (full ? known : []);
  const soak = soakMinutes(process.argv);
  if (only === undefined && soak === undefined) {
    await inFreshNode(tally, small, sample, Object.fromEntries(byHand.map((name) => [name, BY_HAND])));
    if (!full) await storedAndGivenBack(tally);
  }
  for (const [name, test] of Object.entries(parts)) {
    if (!chosen.includes(name)) continue;
    await test(tally, table);
    lapped(name);
  }
  const databases = [
    [Object.keys(CASSANDRA_FAULTS), cassandraFaults],
    [Object.keys(MONGODB_FAULTS), mongodbFaults],
  ] as const;
  for (const [all, run] of databases) {
    const names = chosen.filter((name) => all.includes(name));
    if (soak !== undefined) await run(tally, table, drawn(all, soak / databases.length), lapped);
    else if (names.length > 0) await run(tally, table, names, lapped);
  }
  lapped(`Cassandra ${databasePrograms().cassandraVersion}, mongod ${MONGOD_VERSION}`);
  console.log(table.lines().join('\n'));
  const figures = [...laps.lines, tally.line()];
  if (full) writeProofs('databases', figures, '--full', table.lines());
  if (soak !== undefined) writeProofs('databases --soak', figures, String(soak), table.lines());
  tally.close();
}

async function inYourCluster(file: string): Promise<void> {
  const owner = new Owner(resolve(file), []);
  try {
    await onCluster(own, owner, tally, table);
  } finally {
    owner.remove();
  }
  console.log(table.lines().join('\n'));
  tally.close();
}

async function cassandra(node: TestNode, rendered: Rendered, again: Parameters<Test>[2]): Promise<void> {
  // The name server comes late: nobody may take the others for pods that do not exist.
  node.names.mode = 'silent';
  // With the kubelet's options each name takes 40 s then, which the sample has not.
  node.resolver = 'ndots:5 timeout:2 attempts:1';
  const ring = new Ring(node, rendered, again, tally, table);
  const { pods } = ring;
  const [one] = pods as [Pod];
  await until('the first node says that nobody answers', 40, async () =>
    /may: .*\(silent\)/.test(one.log('cassandra')),
  );
  tally.check('a silent name server starts no ring', !one.log('cassandra').includes('start:'), one.log('cassandra'));
  node.names.mode = 'answers';
  await until(
    'the ring of three',
    600,
    async () => pods.every(({ ready }) => ready),
    () => logs(pods),
  );
  lapped('Cassandra: three nodes are ready');
  tally.check(
    'no node was started twice',
    pods.every(({ restarts }) => restarts === 0),
    logs(pods),
  );
  const status = await one.container('cassandra').exec(['nodetool', 'status']);
  tally.check('all three are up and normal', (status.output.match(/^UN /gm) ?? []).length === 3, status.output);
  await opsSees(tally, pods[2]!, 3);
  for (const suffix of ['first', 'again']) {
    const { pod, code } = await rendered.runJob(node, 'cassandra', suffix);
    tally.check(`the schema job succeeds (${suffix})`, code === 0, pod.log('job'));
    tally.check('the log of the job shows no password', !pod.log('job').includes(BY_HAND), pod.log('job'));
    lapped(`Cassandra: the schema job ran (${suffix})`);
  }
  ring.writer = new CassandraWriter(node, rendered);
  const chat = rendered.runClient(node, 'chat', images.cassandra, '-cql');
  const presence = rendered.runClient(node, 'presence', images.cassandra, '-cql');
  await ready(chat, presence);
  const ports = await Promise.all([7199, 9042].map((port) => reached(chat.container('client'), one.address, port)));
  tally.check('another pod cannot reach JMX, but can reach CQL', ports.join() === 'refused,open', ports.join());
  const may = await cql(
    chat,
    "CREATE TABLE t (k text PRIMARY KEY); ALTER TABLE t ADD v text; CREATE INDEX ON t (v); INSERT INTO t (k) VALUES ('a'); SELECT * FROM t;",
  );
  tally.check('a client with a password set by hand works in its keyspace', may.code === 0, may.output);
  const reserved = await cql(presence, "CREATE TABLE t (k text PRIMARY KEY); INSERT INTO t (k) VALUES ('a');");
  tally.check('a keyspace with the name of a CQL keyword (order) works', reserved.code === 0, reserved.output);
  for (const [what, statement] of [
    ['read another keyspace', 'SELECT * FROM "order".t;'],
    ['lower its copies', "ALTER KEYSPACE chat WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1};"],
    ['drop its keyspace', 'DROP KEYSPACE chat;'],
    ['make a keyspace', "CREATE KEYSPACE mine WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1};"],
  ] as const) {
    const { code, output } = await cql(chat, statement);
    tally.check(`a client may not ${what}`, code !== 0 && /Unauthorized|has no .* permission/.test(output), output);
  }
  const byHand = await admin(
    node,
    one,
    "CREATE ROLE owner WITH LOGIN = true AND PASSWORD = 'x'; GRANT SELECT ON KEYSPACE chat TO owner;",
  );
  tally.check('admin logs in', byHand.code === 0, byHand.output);
  const old = await cql(chat, 'SELECT * FROM system.local;', {
    CASSANDRA_USERNAME: 'cassandra',
    CASSANDRA_PASSWORD: 'cassandra',
  });
  tally.check('the default superuser cannot log in', old.code !== 0, old.output);
  lapped('Cassandra: clients have their rights and no others');
  await killed(ring, [1]);
  await ring.fault('drain and SIGTERM of a node', () => drained(pods[2]!));
  await ring.writer.stop();
  lapped('Cassandra: a writer lost nothing by a kill and a drain');
}

/** A drained node has closed its ports but is healthy. Nothing may restart it. */
async function drained(pod: Pod): Promise<void> {
  const container = pod.container('cassandra');
  await container.exec(['nodetool', 'drain'], 120);
  const { livenessProbe } = container.spec;
  tally.check('a drained node serves no client', !(await container.try(container.spec.readinessProbe)));
  tally.check('a drained node passes its liveness probe', await container.try(livenessProbe));
  container.signal('SIGTERM');
  await until(
    'the drained node is back',
    200,
    async () => pod.restarts === 1 && pod.ready,
    () => pod.log('cassandra').slice(-3000),
  );
  tally.check('a node that exited restarts by itself', pod.log('cassandra').includes('joined before: starting'));
}

async function movedInCassandra(node: TestNode, rendered: Rendered): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'cassandra', 'moved');
  tally.check('the schema job succeeds for moved clients', code === 0, pod.log('job'));
  const chat = rendered.runClient(node, 'chat', images.cassandra, '-moved');
  await ready(chat);
  const fresh = await cql(chat, "CREATE TABLE t (k text PRIMARY KEY); INSERT INTO t (k) VALUES ('a');");
  tally.check('a client that moved works in its new keyspace (token)', fresh.code === 0, fresh.output);
  const old = await cql(chat, 'SELECT * FROM chat.t;');
  tally.check(
    'a client that moved has no access to its old place',
    old.code !== 0 && /has no .* permission/.test(old.output),
    old.output,
  );
  const secret = node.cluster.secrets.get('services/cassandra-presence')!;
  const gone = await cql(chat, 'SELECT * FROM system.local;', {
    CASSANDRA_USERNAME: secret.username!,
    CASSANDRA_PASSWORD: secret.password!,
  });
  tally.check('a removed client cannot log in', gone.code !== 0, gone.output);
  const own = await cql(chat, 'SELECT * FROM chat.t;', { CASSANDRA_USERNAME: 'owner', CASSANDRA_PASSWORD: 'x' });
  tally.check('a role that somebody else created stays, with its permissions', own.code === 0, own.output);
  for (const each of node.pods.values()) measured(each);
  lapped('Cassandra: one client moved, one is gone');
}

async function mongodb(node: TestNode, rendered: Rendered, again: Parameters<Test>[2]): Promise<void> {
  const set = new MongoSet(node, rendered, again, tally, table);
  const { pods } = set;
  await set.whole(7);
  lapped('MongoDB: three members are ready');
  tally.check(
    'no container was started twice',
    pods.every(({ restarts }) => restarts === 0),
    logs(pods),
  );
  const byHand = await asRoot(node, pods, "db.createUser({ user: 'owner', pwd: 'x', roles: [] })");
  tally.check('root logs in with a password set by hand', byHand.code === 0, byHand.output);
  for (const suffix of ['first', 'again']) {
    const { pod, code } = await rendered.runJob(node, 'mongodb', suffix);
    tally.check(`the users job succeeds (${suffix})`, code === 0, pod.log('job'));
  }
  const identity = rendered.runClient(node, 'identity', images.mongodb, '-mongo');
  await ready(identity);
  const may = await mongo(
    identity,
    "db.createCollection('c'); db.c.insertOne({ a: 1 }, { writeConcern: { w: 'majority' } }); db.runCommand({ collMod: 'c', validator: { a: 1 } }).ok",
  );
  tally.check(
    'a client with a password set by hand works in its database, and changes a validator',
    may.code === 0,
    may.output,
  );
  for (const [what, script] of [
    ['read another database', "db.getSiblingDB('documents').c.findOne()"],
    ['change a collection of another', "db.getSiblingDB('documents').runCommand({ collMod: 'c', validator: {} })"],
    ['drop its database', 'db.runCommand({ dropDatabase: 1 })'],
    ['make users', "db.createUser({ user: 'u', pwd: 'u', roles: [] })"],
  ] as const) {
    const { code, output } = await mongo(
      identity,
      `const answer = ${script}; if (answer && answer.ok === 0) throw new Error(answer.errmsg)`,
    );
    tally.check(`a client may not ${what}`, code !== 0 && /not authorized/.test(output), output);
  }
  lapped('MongoDB: clients have their rights and no others');
  set.writer = new MongoWriter(node, rendered, 'documents');
  await wrongKeyfile(set);
  await killedPrimary(set);
  await set.writer.stop();
  lapped('MongoDB: a writer lost nothing');
}

async function movedInMongo(node: TestNode, rendered: Rendered): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'mongodb', 'moved');
  tally.check('the users job succeeds for moved clients', code === 0, pod.log('job'));
  const workspaces = rendered.runClient(node, 'workspaces', images.mongodb, '-moved');
  await ready(workspaces);
  const fresh = await mongo(workspaces, 'db.c.insertOne({ a: 1 })');
  tally.check('a client that moved works in its new database', fresh.code === 0, fresh.output);
  const old = await mongo(workspaces, "db.getSiblingDB('workspaces').c.insertOne({ a: 1 })");
  tally.check(
    'a client that moved has no access to its old place',
    old.code !== 0 && /not authorized/.test(old.output),
    old.output,
  );
  const secret = node.cluster.secrets.get('services/mongodb-notifications')!;
  const login = (user: string, password: string) =>
    mongo(workspaces, `db.getSiblingDB('admin').auth('${user}', '${password}')`);
  const gone = await login(secret.username!, secret.password!);
  tally.check('a removed client cannot log in', gone.code !== 0, gone.output);
  const own = await login('owner', 'x');
  tally.check('a user that somebody else created stays', own.code === 0, own.output);
  lapped('MongoDB: one client moved, one is gone');
}

/** Peak memory of the containers, and whether their scratch volumes stayed within their limits. */
function measured(pod: Pod): void {
  if (!/^(cassandra|mongodb)-(r\d-)?\d$/.test(pod.name)) return;
  for (const container of pod.containers) {
    const mib = (count: number) => Math.round(count / 1024 ** 2);
    console.log(`  ${pod.name} ${container.name}: at most ${mib(container.peak)} of ${mib(container.limit)} MiB`);
  }
}

void main();
