import type { TalosMachine } from '../../../inventory';
import { isReady, registeredNodes } from '../../clients/kubernetes-nodes';
import type { Kubernetes } from '../../clients/kubernetes';
import { keepKubeconfig, readKubeconfig } from '../../clients/kubeconfig';
import { CommandFailed } from '../../engine/commands';
import { isFault, NotReady, Problem, Blocked } from '../../engine/problem';
import { SECRETS, secretTree, type Sops } from '../../engine/sops';
import { step, type Progress, type Step } from '../../engine/step';
import { Final, sayOnce, SECOND, until, untilNone } from '../../engine/wait';
import { userVolume } from '../../../machines/talos';
import { unfinished } from './maintenance-note';
import type { Talos, TalosNode } from '../../clients/talos';
import { action } from '../../engine/actions';
import { soonEnd } from './secrets';

/** From etcd's first start until every node is ready: images come over the home line (docs/bootstrap.md, time per stage). */
const HEALTH_SECONDS = 900;

/** etcd starts within a minute once its image is there, which comes over the home line. */
const ETCD_SECONDS = 900;

/** One that ran before starts from an image that is there. */
const ETCD_AGAIN_SECONDS = 300;

/** Talos formats a disk within seconds of its start. */
const VOLUME_SECONDS = 300;

/** What Talos answers while it starts (v1alpha1_server.go, Bootstrap): try again. */
const NOT_YET = /FailedPrecondition|Unavailable/;

/**
 * States of etcd's service while it has not begun: it looks for others to join, has given that up, or was stopped for a
 * bootstrap that was cut off. A bootstrap that is under way is Preparing too while the image comes, and then passes through others.
 */
const WAITS_FOR_BOOTSTRAP = ['Preparing', 'Failed', 'Finished'];

/** Talos cordons a node that it shuts down, and opens it again at its start (constants.AnnotationCordonedKey). */
const CORDONED_BY_TALOS = 'talos.dev/cordoned';

/** etcd begins once, on the first control plane; the others join it. */
export function bootstrapEtcd(talos: Talos, sops: Sops): Step {
  const node = talos.controlPlane;
  const actions = [
    action(`${node.command(['bootstrap']).lines[0]} (once for the life of the cluster)`, (progress) =>
      until(`${node.name} to bootstrap etcd`, { seconds: HEALTH_SECONDS }, progress, () => begin(node)),
    ),
    action(`wait until etcd answers on ${node.name}`, (progress) =>
      until(`etcd to answer on ${node.name}`, { seconds: ETCD_SECONDS }, progress, async () => {
        if (await node.etcdAnswers()) return true;
        throw new Problem(`it is ${await node.etcdState()}; npm run bootstrap -- talosctl ${node.name} -- dmesg`);
      }),
    ),
  ];
  return step('etcd is bootstrapped', async () => {
    await node.version();
    if (await node.etcdAnswers()) return undefined;
    if (!sops.exists(SECRETS.kubeconfig)) return { actions };
    // A cluster that existed is never bootstrapped again: that would be an empty one, and Argo CD would fill it.
    if (await startsAgain(node)) return undefined;
    throw await etcdLost(talos);
  });
}

async function startsAgain(node: TalosNode): Promise<boolean> {
  const wait = until('etcd to start', { seconds: ETCD_AGAIN_SECONDS }, sayOnce(), () => node.etcdAnswers());
  return wait.catch((error: unknown) => (isFault(error) ? false : Promise.reject(error)));
}

/** Why etcd of the first control plane does not run, and what to do. */
async function etcdLost({ controlPlane: { name }, nodes }: Talos): Promise<Blocked> {
  for (const other of nodes.slice(1))
    if (other.machine.role !== 'worker' && (await other.etcdAnswers()))
      return new Blocked(
        `etcd runs on ${other.name}, but not on ${name}, which should have joined; find the reason with npm run bootstrap -- talosctl ${name} -- dmesg`,
      );
  return new Blocked(
    `etcd does not run on ${name}, but ${SECRETS.kubeconfig} shows that the cluster existed; restore it (docs/worst-day.md): npm run bootstrap -- talosctl ${name} -- bootstrap --recover-from=.homelab/etcd/SNAPSHOT. For a new, empty cluster remove that file`,
  );
}

/**
 * Sends `bootstrap`, at most once: for another one Talos first stops the etcd that just begins, and then may refuse, because
 * its folder is no longer empty (services/etcd.go, BootstrapEtcd).
 * @throws Final when etcd cannot begin
 */
