import type { TalosMachine } from '../../../inventory';
import { isReady } from '../../clients/kubernetes-nodes';
import { registeredNodes } from '../../clients/kubernetes-nodes';
import { SECRETS } from '../../engine/sops';
import { CommandFailed } from '../../engine/commands';
import { nodesInOrder, type Context } from '../../clients/context';
import { isFault, NotReady, Problem, Blocked } from '../../engine/problem';
import { secretTree } from '../../engine/sops';
import type { Step } from '../../engine/step';
import { sayOnce, SECOND, until } from '../../engine/wait';
import { userVolume } from '../../../machines/talos';
import { unfinished } from './maintenance-note';
import { changeNode, configured, nodeState, readNode, resources } from '../../clients/talos';
import { day, endOf, endsSoon } from './secrets';

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
export function bootstrapEtcd(context: Context): Step {
  const [name, machine] = nodesInOrder(context)[0]!;
  return {
    title: 'etcd has begun',
    async plan() {
      await configured(context, name, machine);
      if (await etcdAnswers(context, machine)) return undefined;
      if (context.sops.exists(SECRETS.kubeconfig)) {
        // A cluster that was there is never begun anew: that would be an empty one, and Argo CD would fill it.
        const back = await until('etcd to start', { seconds: ETCD_AGAIN_SECONDS }, sayOnce(), async () =>
          (await etcdAnswers(context, machine)) ? true : undefined,
        ).catch((error: unknown) => {
          if (!isFault(error)) throw error;
          return false;
        });
        if (back) return undefined;
        for (const [other, each] of nodesInOrder(context).slice(1))
          if (each.role !== 'worker' && (await etcdAnswers(context, each)))
            throw new Blocked(
              `etcd does not run on ${name}, and it does on ${other}, which lets it join; npm run bootstrap -- talosctl ${name} -- dmesg says why it has not`,
            );
        throw new Blocked(
          `etcd does not run on ${name}, and ${SECRETS.kubeconfig} says that the cluster existed; restore it (docs/worst-day.md): npm run bootstrap -- talosctl ${name} -- bootstrap --recover-from=.homelab/etcd/SNAPSHOT. For a new, empty cluster remove that file`,
        );
      }
      return { lines: [`talosctl -n ${machine.address} bootstrap (once for the life of the cluster)`] };
    },
    async apply(_, progress) {
      const begun = await until(`${name} to let etcd begin`, { seconds: HEALTH_SECONDS }, progress, () =>
        begin(context, name, machine),
      );
      if (begun !== true) throw begun;
      await until(`etcd to answer on ${name}`, { seconds: ETCD_SECONDS }, progress, async () => {
        if (await etcdAnswers(context, machine)) return true;
        throw new Problem(`it is ${await etcdState(context, machine)}; npm run bootstrap -- talosctl ${name} -- dmesg`);
      });
    },
  };
}

/**
 * Sends `bootstrap`, at most once: for another one Talos first stops the etcd that just begins, and then may refuse, because
 * its folder is no longer empty (services/etcd.go, BootstrapEtcd).
 * @returns true when etcd has begun, or why it cannot, for whatever is thrown is tried again
 */
async function begin(context: Context, name: string, machine: TalosMachine): Promise<true | Problem> {
  if (await etcdAnswers(context, machine)) return true;
  const state = await etcdState(context, machine);
  // A call of an earlier run, or one whose answer was lost.
  if (state === 'Running') return true;
  if (!WAITS_FOR_BOOTSTRAP.includes(state)) throw new Problem(`etcd is ${state}`);
  try {
    await changeNode(context, machine, ['bootstrap'], { seconds: 60 });
  } catch (error) {
    if (!isFault(error)) throw error;
    const said = error instanceof CommandFailed ? error.output.stderr : '';
    if (NOT_YET.test(said)) throw error;
    if (!said.includes('AlreadyExists')) return error;
    // A call that came while etcd wrote its first files stops it, and is refused; only a start of the node starts it again.
    if (state === 'Finished')
      return new Problem(
        `etcd began on ${machine.address} and was stopped; npm run bootstrap -- talosctl ${name} -- reboot`,
      );
  }
  return true;
}

