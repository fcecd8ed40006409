import { downSeconds, type Homelab } from '../../../inventory';
import { installerImage } from '../../../machines/images';
import { isReady, nodeObject, registeredNodes } from '../../clients/kubernetes-nodes';
import type { TalosNode } from '../../clients/talos';
import { action } from '../../engine/actions';
import { isFault, NotReady, Blocked } from '../../engine/problem';
import { step, type Action, type Progress, type Step } from '../../engine/step';
import type { Sops } from '../../engine/sops';
import { Final, sayOnce, until, untilNone } from '../../engine/wait';
import { volumesReady } from './cluster';
import { isStaged } from './configuration';
import { databasePodsOn, flush, unreadyPods, type DatabasePod } from './flush';
import { snapshotAction, type ClusterClients } from './kubernetes';
import { again, NOTE, type Restart } from './maintenance-note';
import { running } from './running';

const PHASES = ['announced', 'flushed', 'restarting', 'back', 'open'] as const;
type Phase = (typeof PHASES)[number];

interface Note {
  readonly phase: Phase;
  readonly restart: Restart;
  /** Boot id before the restart. */
  readonly boot?: string;
}

/** Starting takes a minute or two; an upgrade pulls an image before. */
const START_SECONDS = 600;

/** Cassandra replays its commit log, MongoDB its journal: startupProbes allow 60 and 10 minutes. */
const QUORUM_SECONDS = 3900;

/** The API server, the nodes, and the logins of the databases on them. */
type Clients = ClusterClients & { readonly sops: Sops };

/** Restarts a node whose databases cannot move: without a drain, which their disruption budgets would block. */
export function maintenance(clients: Clients, node: TalosNode, restart: Restart): Step[] {
  const of = new Maintenance(clients, node, restart);
  return [
    // Cut off while it was off: without the only control plane nothing else can be seen.
    ...(restart === 'stop' ? [running(node)] : []),
    cordon(of),
    flushed(of),
    restarted(of),
    uncordon(of),
    served(of),
  ];
}

/** The maintenance of one node and its phase, shared by its steps. */
class Maintenance {
  readonly name: string;
  /** Pods with disks on this node. */
  readonly pods: readonly DatabasePod[];
  readonly podNames: string;
  /** Whether this run has ended it. */
  isOver = false;

  constructor(
    readonly clients: Clients,
    readonly node: TalosNode,
    readonly restart: Restart,
  ) {
    this.name = node.name;
    this.pods = databasePodsOn(clients.homelab, node.name);
    this.podNames = this.pods.map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
  }

  async read() {
    const node = await nodeOf(this.clients, this.node);
    return { node, note: noteOf(node, this.name, this.restart) };
  }

  /** Records the phase, for a run that continues after an interruption. */
  async write(note: Omit<Note, 'restart'>): Promise<void> {
    const text = JSON.stringify({ ...note, restart: this.restart });
    await this.clients.kubernetes.change(['annotate', 'node', this.name, `${NOTE}=${text}`, '--overwrite']);
  }

  /** Whether that phase is reached. @throws NotReady when the one before it is not */
  async reached(phase: Phase): Promise<boolean> {
    const { note } = await this.read();
    const index = PHASES.indexOf(phase);
    const now = note === undefined ? (this.isOver ? PHASES.length : -1) : PHASES.indexOf(note.phase);
    if (now < index - 1) throw new NotReady(`${this.name} has not restarted yet`);
    return now >= index;
  }
}

function cordon(of: Maintenance): Step {
  const { name, restart, podNames } = of;
  const { role } = of.node.machine;
  const order = of.clients.kubernetes.command(['cordon', name]);
  const actions = [
    action(order.lines, async (progress) => {
      if ((await of.read()).note === undefined) await of.write({ phase: 'announced' });
      await order.run(progress);
    }),
  ];
  return step(`${name} takes no new pods`, async () => {
    const { node, note } = await of.read();
    const isOpenAgain = note?.phase === 'back' || note?.phase === 'open';
    if (of.isOver || isOpenAgain || (note !== undefined && node.spec?.unschedulable === true)) return undefined;
    const sick = await othersNotReady(of.clients, name);
    return {
      actions,
      asks: [
        ...(sick.length > 0 ? [`not ready: ${sick.join(', ')}; without ${name} too, databases may not serve`] : []),
        `${name} ${WORDS[restart]}${podNames === '' ? '' : `; meanwhile these do not run: ${podNames}`}${role === 'control-plane' ? '; the Kubernetes API does not answer for some minutes' : ''}`,
      ],
    };
  });
}