async function begin(node: TalosNode): Promise<true> {
  if (await node.etcdAnswers()) return true;
  const state = await node.etcdState();
  // A call of an earlier run, or one whose answer was lost.
  if (state === 'Running') return true;
  if (!WAITS_FOR_BOOTSTRAP.includes(state)) throw new Problem(`etcd is ${state}`);
  try {
    await node.change(['bootstrap'], { seconds: 60 });
  } catch (error) {
    if (!isFault(error)) throw error;
    const said = error instanceof CommandFailed ? error.output.stderr : '';
    if (NOT_YET.test(said)) throw error;
    if (!said.includes('AlreadyExists')) throw new Final(error);
    // A call that came while etcd wrote its first files stops it, and is refused; only a start of the node starts it again.
    if (state === 'Finished') {
      const why = `etcd started on ${node.machine.address} and was stopped`;
      throw new Final(new Problem(`${why}; npm run bootstrap -- talosctl ${node.name} -- reboot`));
    }
  }
  return true;
}

/** How kubectl logs in, the key encrypted. It is given out again before its certificate ends. */
export function kubeconfig(talos: Talos, sops: Sops): Step {
  const node = talos.controlPlane;
  const args = ['kubeconfig', '-', '--merge=false'];
  const keep = action(`${node.command(args).lines[0]}: keep encrypted in ${SECRETS.kubeconfig}`, async (progress) => {
    const text = await until(`${node.name} to give out a kubeconfig`, { seconds: 300 }, progress, async () => {
      const { stdout } = await node.read(args);
      if (!Array.isArray(secretTree(stdout, 'talosctl kubeconfig').users))
        throw new Problem('talosctl kubeconfig must answer with a kubeconfig, but did not');
      return stdout;
    });
    await keepKubeconfig(sops, text);
  });
  return step(`the login of kubectl, encrypted in ${SECRETS.kubeconfig}`, async () => {
    const login = await readKubeconfig(sops);
    if (login === undefined) {
      if ((await node.state()).mode === 'maintenance') throw new NotReady('etcd must be bootstrapped first');
      return { actions: [keep] };
    }
    if (login.certificate === undefined && login.token) return undefined;
    const end = soonEnd(login.certificate, SECRETS.kubeconfig);
    return end === undefined ? undefined : { lines: [end], actions: [keep] };
  });
}

/** Exactly the nodes of the inventory are registered, under their names, and ready. */
export function healthyNodes(talos: Talos, kubernetes: Kubernetes): Step {
  const { nodes } = talos;
  const names = nodes.map(({ name }) => name).join(', ');
  let begin = 0;
  const actions = [
    action(`wait until ${names} are ready`, async (progress) => {
      begin = Date.now();
      await untilNone(`nodes ${names} to be ready`, { seconds: HEALTH_SECONDS }, progress, async () => {
        const known = await registeredNodes(kubernetes);
        if (known === undefined) return ['the Kubernetes API does not answer'];
        try {
          assertNames(nodes, known);
          assertSchedulable(known);
        } catch (error) {
          throw new Final(error);
        }
        return notReady(nodes, known).map((name) => `${name} is not ready`);
      });
    }),
    action(`talosctl health (both at most ${HEALTH_SECONDS / 60} minutes)`, async (progress) => {
      progress('talosctl health');
      await health(talos, Math.max(60, HEALTH_SECONDS - Math.round((Date.now() - begin) / SECOND)));
    }),
  ];
  return step(`nodes ${names} are ready`, async () => {
    const found = await registeredNodes(kubernetes);
    if (found !== undefined) {
      assertNames(nodes, found);
      if (notReady(nodes, found).length === 0) return undefined;
      assertSchedulable(found);
    }
    return { actions };
  });
}

/** Names of nodes that are not ready, or not registered. */
function notReady(nodes: readonly TalosNode[], known: readonly any[]): string[] {
  return nodes
    .map(({ name }) => name)
    .filter((name) => !known.some((node) => node.metadata.name === name && isReady(node)));
}

/** The nodes by address: without a discovery service Talos does not know them. */
async function health({ nodes, controlPlane }: Talos, seconds: number): Promise<void> {
  const addresses = (role: TalosMachine['role']) =>
    nodes.filter(({ machine }) => machine.role === role).map(({ machine }) => machine.address);
  await controlPlane.read(
    [
      ...['health', '--wait-timeout', `${seconds}s`, '--control-plane-nodes', addresses('control-plane').join(',')],
      ...(addresses('worker').length > 0 ? ['--worker-nodes', addresses('worker').join(',')] : []),
    ],
    { seconds: seconds + 30, waitsFor: 'talosctl health' },
  );
}

