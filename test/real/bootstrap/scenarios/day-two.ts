import * as fs from 'node:fs';
import { join } from 'node:path';
import { NOTE } from '../../../../scripts/stages/talos/maintenance-note';
import type { Tally } from '../../tally';
import type { Json } from '../../cluster/client';
import { KILLS, signatureOf, tail } from '../harness/disturbed';
import type { Lab, Run } from '../harness/lab';
import { talosNodes } from '../simulator/life';
import type { Call } from '../simulator/programs/program';

const TALOS = ['v1.13.9', 'v1.13.10'] as const;
const KUBERNETES = ['v1.36.3', 'v1.36.4'] as const;

/** Most kills of a command before it is left alone; as many would be calls that are never the same. */
const MOST = 150;

/**
 * The commands of later days, from a homelab that is done.
 * @param killed whether each is killed at all of its calls that change something, before, during and after, until it ends by
 *   itself
 */
export async function dayTwo(lab: Lab, tally: Tally, killed: boolean): Promise<string> {
  const kills: number[] = [];
  const run = async (...args: string[]): Promise<Run> => {
    if (!killed) return lab.run(args);
    const { count, last } = await killedAlong(lab, args);
    kills.push(count);
    tally.check(`${args.join(' ')}: comes to its end, killed on the way`, count > 3 && count < MOST, tail(last));
    return last;
  };
  await maintained(lab, tally, run);
  await upgraded(lab, tally, run);
  await patched(lab, tally, run);
  return killed ? `killed ${kills.join(', ')} times` : 'not killed';
}

type Command = (...args: string[]) => Promise<Run>;

/** A node whose databases cannot move starts again, once, and takes pods again. */
async function maintained(lab: Lab, tally: Tally, run: Command): Promise<void> {
  for (const [name, ...how] of [['talos-worker-01'], ['talos-worker-01', 'stop'], ['talos-cp-01', 'stop']] as const) {
    const what = ['maintenance', name, ...how];
    await lab.restore('done');
    const before = started(lab);
    const ended = await run(...what, '--yes');
    tally.check(`${what.join(' ')}: ends well`, ended.code === 0, tail(ended));
    const after = started(lab);
    tally.check(
      `${what.join(' ')}: it started again once, and no other node did`,
      [...after].every(([each, count]) => count === before.get(each)! + (each === name ? 1 : 0)),
      JSON.stringify([[...before], [...after]]),
    );
    const node = await nodeOf(lab, name);
    tally.check(
      `${what.join(' ')}: it takes pods, and nothing is noted any more`,
      node.spec.unschedulable !== true && node.metadata.annotations?.[NOTE] === undefined,
      JSON.stringify([node.spec, node.metadata.annotations]),
    );
  }
}

/** Talos on every node, then Kubernetes, with an etcd snapshot before each. */
async function upgraded(lab: Lab, tally: Tally, run: Command): Promise<void> {
  await lab.restore('done');
  const before = started(lab);
  lab.edit(TALOS[0], TALOS[1]);
  lab.edit(KUBERNETES[0], KUBERNETES[1]);
  const { simulation } = lab;
  const old = await rendered(lab, ['upgrade', '--yes']);
  tally.check(
    'upgrade: an old talosctl stops it',
    old.code === 4 && /talosctl/.test(old.output) && JSON.stringify([...started(lab)]) === JSON.stringify([...before]),
    tail(old),
  );
  simulation.state.extra.talosctl = TALOS[1];
  const ended = await run('upgrade', '--yes');
  tally.check('upgrade: ends well', ended.code === 0, tail(ended));
  const nodes = talosNodes(simulation.state);
  tally.check(
    'upgrade: every node has the new Talos and started again once',
    nodes.every(
      ({ image, hostname }) => image.version === TALOS[1] && started(lab).get(hostname) === before.get(hostname)! + 1,
    ),
    JSON.stringify(nodes.map(({ hostname, image, disk }) => [hostname, image.version, disk.boots])),
  );
  tally.check(
    'upgrade: every node has the new Kubernetes',
    nodes.every(({ config }) => config!.kubernetes === KUBERNETES[1]),
    nodes.map(({ config }) => config!.kubernetes).join(),
  );
  const snapshots = fs.readdirSync(join(lab.workspace.path, '.homelab', 'etcd'));
  tally.check('upgrade: an etcd snapshot before each', snapshots.length >= nodes.length + 1, snapshots.join(', '));
  const again = await lab.run(['upgrade', '--yes']);
  tally.check('upgrade: has nothing to do then', again.code === 0 && /nothing to do/.test(again.output), tail(again));
  lab.edit(`kubernetes: '${KUBERNETES[1]}'`, "kubernetes: 'v1.38.0'");
  const far = await rendered(lab, ['upgrade', '--yes']);
  tally.check(
    'upgrade: two minors at once are refused',
    far.code === 4 && /one minor version at a time/.test(far.output),
    tail(far),
  );
}

