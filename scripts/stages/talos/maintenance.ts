import { hostOf, type TalosMachine } from '../../../inventory';
import { nodesInOrder, proxmox, type Context } from '../../clients/context';
import { isFault, NotReady, Problem, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { sayOnce, until } from '../../engine/wait';
import { installerImage } from '../../../machines/images';
import { downSeconds } from '../../../machines/vms';
import { etcdAnswers, volumesReady } from './cluster';
import { isReady } from '../../clients/kubernetes-nodes';
import { nodeObject } from '../../clients/kubernetes-nodes';
import { registeredNodes } from '../../clients/kubernetes-nodes';
import { isStaged } from './configuration';
import { databasePodsOn, flush, unreadyPods } from './flush';
import { etcdSnapshot } from './kubernetes';
import { again, NOTE, type Restart } from './maintenance-note';
import { bootId, changeNode, isOn, nodeState, probe, resources } from '../../clients/talos';
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

/** A node whose databases cannot move is started again: without a drain, which their disruption budgets would block. */
export function maintenance(context: Context, name: string, machine: TalosMachine, restart: Restart): Step[] {
  const pods = databasePodsOn(context.homelab, name);
  const podNames = pods.map(({ namespace, name }) => `${namespace}/${name}`);
  let over = false;

  const write = (note: Note) =>
    context.kubernetes.change(['annotate', 'node', name, `${NOTE}=${JSON.stringify(note)}`, '--overwrite']);
  const read = async () => {
    const node = await nodeOf(context, name);
    return { node, note: noteOf(node, name, restart) };
  };
  /** Whether that phase is reached. @throws Later when the one before it is not */
  const reached = async (phase: Phase): Promise<boolean> => {
    const { note } = await read();
    const index = PHASES.indexOf(phase);
    const now = note === undefined ? (over ? PHASES.length : -1) : PHASES.indexOf(note.phase);
    if (now < index - 1) throw new NotReady(`${name} is not there yet`);
    return now >= index;
  };

  return [
    // Cut off while it was off: without the only control plane nothing else can be seen.
    ...(restart === 'stop' ? [running(context, name, machine)] : []),
    {
      title: `${name} takes no new pods`,
      async plan() {
        const { node, note } = await read();
        const isOpenAgain = note?.phase === 'back' || note?.phase === 'open';
        if (over || isOpenAgain || (note !== undefined && node.spec?.unschedulable === true)) return undefined;
        const sick = await othersNotReady(context, name);
        return {
          lines: [`kubectl cordon ${name}`],
          asks: [
            ...(sick.length > 0
              ? [`not ready: ${sick.join(', ')}; with ${name} away too, databases may not serve`]
              : []),
            `${name} ${WORDS[restart]}${pods.length > 0 ? `; meanwhile these are away: ${podNames.join(', ')}` : ''}${machine.role === 'control-plane' ? '; the Kubernetes API is away for minutes' : ''}`,
          ],
        };
      },
      async apply() {
        const { note } = await read();
        if (note === undefined) await write({ phase: 'announced', restart });
        await context.kubernetes.change(['cordon', name]);
      },
    },
    {
      title: `databases on ${name} have written to their disks`,
      async plan() {
        if (await reached('flushed')) return undefined;
        return { lines: podNames.length > 0 ? [`flush ${podNames.join(', ')}`] : ['no database is on it'] };
      },
      async apply(_, progress) {
        await flush(context, pods, progress);
        await write({ phase: 'flushed', restart });
      },
    },
    {
      title: `${name} has started again`,
      async plan() {
        const { note } = await read();
        // 'restarting' only says that it was begun.
        if (note?.phase === 'restarting') return { lines: restartLines(context, machine, restart) };
        if (await reached('restarting')) return undefined;
        const staged = restart !== 'upgrade' && (await isStaged(context, machine));
        return {
          lines: [
            ...restartLines(context, machine, restart),
            ...(staged ? ['its staged configuration takes effect'] : []),
          ],
        };
      },
      async apply(_, progress) {
        let { note } = await read();
        if (note?.phase !== 'restarting') {
          if (restart === 'upgrade')
            await etcdSnapshot(context, `before-${name}-${context.homelab.versions.talos}`, progress);
          note = { phase: 'restarting', restart, boot: await bootId(context, machine) };
          await write(note);
        }
        await startAgain(context, name, machine, note, progress);
        await write({ ...note, phase: 'back' });
      },
    },
    {
      title: `${name} takes pods again`,
      async plan() {
        return (await reached('open')) ? undefined : { lines: [`kubectl uncordon ${name}`] };
      },
      async apply(_, progress) {
        const { note } = await read();
        await context.kubernetes.change(['uncordon', name]);
        await write({ ...note!, phase: 'open' });
        // A disk that does not come back must not keep the databases of the others away; without it its own does not start.
        await volumesReady(context, name, machine, progress);
      },
    },
    {
      title: podNames.length > 0 ? `${podNames.join(', ')} serve again` : `maintenance of ${name} is over`,
      async plan() {
        if (over) return undefined;
        if (!(await reached('open'))) throw new NotReady(`${name} is not there yet`);
        return {
          lines: [
            ...(podNames.length > 0 ? [`wait for ${podNames.join(', ')}`] : []),
            `forget the maintenance of ${name}`,
          ],
        };
      },
      async apply(_, progress) {
        await until(`databases on ${name}`, { seconds: QUORUM_SECONDS }, progress, async () => {
          const left = await unreadyPods(context.kubernetes, pods);
          if (left.length > 0) throw new Problem(`not ready: ${left.join(', ')}`);
          return true;
        });
        await context.kubernetes.change(['annotate', 'node', name, `${NOTE}-`]);
        over = true;
      },
    },
  ];
}

const WORDS: Readonly<Record<Restart, string>> = {
  reboot: 'is started again',
  stop: 'is switched off and on again',
  upgrade: 'gets another version of Talos and is started again',
};

/** Waits for the API server: the control plane itself may be under maintenance. @throws Later while it is off */
async function nodeOf(context: Context, name: string): Promise<any> {
  const node = await until(`the Kubernetes API to show ${name}`, { seconds: START_SECONDS }, sayOnce(), async () => {
    try {
      return await nodeObject(context.kubernetes, name);
    } catch (error) {
      // Returned, because whatever is thrown here is tried again.
      if (isFault(error) && !(await isOn(context, name))) return new NotReady(`${name} is off`);
      throw error;
    }
  });
  if (node instanceof NotReady) throw node;
  return node;
}

/** Nodes, and members elsewhere of the databases on this node, that are not there to take over. */
async function othersNotReady(context: Context, name: string): Promise<string[]> {
  const others = ((await registeredNodes(context.kubernetes)) ?? []).filter(({ metadata }) => metadata.name !== name);
  const here = new Set(databasePodsOn(context.homelab, name).map(({ namespace }) => namespace));
  const members = nodesInOrder(context)
    .filter(([each]) => each !== name)
    .flatMap(([each]) => databasePodsOn(context.homelab, each))
    .filter(({ namespace }) => here.has(namespace));
  return [
    ...others.filter((node) => !isReady(node)).map(({ metadata }) => metadata.name),
    ...(await unreadyPods(context.kubernetes, members)),
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
      `the annotation ${NOTE} of node ${name} must be ours, and is ${JSON.stringify(text)}; kubectl annotate node ${name} ${NOTE}- removes it`,
    );
  if (note.restart !== restart)
    throw new Blocked(
      `another maintenance of ${name} was begun and not ended: npm run bootstrap -- ${again(name, note.restart!)} finishes it`,
    );
  return note as Note;
}

function restartLines(context: Context, machine: TalosMachine, restart: Restart): string[] {
  const { address, vmid } = machine;
  const down = downSeconds(context.homelab, machine);
  if (restart === 'stop')
    return [`qm shutdown ${vmid} --timeout ${down}, then qm start ${vmid} on ${hostOf(context.homelab, machine)}`];
  if (restart === 'upgrade')
    return [
      'an etcd snapshot first',
      `talosctl -n ${address} upgrade --drain=false --image ${installerImage(context.homelab)}`,
    ];
  return [`talosctl -n ${address} reboot, without a drain`];
}

/** Sends the command unless an earlier run did, and waits until the node has another boot id and is ready. */
async function startAgain(
  context: Context,
  name: string,
  machine: TalosMachine,
  { restart, boot }: Note,
  progress: (what: string) => void,
): Promise<void> {
  const down = downSeconds(context.homelab, machine);
  const host = proxmox(context, hostOf(context.homelab, machine));
  const vmid = String(machine.vmid);
  if (restart === 'stop' && !(await isOn(context, name))) await context.commands.change(host, ['qm', 'start', vmid]);
  await nodeState(context, name, machine);
  if ((await bootId(context, machine)) === boot && !(await goesDown(context, machine))) {
    progress(`${name} goes down`);
    if (restart === 'reboot') await changeNode(context, machine, ['reboot', '--wait=false']);
    if (restart === 'upgrade')
      await changeNode(
        context,
        machine,
        ['upgrade', '--image', installerImage(context.homelab), '--drain=false', '--wait=false'],
        { seconds: 1200, waitsFor: 'the image of Talos to be pulled and installed' },
      );
    if (restart === 'stop') {
      await context.commands.change(host, ['qm', 'shutdown', vmid, '--timeout', String(down)], {
        seconds: down + 60,
        waitsFor: `${name} to shut down`,
      });
      await context.commands.change(host, ['qm', 'start', vmid]);
    }
  }
  const version = await until(`${name} to be ready again`, { seconds: down + START_SECONDS }, progress, async () => {
    const state = await probe(context, machine);
    const now = await bootId(context, machine);
    if (state.mode === 'maintenance' || now === boot) return undefined;
    // Before the next control plane goes: its image of etcd may have to be pulled.
    if (machine.role !== 'worker' && !(await etcdAnswers(context, machine))) return undefined;
    return isReady(await nodeObject(context.kubernetes, name), now) ? state.version : undefined;
  });
  const wanted = context.homelab.versions.talos;
  if (restart === 'upgrade' && version !== wanted)
    throw new Blocked(
      `${name} must have started with Talos ${wanted}, and started with ${version}: it went back by itself; look at npm run bootstrap -- talosctl ${name} -- dmesg, then kubectl annotate node ${name} ${NOTE}- and kubectl uncordon ${name}`,
    );
}

/** It was told by a run that was cut off: another order would cut short what its pods are doing to end. */
async function goesDown(context: Context, machine: TalosMachine): Promise<boolean> {
  const stage = (await resources(context, machine, ['machinestatus']))[0]?.spec?.stage;
  return ['rebooting', 'shutting down', 'upgrading'].includes(stage);
}
