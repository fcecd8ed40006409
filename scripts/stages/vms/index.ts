import { hostOf } from '../../../inventory';
import { cloudInit } from '../../../machines/ai-vm';
import { snippetFiles, SYSTEM_SLOT } from '../../../machines/vms';
import { longestGrace } from '../../../values/grace';
import { proxmoxHosts, type ProxmoxHost } from '../../clients/proxmox/host';
import { differences, isCard, line, needsStart } from '../../clients/proxmox/settings';
import { hasHostDevice } from '../../clients/proxmox/vm';
import { manifests, ubuntuMachines, type Context } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import { step, type Action, type Change, type Stage, type Step } from '../../engine/step';
import { imageIsThere } from '../images';
import { requireLoginKeys } from '../login-keys';
import { diskSteps, hasAllDisks } from './disks';
import { liveVm, stopAndStart, subjects, type LiveVm, type Subject } from './live';
import { assertAddressIsFree, assertMacIsFree, assertRoom } from './room';

/** Creates the virtual machines, or shows in which field one differs. Never recreates one that has data. */
export function vms(context: Context): Stage {
  return {
    name: 'vms',
    title: 'virtual machines with their disks, started',
    async steps() {
      assertGraceFits(context);
      const steps: Step[] = [];
      for (const host of proxmoxHosts(context)) {
        steps.push(...(await snippetSteps(context, host)));
        for (const subject of subjects(context.homelab, host))
          steps.push(settingsStep(subject), ...diskSteps(subject), startStep(subject));
      }
      return steps;
    },
  };
}

/** The VM with everything but its disks. */
function settingsStep(subject: Subject): Step {
  const { vm, client } = subject;
  return step(`VM ${vm.vmid} (${vm.name}) with its settings`, async () => {
    const live = await liveVm(subject);
    if (live !== undefined && !live.shell) return changedSettings(subject, live);
    await assertCanBeMade(subject);
    const create = client.create(vm.settings);
    if (live === undefined) return { actions: [create] };
    return {
      lines: ['its creation was interrupted at the start: it is created again'],
      actions: [client.destroy({ ignoreLock: true }), create],
    };
  });
}

function changedSettings({ vm, client }: Subject, { config, leftover, status }: LiveVm): Change | undefined {
  // The boot order names the system disk, so it comes with it.
  const boot: Record<string, string> = config[SYSTEM_SLOT] === undefined ? {} : { boot: `order=${SYSTEM_SLOT}` };
  const changed = differences(config, { ...vm.settings, ...boot });
  if (changed.length === 0 && !leftover) return undefined;
  const settings = Object.fromEntries(changed.map(({ key, to }) => [key, to]));
  const asks = status === 'stopped' ? [] : questions({ vm, client }, Object.keys(settings));
  return {
    lines: [
      ...(leftover ? ['its creation was interrupted: it is completed'] : []),
      ...changed.map((each) => line('', each)),
    ],
    // While it is locked, nothing else changes it; a VM without the lock has our name.
    actions: [
      ...(changed.length > 0 ? [client.set(settings, { ignoreLock: leftover })] : []),
      ...(leftover ? [client.unlock()] : []),
    ],
    ...(asks.length > 0 && { asks }),
  };
}

/** What the owner must know of changes to a VM that runs. */
function questions({ vm, client }: Pick<Subject, 'vm' | 'client'>, keys: readonly string[]): string[] {
  const [cards, waiting] = [keys.filter(isCard), keys.filter(needsStart)];
  return [
    ...(cards.length > 0
      ? [
          `${client.label} runs, and its network card is exchanged at once: ${cards.join(', ')}. It has no network for a moment, and with another MAC until its own configuration has that. If it stays unreachable, on ${vm.host}: qm shutdown ${vm.vmid}, then qm start ${vm.vmid}. Exchange it now?`,
        ]
      : []),
    ...(waiting.length > 0
      ? [
          `${client.label} runs, so these settings change at its next ${stopAndStart(vm)}: ${waiting.join(', ')}. Nothing is stopped now. Change them?`,
        ]
      : []),
  ];
}

