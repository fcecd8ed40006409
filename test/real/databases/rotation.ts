import * as fs from 'node:fs';
import { join } from 'node:path';
import { images } from '../../../constructs';
import { changingKeys, otherNames, type Values } from '../../../scripts/secrets/declared';
import { keyfileStages } from '../../../scripts/secrets/live';
import { makeValues } from '../../../scripts/secrets/made';
import { withPreviousValues } from '../../../scripts/secrets/rotation';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { admin, asRoot, cql, logs, mongo } from './clients';
import { Acknowledgements } from './faults/acknowledgements';
import { MongoSet, MongoWriter } from './faults/mongodb-set';
import type { FaultTable } from './faults/table';
import { replace } from './faults/tools';
import { inFreshNode, small, type Test } from './fresh-node';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';
import { single } from './settings';

/** Rotates logins while a client writes, in the order of scripts/secrets/rotation.ts. Runs with --full. */
export const ROTATION: Readonly<Record<string, (tally: Tally, table: FaultTable) => Promise<void>>> = {
  'rotation of MongoDB': ofMongo,
  'rotation of Cassandra': ofCassandra,
};

const MINUTES = 60;
const read = (file: string) => fs.readFileSync(join(__dirname, 'logins', file), 'utf8');

/** A client that logs in for each write, so that it notices what existing connections do not. */
class Logins {
  readonly pod: Pod;
  private begin = 0;

  constructor(node: TestNode, rendered: Rendered, kind: 'mongodb' | 'cassandra', suffix: string) {
    const [service, image, command] =
      kind === 'mongodb'
        ? (['identity', images.mongodb, ['node', '-e', read('mongodb.js')]] as const)
        : ([
            'chat',
            images.cassandra,
            ['env', 'PYTHONPATH=/opt/cqlsh', 'python3', '-c', read('cassandra.py')],
          ] as const);
    this.pod = rendered.runClient(node, service, image, `-${suffix}`, command);
  }

  get seen(): Acknowledgements {
    return Acknowledgements.of(this.pod.log('client'));
  }

  /** Until it has logged in some times from now on. */
  async works(times = 10): Promise<void> {
    const from = Date.now();
    this.begin ||= from;
    const seen = () => this.seen.count(from, Date.now());
    await until(
      'a client logs in',
      MINUTES,
      async () => seen() >= times,
      () => this.pod.log('client').slice(-500),
    );
  }

  /** Errors since it first worked. */
  errors(): string {
    return [...this.seen.errors(this.begin, Date.now())].map(([kind, count]) => `${kind} ${count}`).join(', ');
  }
}

/** What the bootstrap does with the Secret of a login, in the places that it has. */
class Rotated {
  private constructor(
    private readonly node: TestNode,
    private readonly name: string,
    private readonly before: Values,
    readonly after: Values,
  ) {}

  static async of(node: TestNode, rendered: Rendered, namespace: string, name: string): Promise<Rotated> {
    const secret = rendered.secrets.find((each) => each.name === name)!;
    const declared = {
      ...secret,
      namespaces: secret.namespaces,
      readers: secret.readers,
      name,
      keys: secret.keys,
      type: secret.type,
    };
    const before = node.cluster.secrets.get(`${namespace}/${name}`)!;
    const made = await makeValues(declared, changingKeys(declared), undefined, () =>
      Promise.reject(new Error('asked')),
    );
    return new Rotated(node, name, before, { ...before, ...made, ...otherNames(declared, before) });
  }

  besides(namespace: string): void {
    this.set(namespace, withPreviousValues(this.after, this.before));
  }

  alone(namespace: string): void {
    this.set(namespace, this.after);
  }

  keyfile(stage: number): void {
    this.set('mongodb', { keyfile: keyfileStages(this.before.keyfile!, this.after.keyfile!)[stage]! });
  }

  get old(): Values {
    return this.before;
  }

  private set(namespace: string, values: Values): void {
    this.node.cluster.secrets.set(`${namespace}/${this.name}`, values);
  }
}

async function ofMongo(tally: Tally, table: FaultTable): Promise<void> {
  const test: Test = async (node, rendered, again) => {
    const set = new MongoSet(node, rendered, again, tally, table);
    await set.whole(8);
    await job(tally, node, rendered, 'mongodb', 'first');
    set.writer = new MongoWriter(node, rendered, 'workspaces');
    await client(tally, node, rendered, 'mongodb', async ({ username, password }) => {
      const answer = await mongo(set.writer.pod, `db.getSiblingDB('admin').auth('${username}', '${password}')`);
      return answer.code === 0;
    });
    await root(tally, set);
    await keyfile(tally, set);
  };
  await inFreshNode(tally, small, test);
}

