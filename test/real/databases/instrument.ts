import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { reached } from './clients';
import { fillDisk, freeze, partition, powerCut, thaw, withClock } from './faults/tools';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import { pause } from '../node/processes';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Tests the suite itself: each limit of a pod works, each failing probe has its effect, each fault really happens. */
export async function instrument(tally: Tally, node: TestNode, rendered: Rendered): Promise<void> {
  const bench = new Bench(tally, node, rendered);
  await Promise.all([
    confined(bench),
    probed(bench),
    parted(bench),
    stopped(bench),
    filled(bench),
    cut(bench),
    clocked(bench),
    loopbackAlone(bench),
  ]);
}

/** Single containers with the user, the volumes and the image of a rendered set. */
class Bench {
  constructor(
    readonly tally: Tally,
    readonly node: TestNode,
    readonly rendered: Rendered,
  ) {}

  set(namespace: string): Json {
    return this.rendered.of('StatefulSet', namespace)[0];
  }

  /** A StatefulSet of one container `trial`, made of one of Cassandra's. */
  trial(name: string, command: readonly string[], container: Json = {}, restartPolicy = 'Never'): Json {
    const set = structuredClone(this.set('cassandra'));
    const { spec } = set.spec.template;
    const config = spec.initContainers.find((each: Json) => each.name === 'config');
    const resources = { limits: { memory: '64Mi' } };
    spec.containers = [{ ...config, name: 'trial', command, resources, ...container }];
    set.metadata.name = name;
    Object.assign(spec, { restartPolicy, terminationGracePeriodSeconds: 1, initContainers: [] });
    return set;
  }

  run(...trial: Parameters<Bench['trial']>): Pod {
    return this.rendered.runMember(this.node, this.trial(...trial), 0);
  }

  async idle(name: string, container: Json = {}): Promise<Pod> {
    const pod = this.run(name, ['sleep', 'infinity'], container);
    await until(`${name} runs`, 20, async () => pod.ready && (await pod.container('trial').exec(['true'])).code === 0);
    return pod;
  }
}

const DATA = { volumeMounts: [{ name: 'data', mountPath: '/var/lib/cassandra' }] };
const isReached = (from: Pod, to: Pod) => reached(from.container('trial'), to.address, 22);

/** Actions that a kubelet and a container runtime prevent. */
async function confined(bench: Bench): Promise<void> {
  const trials: [what: string, pod: Pod, code: (code: number) => boolean][] = [
    [
      'cp -a onto an emptyDir fails, as under a kubelet',
      bench.run('cp-a', ['cp', '-a', '/etc/cassandra/.', '/conf/']),
      (code) => code !== 0,
    ],
    [
      'the root file system is read-only',
      // Not by writing to it: its user may not do that anyway.
      bench.run('root', ['grep', '-q', '^overlay / overlay ro,', '/proc/self/mounts']),
      (code) => code === 0,
    ],
    [
      'a process over its limit is killed',
      bench.run('memory', ['python3', '-c', 'x = bytearray(200 * 2 ** 20)']),
      (code) => code === 137,
    ],
    [
      'no capability is left',
      bench.run('caps', ['grep', '-q', '^CapEff:.*0000000000000000', '/proc/self/status']),
      (code) => code === 0,
    ],
    [
      'it is user 999',
      bench.run('user', ['sh', '-c', '[ "$(id -u)" = 999 ] && ! chown 0 /conf']),
      (code) => code === 0,
    ],
    [
      'a program that the image lacks is not there',
      bench.run('lacks', ['sh', '-c', 'jq --version']),
      (code) => code === 127,
    ],
  ];
  for (const [what, pod, isGood] of trials) {
    const code = await pod.ended;
    bench.tally.check(what, isGood(code), `ended with ${code}: ${pod.log('trial')}`);
    await pod.stop(0);
  }
}

/** Each probe fails on a pod of its own. */
async function probed(bench: Bench): Promise<void> {
  const fails = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 2 };
  const sleeps = ['sleep', 'infinity'];
  const startup = bench.run('startup', sleeps, { startupProbe: fails }, 'Always');
  const liveness = bench.run('liveness', sleeps, { livenessProbe: fails }, 'Always');
  const readiness = bench.run('readiness', sleeps, { readinessProbe: fails }, 'Always');
  for (const pod of [startup, liveness])
    await until(
      'the kubelet starts it again',
      30,
      async () => pod.restarts === 1,
      () => pod.log('trial'),
    );
  const { tally } = bench;
  tally.check('a failing startup probe ends the container', startup.log('trial').includes('startup probe failed'));
  tally.check('a failing liveness probe ends the container', liveness.log('trial').includes('liveness probe failed'));
  tally.check('a failing readiness probe ends nothing', readiness.restarts === 0 && !readiness.ready);
  await Promise.all([startup, liveness, readiness].map((pod) => pod.stop(0)));
}