/** @throws Blocked when something is in the way of a VM that is not there yet */
async function assertCanBeMade(subject: Subject): Promise<void> {
  const { homelab, host, vm, client } = subject;
  if (vm.machine.kind === 'ubuntu') requireLoginKeys(homelab);
  if (!(await imageIsThere(host, vm)))
    throw new Blocked(
      `${vm.image ?? 'an image'} must be on ${vm.host} for ${client.label}, but it is not. To download it:\n  npm run bootstrap -- apply images`,
    );
  const left = await host.disks.strays(vm.vmid, {});
  if (left.length > 0)
    throw new Blocked(
      `${vm.storage} on ${vm.host} has volumes of VM ${vm.vmid}, but there is no such VM: ${left.map(({ id }) => id).join(', ')}. They may hold the data of a VM that was lost. Attach them to one:
  qm create ${vm.vmid} ...
  qm disk rescan --vmid ${vm.vmid}
or remove what is worth nothing:
  pvesm free VOLUME`,
    );
  await assertRoom(subject);
  await assertMacIsFree(subject);
  await assertAddressIsFree(subject);
}

/** Talos then waits in maintenance mode; a machine outside the cluster first starts without its GPU. */
function startStep(subject: Subject): Step {
  const { vm, client } = subject;
  return step(`VM ${vm.vmid} (${vm.name}) runs`, async () => {
    const live = await liveVm(subject);
    const change = { actions: [startOf(subject)] };
    if (live?.status === 'running') return undefined;
    // Steps before this one bring what is missing, and look at the same.
    if (live === undefined || live.leftover || live.shell || !hasAllDisks(vm, live)) return change;
    // A start with the GPU can hang the host: stage ai-vm decides on it.
    if (hasHostDevice(live.config)) return undefined;
    if (live.status !== 'stopped')
      throw new Blocked(
        `${client.label} must run or be stopped, but it is ${live.status}. Look at it in Proxmox, or:\n  qm resume ${vm.vmid}`,
      );
    await assertAddressIsFree(subject);
    return change;
  });
}

function startOf(subject: Subject): Action {
  const start = subject.client.start();
  return {
    ...start,
    async run(progress) {
      const live = await liveVm(subject);
      if (live === undefined || !hasAllDisks(subject.vm, live))
        throw new Blocked(`${subject.client.label} must have all its disks before it starts. Run this again`);
      await start.run(progress);
    },
  };
}

/** Files of cloud-init for the machines outside the cluster. */
async function snippetSteps(context: Context, host: ProxmoxHost): Promise<Step[]> {
  const ours = ubuntuMachines(context).filter(([, machine]) => hostOf(context.homelab, machine) === host.name);
  if (ours.length === 0) return [];
  const folder = await host.files.folder('snippets');
  return ours.flatMap(([name]) => {
    const texts = cloudInit(context.homelab, name);
    return Object.entries(snippetFiles(name)).map(([kind, file]) =>
      remoteFile(context.commands, host.target, {
        path: `${folder}/${file}`,
        content: texts[kind as keyof typeof texts],
      }),
    );
  });
}

/**
 * The kubelet ends ordinary pods within its grace less the critical part, and Proxmox' `down` is reckoned from it.
 * @throws Blocked when a pod of dist/ may take longer
 */
function assertGraceFits({ homelab }: Pick<Context, 'homelab'>): void {
  const { shutdownGracePeriod, shutdownGracePeriodCriticalPods: critical } = homelab.talos;
  const longest = slowestPod();
  const room = shutdownGracePeriod.toSeconds() - critical.toSeconds();
  if (longest.seconds > room)
    throw new Blocked(
      `talos.shutdownGracePeriod must be at least ${longest.seconds + critical.toSeconds()} s, but it is ${shutdownGracePeriod.toSeconds()} s: ${longest.file} takes up to ${longest.seconds} s to stop, and ${critical.toSeconds()} s are kept for critical pods`,
    );
}

function slowestPod(): { seconds: number; file: string } {
  return objects().reduce(
    (longest, { file, object }) => {
      const seconds = longestGrace([object]);
      return seconds > longest.seconds ? { seconds, file } : longest;
    },
    { seconds: longestGrace([]), file: 'a pod without a grace of its own' },
  );
}

function objects() {
  try {
    return manifests();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Blocked('dist/ does not exist. It says how long pods take to stop. To write it:\n  npm run synth');
  }
}