async function ofCassandra(tally: Tally): Promise<void> {
  await inFreshNode(tally, single, async (node, rendered) => {
    const [set] = rendered.of('StatefulSet', 'cassandra');
    const [pod] = rendered.runSet(node, set) as [Pod];
    await until(
      'a ring of one',
      5 * MINUTES,
      async () => pod.ready,
      () => logs([pod]),
    );
    await job(tally, node, rendered, 'cassandra', 'first');
    const asker = rendered.runClient(node, 'chat', images.cassandra, '-asks');
    await until('a client runs', 30, async () => asker.ready);
    const login = async ({ username, password }: Values) =>
      (
        await cql(asker, 'SELECT key FROM system.local;', {
          CASSANDRA_USERNAME: username!,
          CASSANDRA_PASSWORD: password!,
        })
      ).code === 0;
    await client(tally, node, rendered, 'cassandra', login);
    const rotated = await Rotated.of(node, rendered, 'cassandra', 'cassandra-admin');
    rotated.besides('cassandra');
    await job(tally, node, rendered, 'cassandra', 'admin');
    rotated.alone('cassandra');
    await job(tally, node, rendered, 'cassandra', 'admin-alone');
    const there = await admin(node, pod, 'SELECT key FROM system.local;');
    tally.check('admin logs in with its new password', there.code === 0, there.output);
    tally.check('the old password is rejected', !(await login({ ...rotated.old, username: 'admin' })));
    tally.check('no node restarted for it', pod.restarts === 0);
  });
}

async function job(tally: Tally, node: TestNode, rendered: Rendered, namespace: string, suffix: string): Promise<void> {
  const { pod, code } = await rendered.runJob(node, namespace, suffix);
  tally.check(`the job of ${namespace} succeeds (${suffix})`, code === 0, pod.log('job'));
}

/** Rotates the login of a client. Old and new pods can log in at any time. */
async function client(
  tally: Tally,
  node: TestNode,
  rendered: Rendered,
  kind: 'mongodb' | 'cassandra',
  logsIn: (login: Values) => Promise<boolean>,
): Promise<void> {
  const service = kind === 'mongodb' ? 'identity' : 'chat';
  const before = new Logins(node, rendered, kind, 'old');
  await before.works();
  const rotated = await Rotated.of(node, rendered, kind, `${kind}-${service}`);
  rotated.besides(kind);
  await job(tally, node, rendered, kind, 'rotating');
  rotated.alone('services');
  const after = new Logins(node, rendered, kind, 'new');
  await after.works();
  await before.works();
  const errors = before.errors();
  tally.check(
    `${kind}: old pods log in until the last one is new (${before.seen.ids.size} logins)`,
    errors === '',
    errors,
  );
  await before.pod.stop(0);
  rotated.alone(kind);
  await job(tally, node, rendered, kind, 'alone');
  await after.works();
  tally.check(
    `${kind}: new pods log in throughout (${after.seen.ids.size} logins)`,
    after.errors() === '',
    after.errors(),
  );
  tally.check(`${kind}: the old login is gone`, !(await logsIn(rotated.old)));
  tally.check(`${kind}: the new login works`, await logsIn(rotated.after));
  await after.pod.stop(0);
}

async function root(tally: Tally, set: MongoSet): Promise<void> {
  const { node, rendered, pods } = set;
  const rotated = await Rotated.of(node, rendered, 'mongodb', 'mongodb-root');
  rotated.besides('mongodb');
  await job(tally, node, rendered, 'mongodb', 'root');
  for (const pod of pods) pod.refresh();
  rotated.alone('mongodb');
  await job(tally, node, rendered, 'mongodb', 'root-alone');
  for (const pod of pods) pod.refresh();
  const from = new Map(pods.map((pod) => [pod, pod.log('reconcile').length]));
  // Another primary: its reconciler has no connection as root yet.
  await asRoot(node, pods, 'db.adminCommand({ replSetStepDown: 5, force: true })');
  await until(
    'a reconciler that never was root before says that all is as wanted',
    2 * MINUTES,
    async () => pods.slice(1).some((pod) => / nothing: as wanted/.test(pod.log('reconcile').slice(from.get(pod)))),
    () => logs(pods),
  );
  const there = await asRoot(node, pods, 'db.adminCommand({ ping: 1 })');
  tally.check('root logs in with its new password', there.code === 0, there.output);
  const { username, password } = rotated.old;
  const old = await mongo(set.writer.pod, `db.getSiblingDB('admin').auth('${username}', '${password}')`);
  tally.check('the old password is rejected', old.code !== 0, old.output);
  tally.check(
    'no container restarted for it',
    pods.every(({ restarts }) => restarts === 0),
  );
}

async function keyfile(tally: Tally, set: MongoSet): Promise<void> {
  const { node, rendered } = set;
  const logins = new Logins(node, rendered, 'mongodb', 'keyfile');
  await logins.works();
  const rotated = await Rotated.of(node, rendered, 'mongodb', 'mongodb-keyfile');
  for (const stage of [0, 1, 2]) {
    rotated.keyfile(stage);
    await set.fault('a keyfile is rotated: three rolling restarts', async () => {
      for (const member of [...set.members].reverse()) {
        await replace(member);
        await set.whole();
      }
    });
  }
  await logins.works();
  const held = await set.pods[0]!.container('mongod').exec(['cat', '/keyfile/keyfile']);
  tally.check('members have the new key alone', held.output.trim() === rotated.after.keyfile, 'another one');
  // A connection that is being made while its member ends is cut, as at any restart: what counts is that no login is refused.
  tally.check('no login was refused meanwhile', !/Authentication/.test(logins.errors()), logins.errors());
  await logins.pod.stop(0);
}
