import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { App, Chart, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { BackupTarget, CassandraStatefulSet, DataStorage } from '../../../../constructs';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { admin, logs } from '../clients';
import { inFreshNode } from '../fresh-node';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import type { Rendered } from '../../node/rendering';
import { fill, rights, rows } from './cassandra-data';

type Json = any;

/** Backup and restore of a ring, with the rendered containers and Jobs. Runs with --full. */
export const CASSANDRA_BACKUPS: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  'cassandra restore': restored,
  'cassandra restore into one node': intoOneNode,
};

const MINUTES = 60;
const TARGET = 'backups';

/** A ring of small nodes. Its backups go to a claim on another disk. */
function ring(racks: readonly string[], name = 'cassandra', clusterName = 'collab'): App {
  const app = new App();
  const chart = new Chart(app, name, { namespace: 'cassandra' });
  new CassandraStatefulSet(chart, name, {
    name,
    clusterName,
    racks,
    storage: DataStorage.storageClass(Size.gibibytes(4), 'disk'),
    resources: { memory: Size.mebibytes(2560), cpu: Cpu.millis(500) },
    config: { materialized_views_enabled: true, user_defined_functions_enabled: true },
    backup: { target: BackupTarget.claim(TARGET) },
  });
  return app;
}

async function up(node: TestNode, rendered: Rendered): Promise<Pod[]> {
  const pods = rendered.of('StatefulSet', 'cassandra').flatMap((set) => rendered.runSet(node, set));
  await until(
    `a ring of ${pods.length}`,
    8 * MINUTES,
    async () => pods.every(({ ready }) => ready),
    () => logs(pods),
  );
  const { pod, code } = await rendered.runJob(node, 'cassandra', String(Date.now()));
  if (code !== 0) throw new Error(`the schema job failed: ${pod.log('job')}`);
  return pods;
}

/** Stops a ring and removes its disks. */
async function destroy(node: TestNode, pods: readonly Pod[]): Promise<void> {
  await Promise.all(pods.map((pod) => pod.stop(0)));
  for (const { name } of pods) fs.rmSync(node.claims.disk('cassandra', `data-${name}`));
}

const statusOf = (pod: Pod): Json => {
  const file = join(pod.volume('handover'), 'status.json');
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
};

const repositoryIn = (pod: Pod) => join(pod.volume('backup-target'), 'cassandra');

/** A restarted container checks at once whether a backup is due. */
async function store(pods: readonly Pod[]): Promise<void> {
  for (const pod of pods) pod.container('backup').signal('SIGKILL');
  await until(
    'a backup of each node',
    5 * MINUTES,
    async () => pods.every((pod) => statusOf(pod).newest),
    () => pods.map((pod) => pod.log('backup').slice(-800) + pod.log('ops').slice(-800)).join('\n'),
  );
}

let restores = 0;

/** The pod of a Job from the suspended CronJob, as the command creates it. */
function restoreJob(node: TestNode, rendered: Rendered, asked: Readonly<Record<string, string>> = {}): Pod {
  const [cron] = rendered.of('CronJob', 'cassandra');
  const spec = structuredClone(cron.spec.jobTemplate.spec.template.spec);
  for (const container of [...spec.initContainers, ...spec.containers])
    for (const variable of container.env) if (asked[variable.name] !== undefined) variable.value = asked[variable.name];
  const name = `${cron.metadata.name}-${++restores}`;
  return node.run({ metadata: { name, namespace: 'cassandra' }, spec });
}

async function end(pod: Pod): Promise<{ code: number; said: string; result: Json }> {
  let code: number | undefined;
  void pod.ended.then((ended) => (code = ended));
  await until(
    'the restore ends',
    8 * MINUTES,
    async () => code !== undefined,
    () => pod.log('fetch') + pod.log('restore'),
  );
  const said = pod.log('fetch') + pod.log('restore');
  await pod.stop(0);
  const last = said.trim().split('\n').at(-1)!;
  return { code: code!, said, result: last.startsWith('{"') ? JSON.parse(last) : {} };
}