function flushed(of: Maintenance): Step {
  const { name, pods, podNames } = of;
  const actions = [
    action(podNames === '' ? `no database is on ${name}: nothing to flush` : `flush ${podNames}`, async (progress) => {
      await flush(of.clients.kubernetes, of.clients.sops, pods, progress);
      await of.write({ phase: 'flushed' });
    }),
  ];
  return step(`databases on ${name} have written to their disks`, async () =>
    (await of.reached('flushed')) ? undefined : { actions },
  );
}

function restarted(of: Maintenance): Step {
  const { name, node, restart, clients } = of;
  const begin = async () => {
    if ((await of.read()).note?.phase === 'restarting') return;
    await of.write({ phase: 'restarting', boot: await node.bootId() });
  };
  const order = restartAction(of);
  const actions = [
    ...(restart === 'upgrade' ? [snapshotOnce(of)] : []),
    action(order.lines, async (progress) => {
      await begin();
      await order.run(progress);
    }),
    action(`wait until ${name} is ready, with another boot id`, async (progress) => {
      const note = (await of.read()).note!;
      await backAgain(clients, node, note, progress);
      await of.write({ ...note, phase: 'back' });
    }),
  ];
  return step(`${name} has started again`, async () => {
    const { note } = await of.read();
    // 'restarting' only says that it was begun.
    if (note?.phase === 'restarting') return { actions };
    if (await of.reached('restarting')) return undefined;
    const staged = restart !== 'upgrade' && (await isStaged(node));
    return { lines: staged ? ['its staged configuration takes effect'] : [], actions };
  });
}

/** Not repeated if an earlier run has started the restart. */
function snapshotOnce(of: Maintenance): Action {
  const { lines, run } = snapshotAction(of.clients.talos, `before-${of.name}-${of.clients.homelab.versions.talos}`);
  return action(lines, async (progress) => {
    if ((await of.read()).note?.phase !== 'restarting') await run(progress);
  });
}

function uncordon(of: Maintenance): Step {
  const { name, node } = of;
  const open = of.clients.kubernetes.command(['uncordon', name]);
  const hasDisks = Object.keys(node.machine.dataDisks ?? {}).length > 0;
  const actions = [
    action(open.lines, async (progress) => {
      const { note } = await of.read();
      await open.run(progress);
      await of.write({ ...note!, phase: 'open' });
    }),
    // A disk that does not come back must not keep the databases of the others away; without it its own does not start.
    ...(hasDisks ? [action('wait until its data disks are mounted', (progress) => volumesReady(node, progress))] : []),
  ];
  return step(`${name} takes pods again`, async () => ((await of.reached('open')) ? undefined : { actions }));
}

function served(of: Maintenance): Step {
  const { name, pods, podNames } = of;
  const { kubernetes } = of.clients;
  const wait = action(`wait until these are ready: ${podNames}`, (progress) =>
    untilNone(`databases on ${name} to be ready`, { seconds: QUORUM_SECONDS }, progress, () =>
      unreadyPods(kubernetes, pods),
    ),
  );
  const forget = kubernetes.command(['annotate', 'node', name, `${NOTE}-`]);
  const end = action(forget.lines, async (progress) => {
    await forget.run(progress);
    of.isOver = true;
  });
  return step(podNames === '' ? `maintenance of ${name} is over` : `${podNames} serve again`, async () => {
    if (of.isOver) return undefined;
    if (!(await of.reached('open'))) throw new NotReady(`${name} has not restarted yet`);
    return { actions: podNames === '' ? [end] : [wait, end] };
  });
}

const WORDS: Readonly<Record<Restart, string>> = {
  reboot: 'restarts',
  stop: 'is stopped and started',
  upgrade: 'gets another version of Talos and restarts',
};

/** Waits for the API server: the control plane itself may be under maintenance. @throws NotReady while it is off */
async function nodeOf({ kubernetes }: Clients, node: TalosNode): Promise<any> {
  const { name } = node;
  return until(`the Kubernetes API to show ${name}`, { seconds: START_SECONDS }, sayOnce(), async () => {
    try {
      return await nodeObject(kubernetes, name);
    } catch (error) {
      if (isFault(error) && !(await node.isOn())) throw new Final(new NotReady(`${name} is off`));
      throw error;
    }
  });
}

