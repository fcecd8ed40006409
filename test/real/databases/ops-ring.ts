import { images } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { logs, ready } from './clients';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import type { Rendered } from '../node/rendering';

type Json = any;

/** Shared by the tests of the container `ops`: a ready ring, and the reports of ops about its nodes. */

const MINUTES = 60;

/** Report of ops about its node. */
export async function opsState(pod: Pod): Promise<Json> {
  const { output } = await pod.container('ops').exec(['cat', '/tmp/status.json']);
  return output.startsWith('{') ? JSON.parse(output) : {};
}

/** What the sample asks of it: that it works beside its node, and sees the ring. */
export async function opsSees(tally: Tally, pod: Pod, nodes: number): Promise<void> {
  const isUp = ({ up, mode }: Json) => up && mode === 'N';
  // The ring is told first, the rest of the look some nodetools later.
  await opsTells(
    `ops sees ${nodes} nodes and their keyspaces`,
    2 * MINUTES,
    [pod],
    ({ ring = [], repairs = {} }) => ring.filter(isUp).length === nodes && 'system_auth' in repairs,
  );
  const { release } = await opsState(pod);
  tally.check('ops sees the ring, its version and its keyspaces', /^\d/.test(release), String(release));
}

/** Waits until the reports of ops about some nodes match a condition. */
export function opsTells(what: string, seconds: number, pods: readonly Pod[], isSo: (state: Json) => boolean) {
  return until(
    what,
    seconds,
    async () => (await Promise.all(pods.map(opsState))).every(isSo),
    () => logs(pods),
  );
}

/** Changes how often ops does what, as a commit does: the files of the pods follow. */
export function schedule(node: TestNode, pods: readonly Pod[], change: Readonly<Record<string, number>>): void {
  const maps = node.cluster.configMaps;
  const scripts = maps.get('cassandra/cassandra-scripts')!;
  const config = { ...JSON.parse(String(scripts['ops.json'])), ...change };
  maps.set('cassandra/cassandra-scripts', { ...scripts, 'ops.json': JSON.stringify(config) });
  for (const pod of pods) pod.refresh();
}

/** Two copies are all copies of a ring of two: with one node away nobody could log in at a quorum. */
export function loginsAtOne(change: (homelab: Json) => void) {
  return (homelab: Json): void => {
    change(homelab);
    homelab.databases.cassandra.config = { auth_read_consistency_level: 'LOCAL_ONE' };
  };
}

/** A ring that is ready, with its schema and a client. */
export async function started(tally: Tally, node: TestNode, rendered: Rendered): Promise<{ pods: Pod[]; chat: Pod }> {
  const pods = rendered.of('StatefulSet', 'cassandra').flatMap((set) => rendered.runSet(node, set));
  await up(`a ring of ${pods.length}`, pods);
  await schema(tally, node, rendered, 'first');
  const chat = rendered.runClient(node, 'chat', images.cassandra, '-client');
  await ready(chat);
  return { pods, chat };
}

export async function up(what: string, pods: readonly Pod[]): Promise<void> {
  await until(
    what,
    8 * MINUTES,
    async () => pods.every((pod) => pod.ready),
    () => logs(pods),
  );
}

async function schema(tally: Tally, node: TestNode, rendered: Rendered, suffix: string): Promise<void> {
  const { pod, code } = await rendered.runJob(node, 'cassandra', suffix);
  tally.check(`the schema job succeeds (${suffix})`, code === 0, pod.log('job'));
}

export function measured(tally: Tally, pod: Pod): void {
  const ops = pod.container('ops');
  const peak = Math.round(ops.peak / 2 ** 20);
  const limit = ops.limit / 2 ** 20;
  console.log(`  ${pod.name} ops: at most ${peak} of ${limit} MiB`);
  tally.check(`${pod.name} ops keeps a tenth of its limit free`, peak < 0.9 * limit, `${peak} of ${limit} MiB`);
}