/** Same names, a killed restore, one keyspace alone. */
async function restored(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(['r1']), async (node, rendered) => {
    const pods = await up(node, rendered);
    await fill(node, pods);
    await store(pods);
    const [before, mayBefore] = [await rows(node, pods[0]!), await rights(node, pods[0]!)];
    tally.check(
      'no snapshot stays on a node',
      pods.every((pod) => !fs.existsSync(join(pod.volume('data'), '.backup'))),
    );
    for (const pod of pods)
      console.log(`${pod.name}: ops ${mib(pod, 'ops')} MiB, backup ${mib(pod, 'backup')} MiB at most`);
    await destroy(node, pods);

    const fresh = await up(node, rendered);
    const killed = restoreJob(node, rendered);
    await until(
      'the restore has loaded two tables',
      5 * MINUTES,
      async () => /\(3 of /.test(killed.log('restore')),
      () => killed.log('fetch') + killed.log('restore'),
    );
    killed.container('restore').signal('SIGKILL');
    tally.check('a restore is killed', (await end(killed)).code === 137);
    const second = await end(restoreJob(node, rendered));
    tally.check('the next restore finishes it', second.code === 0, second.said);
    tally.check(
      'the next restore continues with the remaining tables',
      !/\((1|2) of /.test(second.said.split('restored the schema').at(-1)!),
    );
    const summary = second.result.restored ?? {};
    tally.check('every table is equal', summary.tables === 5 && summary.equal === 5, JSON.stringify(summary));
    console.log(`restored: ${JSON.stringify(summary)}`);
    same(tally, 'every row is there, by every index and view', before, await rows(node, fresh[0]!));
    same(tally, 'roles, hashes, rights and schema are there', mayBefore, await rights(node, fresh[0]!));
    const login = ['cqlsh', '-u', 'Odd "x', '-p', "pp'q", fresh[0]!.address, '-e'];
    const own = await fresh[0]!.container('cassandra').exec([...login, 'SELECT k FROM shop.many WHERE k = 1;']);
    tally.check('a role logs in with its old password and has its permissions', own.code === 0, own.output);

    const again = await end(restoreJob(node, rendered));
    tally.check(
      'another restore rejects tables with rows',
      again.code === 3 && /these tables hold rows: order.t, shop.Odd/.test(again.said),
      again.said,
    );
    await oneKeyspace(tally, node, rendered, fresh, before);
    await damage(tally, node, rendered, fresh);
  });
}

/** Restores deleted rows of one keyspace. Later writes in other keyspaces stay. */
async function oneKeyspace(tally: Tally, node: TestNode, rendered: Rendered, pods: readonly Pod[], before: string) {
  const mistake = 'DELETE FROM "order".t WHERE k = 1; INSERT INTO shop.many (k, v) VALUES (1000, \'since\');';
  await admin(node, pods[0]!, mistake);
  const only = await end(restoreJob(node, rendered, { RESTORE_ONLY: 'order', RESTORE_REPLACE: 'yes' }));
  tally.check('one keyspace is restored', only.code === 0, only.said);
  const now = (await rows(node, pods[0]!)).split('\n');
  const more = now.filter((line) => !before.split('\n').includes(line));
  const less = before.split('\n').filter((line) => !now.includes(line));
  tally.check('its deleted row is back', now.includes('{"k": 1, "v": "one"}'), now.slice(-20).join('\n'));
  tally.check(
    'later writes in another keyspace stay',
    more.join() === '{"k": 1000, "v": "since"},{"shop.total(k)": 45551}' && less.length === 1,
    `${more.join('\n')}\n--\n${less.join('\n')}`,
  );
}

/** An incomplete repository is never restored without an error. */
async function damage(tally: Tally, node: TestNode, rendered: Rendered, pods: readonly Pod[]): Promise<void> {
  const repository = repositoryIn(pods[0]!);
  const asked = { RESTORE_REPLACE: 'yes' };
  const files = execFileSync('find', [join(repository, 'data'), '-type', 'f', '-size', '+8k'])
    .toString()
    .trim()
    .split('\n');
  const pack = files[0]!;
  const whole = fs.readFileSync(pack);
  fs.chmodSync(pack, 0o600);
  fs.rmSync(pack);
  const broken = await end(restoreJob(node, rendered, asked));
  tally.check(
    'a file that is missing in the repository is reported',
    broken.code === 3 && !broken.said.includes('restored the schema'),
    broken.said,
  );
  fs.writeFileSync(pack, whole);
  fs.chownSync(pack, 999, 999);
}

/** Restores into a ring with another name and number of nodes, and then runs a drill. */
async function intoOneNode(tally: Tally): Promise<void> {
  await inFreshNode(tally, ring(['r1', 'r2']), async (node, rendered, again) => {
    const pods = await up(node, rendered);
    await fill(node, pods);
    await store(pods);
    const [before, mayBefore] = [await rows(node, pods[0]!), await rights(node, pods[0]!)];
    await destroy(node, pods);
    const other = await again(ring(['only'], 'second', 'another'));
    node.cluster.secrets.set('cassandra/second-backup', node.cluster.secrets.get('cassandra/cassandra-backup')!);
    // From here on, commands of the test go to this ring.
    node.cluster.secrets.set('cassandra/cassandra-admin', node.cluster.secrets.get('cassandra/second-admin')!);
    const [one] = (await up(node, other)) as [Pod];
    const asked = { RESTORE_FROM: 'cassandra' };
    const from = await end(restoreJob(node, other, asked));
    tally.check('a ring of one node accepts the backup of two nodes', from.code === 0, from.said);
    console.log(`restored: ${JSON.stringify(from.result)}`);
    const after = await rows(node, one);
    same(tally, 'every row is there', before, after);
    same(tally, 'roles, rights and schema are there', mayBefore, await rights(node, one));
    const drill = await end(restoreJob(node, other, { ...asked, RESTORE_DRILL: 'yes' }));
    tally.check('a drill succeeds beside it', drill.code === 0 && drill.result.drill?.ok === true, drill.said);
    console.log(`drill: ${JSON.stringify(drill.result)}`);
    same(tally, 'and changes nothing in the ring', after, await rows(node, one));
    await missingNode(tally, node, other, one);
  });
}

async function missingNode(tally: Tally, node: TestNode, rendered: Rendered, pod: Pod): Promise<void> {
  const { password } = node.cluster.secrets.get('cassandra/cassandra-backup')!;
  const restic = (...args: string[]) =>
    execFileSync('restic', ['-r', repositoryIn(pod), '--no-cache', ...args], {
      env: { ...process.env, RESTIC_PASSWORD: password },
    }).toString();
  const ids: Json[] = JSON.parse(restic('snapshots', '--json', '--host', 'cassandra-r2-0'));
  restic('forget', ...ids.map(({ id }) => id));
  const missing = await end(restoreJob(node, rendered, { RESTORE_FROM: 'cassandra', RESTORE_REPLACE: 'yes' }));
  tally.check(
    'a node without a snapshot is reported',
    missing.code === 3 && /there is no snapshot of cassandra-r2-0/.test(missing.said),
    missing.said,
  );
}

const mib = (pod: Pod, container: string) => Math.round(pod.container(container).peak / 1024 ** 2);

function same(tally: Tally, what: string, before: string, after: string): void {
  const [was, is] = [before.split('\n'), after.split('\n')];
  const lost = was.filter((line) => !is.includes(line));
  const more = is.filter((line) => !was.includes(line));
  tally.check(what, before === after, `lost:\n${lost.join('\n')}\nmore:\n${more.join('\n')}`);
}