/** What changes in configurations reaches the nodes; what flannel is to enforce, by upgrade-k8s to the same version. */
async function patched(lab: Lab, tally: Tally, run: Command): Promise<void> {
  await lab.restore('done');
  await flannel(lab, true);
  const before = started(lab);
  lab.edit('enforceNetworkPolicies: true', 'enforceNetworkPolicies: false');
  lab.edit('worker: Size.mebibytes(384)', 'worker: Size.mebibytes(448)');
  const { simulation } = lab;
  const upgrades: Call[] = [];
  simulation.answering = async (call) => {
    if (call.program !== 'talosctl' || !call.argv.includes('upgrade-k8s') || call.argv.includes('--dry-run')) return;
    upgrades.push(call);
    await flannel(lab, false);
  };
  const render = await lab.run(['render']);
  const ended = await run('apply', 'talos', '--yes');
  simulation.answering = undefined;
  tally.check('another configuration: is applied', render.code === 0 && ended.code === 0, tail(ended));
  tally.check(
    'another configuration: is that of every worker, and nothing started again for it',
    talosNodes(simulation.state).every(({ config }) => config!.controlPlane || config!.text.includes('448Mi')) &&
      JSON.stringify([...started(lab)]) === JSON.stringify([...before]),
    tail(ended),
  );
  tally.check('flannel: changes by upgrade-k8s', upgrades.length >= 1, tail(ended));
  const again = await lab.run(['apply', 'talos', '--yes']);
  tally.check(
    'another configuration: nothing is left to do',
    again.code === 0 && /nothing to do/.test(again.output),
    tail(again),
  );
}

/** Runs a command again and again, until each of its calls that change something was killed in every way, one in each run. */
async function killedAlong(lab: Lab, args: readonly string[]): Promise<{ count: number; last: Run }> {
  // After its last call a maintenance is over; the same words would ask for another one.
  const ends = ({ argv }: Call) => args[0] === 'maintenance' && argv.includes(`${NOTE}-`);
  const struck = new Map<string, number>();
  for (let count = 0; ; count++) {
    let isStruck = count >= MOST;
    lab.simulation.intercept = (call) => {
      if (isStruck || !changes(call)) return undefined;
      const signature = signatureOf(call);
      const ways = struck.get(signature) ?? 0;
      if (ways === (ends(call) ? 1 : KILLS.length)) return undefined;
      isStruck = true;
      struck.set(signature, ways + 1);
      return KILLS[ways];
    };
    const last = await lab.run(args);
    lab.simulation.intercept = undefined;
    if (last.code !== null || count >= MOST) return { count, last };
  }
}

function changes({ machine, program, argv }: Call): boolean {
  const has = (...words: string[]) => words.some((word) => argv.includes(word));
  if (program === 'kubectl') return has('annotate', 'cordon', 'uncordon', 'apply', 'patch', 'delete');
  if (program === 'talosctl')
    return has('reboot', 'upgrade', 'snapshot', 'apply-config') || (has('upgrade-k8s') && !has('--dry-run'));
  return machine === 'host' && program === 'qm' && has('shutdown', 'start', 'set');
}

/** How often each node has started. */
function started({ simulation: { state } }: Lab): ReadonlyMap<string, number> {
  return new Map(talosNodes(state).map(({ hostname, disk }) => [hostname, disk.boots]));
}

async function nodeOf({ plane }: Lab, name: string): Promise<Json> {
  return (await plane.client.get({ apiVersion: 'v1', kind: 'Node', metadata: { name } }))!;
}

/** As Talos makes it. */
async function flannel({ plane }: Lab, enforces: boolean): Promise<void> {
  const labels = { 'k8s-app': 'flannel' };
  const container = (name: string) => ({ name, image: 'ghcr.io/siderolabs/flannel:v0.27.4' });
  await plane.client.apply(
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'kube-flannel', namespace: 'kube-system', labels },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: ['kube-flannel', ...(enforces ? ['kube-network-policies'] : [])].map(container),
          },
        },
      },
    },
    'talos',
  );
}

async function rendered(lab: Lab, args: readonly string[]): Promise<Run> {
  const render = await lab.run(['render']);
  return render.code === 0 ? lab.run(args) : render;
}