/** The labels on which databases find their nodes. */
export function labels(talos: Talos, kubernetes: Kubernetes): Step {
  const wanted = talos.nodes.flatMap(({ name, machine }) =>
    Object.entries(machine.labels ?? {}).map(([key, value]) => ({ name, key, value })),
  );
  const missing = async () => {
    const nodes = (await registeredNodes(kubernetes)) ?? [];
    if (nodes.length === 0) throw new NotReady('the Kubernetes API does not answer yet');
    return wanted
      .filter(
        ({ name, key, value }) => nodes.find((node) => node.metadata.name === name)?.metadata.labels?.[key] !== value,
      )
      .map(({ name, key, value }) => `${name}: ${key}=${value}`);
  };
  const wait = (progress: Progress) =>
    untilNone('labels of nodes', { seconds: 120 }, progress, missing).catch(async (error: unknown) => {
      if (!isFault(error)) throw error;
      throw new Blocked(
        `Talos must set ${(await missing()).join(', ')}, but has not. If the API server refuses one label, Talos sets none: npm run bootstrap -- talosctl NODE -- dmesg | grep -i label`,
      );
    });
  return step('nodes have their labels', async () => {
    const left = await missing();
    if (left.length === 0) return undefined;
    return { lines: left, actions: [action('wait until Talos has set them', wait)] };
  });
}

/** Every data disk of a node has its file system, so that a database never starts on the system disk. */
export function volumes(node: TalosNode): Step {
  const serials = Object.keys(node.machine.dataDisks ?? {});
  return step(`${node.name} has mounted ${serials.join(', ')}`, async () => {
    await node.version();
    const left = await unreadyVolumes(node);
    // What is missing changes by the second; what is waited for does not.
    if (left.length === 0) return undefined;
    return {
      actions: [action('wait until Talos has mounted them', (progress) => volumesReady(node, progress))],
    };
  });
}

export function volumesReady(node: TalosNode, progress: Progress): Promise<void> {
  return untilNone(`the volumes of ${node.name}`, { seconds: VOLUME_SECONDS }, progress, async () => {
    const left = await unreadyVolumes(node);
    return left.length === 0 ? left : [...left, `npm run bootstrap -- talosctl ${node.name} -- get volumestatus`];
  });
}

/** Data disks whose file system is not mounted. */
export async function unreadyVolumes(node: TalosNode): Promise<string[]> {
  const found = await node.resources('volumestatus');
  return Object.keys(node.machine.dataDisks ?? {}).flatMap((serial) => {
    const { phase, errorMessage } = found.find(({ metadata }) => metadata.id === userVolume(serial))?.spec ?? {};
    if (phase === 'ready') return [];
    return [`${serial} is ${phase ?? 'not there'}${errorMessage ? ` (${errorMessage})` : ''}`];
  });
}

/**
 * talosctl health waits for nodes that take no pods, as long as it may, and would fail.
 * @throws NotReady when somebody must end a maintenance first; steps before this one may be what it waits for
 */
export function assertSchedulable(nodes: readonly any[]): void {
  for (const node of nodes.filter(isClosed)) {
    const { name } = node.metadata;
    const command = unfinished(node);
    throw new NotReady(
      command !== undefined
        ? `the maintenance of ${name} is unfinished. To finish it: npm run bootstrap -- ${command}`
        : `${name} takes no pods, because someone cordoned it: kubectl uncordon ${name}`,
    );
  }
}

/** Someone must uncordon it. */
function isClosed(node: any): boolean {
  const { annotations } = node.metadata;
  return (
    unfinished(node) !== undefined ||
    (node.spec?.unschedulable === true && annotations?.[CORDONED_BY_TALOS] === undefined)
  );
}

/** @throws Blocked when a node is not called as in the inventory: a rename later would orphan every local volume */
function assertNames(wanted: readonly TalosNode[], nodes: readonly any[]): void {
  const wrong = nodes.find(({ metadata }) => !wanted.some(({ name }) => name === metadata.name));
  if (wrong === undefined) return;
  const { name } = wrong.metadata;
  const address = (wrong.status?.addresses ?? []).find(({ type }: any) => type === 'InternalIP')?.address;
  const meant = wanted.find(({ machine }) => machine.address === address)?.name;
  const fix = `before any data is on it: kubectl delete node ${name}, then npm run bootstrap -- apply talos`;
  throw new Blocked(
    meant === undefined
      ? `node ${name} (${address ?? 'without an address'}) is in the cluster, but not in homelab.ts; add it there, or if it was removed: kubectl delete node ${name}`
      : `the node at ${address} must be ${meant}, as in homelab.ts, but registered as ${name}; ${fix}`,
  );
}