/** How kubectl logs in, the key encrypted. It is given out anew before its certificate ends. */
export function kubeconfig(context: Context): Step {
  const [name, machine] = nodesInOrder(context)[0]!;
  return {
    title: `the login of kubectl, encrypted in ${SECRETS.kubeconfig}`,
    async plan() {
      const tree = (await context.sops.read(SECRETS.kubeconfig)) as any;
      const what = `talosctl -n ${machine.address} kubeconfig: kept encrypted in ${SECRETS.kubeconfig}`;
      if (tree === undefined) {
        if ((await nodeState(context, name, machine)).mode === 'maintenance') throw new NotReady('etcd begins first');
        return { lines: [what] };
      }
      const { clientCertificateData, token } = tree.credential?.status ?? {};
      if (clientCertificateData === undefined && token) return undefined;
      const end = endOf(clientCertificateData, SECRETS.kubeconfig);
      return endsSoon(end) ? { lines: [`${what} (the certificate ends on ${day(end)})`] } : undefined;
    },
    async apply(_, progress) {
      const text = await until(`${name} to give out a kubeconfig`, { seconds: 300 }, progress, async () => {
        const { stdout } = await readNode(context, machine, ['kubeconfig', '-', '--merge=false']);
        if (!Array.isArray(secretTree(stdout, 'talosctl kubeconfig').users))
          throw new Problem('talosctl kubeconfig must answer with a kubeconfig, and did not');
        return stdout;
      });
      await context.kubernetes.keepKubeconfig(text);
    },
  };
}

/** Every node of the inventory is there under its own name, ready, and nobody else. */
export function healthyNodes(context: Context): Step {
  const wanted = nodesInOrder(context);
  const names = wanted.map(([name]) => name).join(', ');
  const addresses = (role: TalosMachine['role']) =>
    wanted.filter(([, machine]) => machine.role === role).map(([, { address }]) => address);
  return {
    title: `nodes ${names} are ready`,
    async plan() {
      const found = await registeredNodes(context.kubernetes);
      if (found !== undefined) {
        assertNames(context, found);
        if (wanted.every(([name]) => found.some((node) => node.metadata.name === name && isReady(node))))
          return undefined;
        assertSchedulable(found);
      }
      return { lines: [`wait until ${names} are ready (talosctl health, at most ${HEALTH_SECONDS / 60} minutes)`] };
    },
    async apply(_, progress) {
      const [, first] = wanted[0]!;
      const begin = Date.now();
      const found = await until(`nodes ${names} to be ready`, { seconds: HEALTH_SECONDS }, progress, async () => {
        const nodes = await registeredNodes(context.kubernetes);
        // Returned at once, because whatever is thrown here is tried again.
        if (nodes !== undefined && (wrongNames(context, nodes).length > 0 || nodes.some(isClosed))) return nodes;
        const missing = wanted.filter(([name]) => !nodes?.some((node) => node.metadata.name === name && isReady(node)));
        if (missing.length > 0)
          throw new Problem(
            nodes ? `not ready: ${missing.map(([name]) => name).join(', ')}` : 'the Kubernetes API does not answer',
          );
        return nodes;
      });
      assertNames(context, found);
      assertSchedulable(found);
      const left = Math.max(60, HEALTH_SECONDS - Math.round((Date.now() - begin) / SECOND));
      progress('talosctl health');
      // The nodes by address: without a discovery service nobody tells Talos of them.
      await readNode(
        context,
        first,
        [
          ...['health', '--wait-timeout', `${left}s`, '--control-plane-nodes', addresses('control-plane').join(',')],
          ...(addresses('worker').length > 0 ? ['--worker-nodes', addresses('worker').join(',')] : []),
        ],
        { seconds: left + 30, waitsFor: 'talosctl health' },
      );
    },
  };
}

/** The labels on which databases find their nodes. */
export function labels(context: Context): Step {
  const wanted = nodesInOrder(context).flatMap(([name, machine]) =>
    Object.entries(machine.labels ?? {}).map(([key, value]) => ({ name, key, value })),
  );
  const missing = async () => {
    const nodes = (await registeredNodes(context.kubernetes)) ?? [];
    if (nodes.length === 0) throw new NotReady('the Kubernetes API does not answer yet');
    return wanted
      .filter(
        ({ name, key, value }) => nodes.find((node) => node.metadata.name === name)?.metadata.labels?.[key] !== value,
      )
      .map(({ name, key, value }) => `${name}: ${key}=${value}`);
  };
  return {
    title: 'nodes have their labels',
    async plan() {
      const left = await missing();
      return left.length === 0 ? undefined : { lines: left.map((each) => `wait for ${each}, which Talos sets`) };
    },
    async apply(_, progress) {
      const left = await until('labels of nodes', { seconds: 120 }, progress, async () =>
        (await missing()).length === 0 ? true : undefined,
      ).catch(async (error: unknown) => {
        if (!isFault(error)) throw error;
        return (await missing()).join(', ');
      });
      if (left !== true)
        throw new Blocked(
          `Talos must set ${left}, and has not; one label that the API server refuses keeps all of a node away: npm run bootstrap -- talosctl NODE -- dmesg | grep -i label`,
        );
    },
  };
}