/** Nodes that are not ready, and members on other nodes that cannot take over. */
async function othersNotReady({ homelab, kubernetes, talos }: Clients, name: string): Promise<string[]> {
  const others = ((await registeredNodes(kubernetes)) ?? []).filter(({ metadata }) => metadata.name !== name);
  const here = new Set(databasePodsOn(homelab, name).map(({ namespace }) => namespace));
  const members = talos.nodes
    .filter((each) => each.name !== name)
    .flatMap((each) => databasePodsOn(homelab, each.name))
    .filter(({ namespace }) => here.has(namespace));
  return [
    ...others.filter((node) => !isReady(node)).map(({ metadata }) => metadata.name),
    ...(await unreadyPods(kubernetes, members)),
  ];
}

function noteOf(node: any, name: string, restart: Restart): Note | undefined {
  const text = node.metadata.annotations?.[NOTE];
  if (text === undefined) return undefined;
  let note: Partial<Note> = {};
  try {
    note = JSON.parse(text);
  } catch {
    // Judged below.
  }
  const good = PHASES.includes(note.phase as Phase) && (note.phase !== 'restarting' || typeof note.boot === 'string');
  if (!good || !(String(note.restart) in WORDS))
    throw new Blocked(
      `the annotation ${NOTE} of node ${name} must be ours, but is ${JSON.stringify(text)}; kubectl annotate node ${name} ${NOTE}- removes it`,
    );
  if (note.restart !== restart)
    throw new Blocked(
      `another maintenance of ${name} is unfinished. To finish it: npm run bootstrap -- ${again(name, note.restart!)}`,
    );
  return note as Note;
}

/** Sends the order to restart, unless the node has another boot id since the note, or an earlier run sent it. */
function restartAction(of: Maintenance): Action {
  const { node, restart, name } = of;
  const orders = restartOrders(of.clients.homelab, node, restart);
  const lines = orders.flatMap((each) => each.lines);
  return action(lines, async (progress) => {
    if (restart === 'stop' && !(await node.isOn())) await node.vm.start().run(progress);
    await node.state();
    const { boot } = (await of.read()).note!;
    if ((await node.bootId()) !== boot || (await goesDown(node))) return;
    progress(`${name} goes down`);
    for (const each of orders) await each.run(progress);
  });
}

function restartOrders(homelab: Homelab, node: TalosNode, restart: Restart): Action[] {
  if (restart === 'stop') return [node.vm.shutdown(downSeconds(homelab, node.machine)), node.vm.start()];
  if (restart === 'reboot') return [node.command(['reboot', '--wait=false'])];
  const options = { seconds: 1200, waitsFor: 'the image of Talos to be pulled and installed' };
  // Without a drain, which disruption budgets would block.
  return [node.command(['upgrade', '--image', installerImage(homelab), '--drain=false', '--wait=false'], options)];
}

/** Waits until the node has another boot id and is ready. */
async function backAgain(
  { homelab, kubernetes }: Clients,
  node: TalosNode,
  { restart, boot }: Note,
  progress: Progress,
): Promise<void> {
  const { name, machine } = node;
  const seconds = downSeconds(homelab, machine) + START_SECONDS;
  const version = await until(`${name} to be ready again`, { seconds }, progress, async () => {
    const state = await node.probe();
    const now = await node.bootId();
    if (state.mode === 'maintenance' || now === boot) return undefined;
    // Before the next control plane goes: its image of etcd may have to be pulled.
    if (machine.role !== 'worker' && !(await node.etcdAnswers())) return undefined;
    return isReady(await nodeObject(kubernetes, name), now) ? state.version : undefined;
  });
  const wanted = homelab.versions.talos;
  if (restart === 'upgrade' && version !== wanted)
    throw new Blocked(
      `${name} must have started with Talos ${wanted}, and started with ${version}: it went back by itself; look at npm run bootstrap -- talosctl ${name} -- dmesg, then kubectl annotate node ${name} ${NOTE}- and kubectl uncordon ${name}`,
    );
}

/** An interrupted run has already started this. A second command would shorten the time in which its pods can stop. */
async function goesDown(node: TalosNode): Promise<boolean> {
  const stage = (await node.resources('machinestatus'))[0]?.spec?.stage;
  return ['rebooting', 'shutting down', 'upgrading'].includes(stage);
}