async function parted(bench: Bench): Promise<void> {
  const [one, other, third] = await Promise.all(['one', 'other', 'third'].map((name) => bench.idle(`parted-${name}`)));
  const heal = partition([one!], [other!]);
  const seen = [await isReached(one!, other!), await isReached(one!, third!)];
  heal();
  seen.push(await isReached(one!, other!));
  bench.tally.check('a partition drops packets, and heals', seen.join() === 'silent,refused,refused', seen.join());
  await Promise.all([one!, other!, third!].map((pod) => pod.stop(0)));
}

async function stopped(bench: Bench): Promise<void> {
  const pod = bench.run('stopped', ['sh', '-c', 'while :; do echo x; sleep 0.1; done']);
  await until('it says something', 20, async () => pod.log('trial').length > 4);
  freeze(pod);
  const before = pod.log('trial').length;
  await pause(1);
  bench.tally.check('a stopped pod does nothing', pod.log('trial').length === before);
  thaw(pod);
  await until('it goes on', 10, async () => pod.log('trial').length > before);
  await pod.stop(0);
}

async function filled(bench: Bench): Promise<void> {
  const pod = await bench.idle('filled', DATA);
  const write = () =>
    pod.container('trial').exec(['dd', 'if=/dev/zero', 'of=/var/lib/cassandra/x', 'bs=64k', 'count=1']);
  const makeRoom = fillDisk(pod);
  const { code, output } = await write();
  makeRoom();
  bench.tally.check('a full disk rejects a write', code !== 0 && output.includes('No space left'), output);
  bench.tally.check('a write succeeds when there is space again', (await write()).code === 0);
  await pod.stop(0);
}

async function cut(bench: Bench): Promise<void> {
  const set = bench.trial('cut', ['sleep', 'infinity'], DATA);
  const member = { ...bench, set, ordinal: 0, pod: bench.rendered.runMember(bench.node, set, 0) };
  const write = (file: string, how: string) =>
    member.pod
      .container('trial')
      .exec(['dd', 'if=/dev/zero', `of=/var/lib/cassandra/${file}`, 'bs=64k', 'count=1', how]);
  await write('written', 'conv=notrunc');
  await write('synced', 'conv=fsync');
  await write('late', 'conv=notrunc');
  const [back] = (await powerCut([member])) as [Pod];
  const { output } = await back.container('trial').exec(['sh', '-c', 'cd /var/lib/cassandra && wc -c synced late']);
  bench.tally.check(
    'a power cut keeps synced data and loses data that was only written',
    /65536 synced/.test(output) && !/65536 late/.test(output),
    output,
  );
  await back.stop(0);
}

async function clocked(bench: Bench): Promise<void> {
  const pod = bench.rendered.runMember(bench.node, withClock(bench.trial('clock', ['date', '+%s']), 600), 0);
  await pod.ended;
  const off = Number(pod.log('trial')) - Date.now() / 1000;
  bench.tally.check('a wrong clock is wrong', Math.abs(off - 600) < 30, `off by ${off} s: ${pod.log('trial')}`);
  await pod.stop(0);
}

/** A mongod without users accepts commands over loopback only, and a mongod with a wrong setting does not start. */
async function loopbackAlone(bench: Bench): Promise<void> {
  const { tally, rendered, node } = bench;
  const bare = (name: string, ...more: string[]) => {
    const set = structuredClone(bench.set('mongodb'));
    const { spec } = set.spec.template;
    const [mongod] = spec.containers;
    set.metadata.name = name;
    spec.containers = [{ ...mongod, command: [...mongod.command, ...more] }];
    return rendered.runMember(node, set, 0);
  };
  const wrong = bare('wrong', '--wiredTigerCacheSizeGB=much');
  const pod = bare('bare');
  const neighbour = bare('neighbour');
  const ask = (from: Pod, host: string, script: string) => {
    const uri = `mongodb://${host}:27017/admin?directConnection=true`;
    return from.container('mongod').exec(['mongosh', '--norc', '--quiet', uri, '--eval', script]);
  };
  await until('both run', 60, async () => pod.ready && neighbour.ready);
  // As the container `reconcile` does: on an empty volume mongod waits under another set name until then.
  await pod.container('mongod').exec(['touch', '/tmp/join']);
  const initiate = `rs.initiate({ _id: 'rs0', members: [{ _id: 0, host: '${pod.address}:27017' }] })`;
  await until('it is primary', 60, async () => {
    await ask(pod, '127.0.0.1', initiate);
    return /true/.test((await ask(pod, '127.0.0.1', 'db.hello().isWritablePrimary')).output);
  });
  const create = "db.createUser({ user: 'u', pwd: 'u', roles: ['root'] })";
  const refused = await ask(neighbour, pod.address, create);
  tally.check(
    'the localhost exception of MongoDB does not apply to another pod',
    refused.code !== 0 && /requires authentication/.test(refused.output),
    refused.output,
  );
  const taken = await ask(pod, '127.0.0.1', create);
  tally.check('the localhost exception works over loopback', taken.code === 0, taken.output);
  await until('mongod with a wrong setting ends', 60, async () => wrong.restarts > 0);
  tally.check(
    'a wrong setting is noticed',
    wrong.container('mongod').lastCode !== 0 && !wrong.ready,
    wrong.log('mongod'),
  );
  await Promise.all([wrong, pod, neighbour].map((each) => each.stop(0)));
}