/** Every data disk of a node has its file system, so that a database never starts on the system disk. */
export function volumes(context: Context, name: string, machine: TalosMachine): Step {
  const serials = Object.keys(machine.dataDisks ?? {});
  return {
    title: `${name} has mounted ${serials.join(', ')}`,
    async plan() {
      await configured(context, name, machine);
      const left = await unready(context, machine);
      // What is missing changes by the second; what is waited for does not.
      return left.length === 0 ? undefined : { lines: [`wait for the volumes ${serials.join(', ')}`] };
    },
    apply: (_, progress) => volumesReady(context, name, machine, progress),
  };
}

export async function volumesReady(
  context: Context,
  name: string,
  machine: TalosMachine,
  progress: (what: string) => void,
): Promise<void> {
  await until(`the volumes of ${name}`, { seconds: VOLUME_SECONDS }, progress, async () => {
    const left = await unready(context, machine);
    if (left.length > 0)
      throw new Problem(`${left.join('; ')}; npm run bootstrap -- talosctl ${name} -- get volumestatus`);
    return true;
  });
}

async function unready(context: Context, machine: TalosMachine): Promise<string[]> {
  const found = await resources(context, machine, ['volumestatus']);
  return Object.keys(machine.dataDisks ?? {}).flatMap((serial) => {
    const { phase, errorMessage } = found.find(({ metadata }) => metadata.id === userVolume(serial))?.spec ?? {};
    if (phase === 'ready') return [];
    return [`${serial} is ${phase ?? 'not there'}${errorMessage ? ` (${errorMessage})` : ''}`];
  });
}

function assertNames(context: Context, nodes: readonly any[]): void {
  const [wrong] = wrongNames(context, nodes);
  if (wrong !== undefined) throw new Blocked(wrong);
}

/**
 * talosctl health waits for nodes that take no pods, as long as it may, and would fail.
 * @throws Later when somebody must end a maintenance first; steps before this one may be what it waits for
 */
export function assertSchedulable(nodes: readonly any[]): void {
  for (const node of nodes.filter(isClosed)) {
    const { name } = node.metadata;
    const command = unfinished(node);
    throw new NotReady(
      command !== undefined
        ? `a maintenance of ${name} was begun and not ended: npm run bootstrap -- ${command} finishes it`
        : `${name} takes no pods, because somebody cordoned it; kubectl uncordon ${name}`,
    );
  }
}

/** Somebody must open it again. */
function isClosed(node: any): boolean {
  const { annotations } = node.metadata;
  return (
    unfinished(node) !== undefined ||
    (node.spec?.unschedulable === true && annotations?.[CORDONED_BY_TALOS] === undefined)
  );
}

/** Nodes that are not called as in the inventory: a rename later would orphan every local volume. */
function wrongNames(context: Context, nodes: readonly any[]): string[] {
  const wanted = nodesInOrder(context);
  return nodes.flatMap(({ metadata: { name }, status }) => {
    if (wanted.some(([each]) => each === name)) return [];
    const address = (status?.addresses ?? []).find(({ type }: any) => type === 'InternalIP')?.address;
    const meant = wanted.find(([, machine]) => machine.address === address)?.[0];
    const fix = `before any data is on it: kubectl delete node ${name}, then npm run bootstrap -- apply talos`;
    return [
      meant === undefined
        ? `node ${name} (${address ?? 'without an address'}) is in the cluster and not in homelab.ts; add it there, or once it is gone for good: kubectl delete node ${name}`
        : `the node at ${address} must be ${meant}, as in homelab.ts, and registered as ${name}; ${fix}`,
    ];
  });
}

/** As Talos calls it: Waiting, Preparing, Running and so on. */
async function etcdState(context: Context, machine: TalosMachine): Promise<string> {
  const { stdout } = await readNode(context, machine, ['service', 'etcd'], { seconds: 30 });
  const state = /^STATE +(\w+)$/m.exec(stdout)?.[1];
  if (state === undefined)
    throw new Problem(`talosctl service etcd must name a state, and answered ${JSON.stringify(stdout.slice(0, 120))}`);
  return state;
}

export async function etcdAnswers(context: Context, machine: TalosMachine): Promise<boolean> {
  try {
    const { stdout } = await readNode(context, machine, ['etcd', 'members'], { seconds: 30 });
    // A table: its head, and a line for each member.
    if (!stdout.includes('PEER URLS'))
      throw new Problem(
        `talosctl etcd members must list members, and answered ${JSON.stringify(stdout.slice(0, 120))}`,
      );
    return true;
  } catch (error) {
    if (error instanceof CommandFailed) return false;
    throw error;
  }
}
