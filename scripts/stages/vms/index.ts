import { machinesOn, manifests, proxmox, proxmoxHosts, ubuntuMachines, type Context } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import { quoted } from '../../../values/shell';
import type { Change, Stage, Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { hostOf } from '../../../inventory';
import { cloudInit } from '../../../machines/ai-vm';
import { requireLoginKeys } from '../login-keys';
import { QM, snippetFiles, SYSTEM_SLOT, vmOf, type Vm } from '../../../machines/vms';
import { longestGrace } from '../../../values/grace';
import { filesFolder, imageIsThere } from '../images';
import { diskSteps, hasAllDisks } from './disks';
import { assertAddressIsFree, assertMacIsFree, assertRoom } from './room';
import { strays } from '../../clients/proxmox/volumes';
import { differences, isCard, line, needsStart } from '../../clients/proxmox/settings';
import { id, liveVm, readStatus, stopAndStart } from '../../clients/proxmox/guests';

/** `qm start` waits for the memory to be there, a second per GiB (its own default timeout), and for the disks. */
const START_SECONDS = 300;

/** Makes the virtual machines, or shows in which field one differs. One that has anything is never made again. */
export function vms(context: Context): Stage {
  return {
    name: 'vms',
    title: 'virtual machines with their disks, started',
    async steps() {
      assertGraceFits(context);
      const steps: Step[] = [];
      for (const [host] of proxmoxHosts(context)) {
        steps.push(...(await snippetSteps(context, host)));
        const machines = machinesOn(context, host).map(([name]) => vmOf(context.homelab, name));
        for (const vm of machines.sort((a, b) => a.machine.startOrder - b.machine.startOrder || a.vmid - b.vmid))
          steps.push(settingsStep(context, vm), ...diskSteps(context, vm), startStep(context, vm));
      }
      return steps;
    },
  };
}

/** The VM with everything but its disks. */
function settingsStep(context: Context, vm: Vm): Step {
  const { commands } = context;
  const place = proxmox(context, vm.host);
  const now = async () => {
    const live = await liveVm(context, vm);
    if (live === undefined || live.shell) {
      await assertCanBeMade(context, vm);
      return live === undefined
        ? { commands: [QM.create(vm.vmid, vm.settings)], lines: [], asks: [] }
        : {
            commands: [
              ['qm', 'destroy', `${vm.vmid}`, '--skiplock', '1', '--purge', '1'],
              QM.create(vm.vmid, vm.settings),
            ],
            lines: ['its creation was cut off before it had anything: it is made again'],
            asks: [],
          };
    }
    const { config, leftover, status } = live;
    // The boot order names the system disk, so it comes with it.
    const boot: Record<string, string> = config[SYSTEM_SLOT] === undefined ? {} : { boot: `order=${SYSTEM_SLOT}` };
    const changed = differences(config, { ...vm.settings, ...boot });
    const settings = Object.fromEntries(changed.map(({ key, to }) => [key, to]));
    const changing = status === 'stopped' ? [] : changed.map(({ key }) => key);
    const cards = changing.filter(isCard);
    const waiting = changing.filter(needsStart);
    return {
      // While it is locked nobody else touches it; a VM without the lock is one with our name.
      commands: leftover
        ? [...(changed.length > 0 ? [QM.set(vm.vmid, settings, true)] : []), ['qm', 'unlock', `${vm.vmid}`]]
        : changed.length > 0
          ? [QM.set(vm.vmid, settings)]
          : [],
      lines: [
        ...(leftover ? [`its creation was cut off, and is finished`] : []),
        ...changed.map((each) => line('', each)),
      ],
      asks: [
        ...(cards.length > 0
          ? [
              `${id(vm)} runs, and its network card is exchanged at once: ${cards.join(', ')}. It has no network for a moment, and with another MAC until its own configuration knows that; if it stays away: qm shutdown ${vm.vmid} and qm start ${vm.vmid} on ${vm.host}. Exchange it now?`,
            ]
          : []),
        ...(waiting.length > 0
          ? [
              `${id(vm)} runs, so these change at its next ${stopAndStart(vm)}: ${waiting.join(', ')}. Nothing is stopped now. Note them?`,
            ]
          : []),
      ],
    };
  };
  return {
    title: `VM ${vm.vmid} (${vm.name}) with its settings`,
    async plan(): Promise<Change | undefined> {
      const { commands, lines, asks } = await now();
      if (commands.length === 0) return undefined;
      return {
        lines: [...lines, ...commands.map((argv) => argv.map(quoted).join(' '))],
        ...(asks.length > 0 && { asks }),
      };
    },
    async apply() {
      for (const argv of (await now()).commands) await commands.change(place, argv);
    },
  };
}

/** @throws Stop when something is in the way of a VM that is not there yet */
async function assertCanBeMade(context: Context, vm: Vm): Promise<void> {
  if (vm.machine.kind === 'ubuntu') requireLoginKeys(context.homelab);
  if (!(await imageIsThere(context, vm)))
    throw new Blocked(
      `${vm.image ?? 'an image'} must be on ${vm.host} for ${id(vm)}; npm run bootstrap -- apply images`,
    );
  const left = await strays(context, vm, {});
  if (left.length > 0)
    throw new Blocked(
      `${vm.storage} on ${vm.host} must have no volumes of VM ${vm.vmid}, as there is no such VM, and has ${left.map((each) => each.id).join(', ')}. They may hold the data of a VM that was lost: attach them to one (qm create ${vm.vmid} ..., qm disk rescan --vmid ${vm.vmid}), or remove what is worth nothing (pvesm free VOLUME)`,
    );
  await assertRoom(context, vm);
  await assertMacIsFree(context, vm);
  await assertAddressIsFree(context, vm);
}

/** Talos then waits in maintenance mode; the machine beside the cluster begins without its GPU. */
function startStep(context: Context, vm: Vm): Step {
  const place = proxmox(context, vm.host);
  return {
    title: `VM ${vm.vmid} (${vm.name}) runs`,
    async plan() {
      const live = await liveVm(context, vm);
      const change = { lines: [QM.start(vm.vmid).join(' ')] };
      if (live?.status === 'running') return undefined;
      // Steps before this one bring what is missing, and look at the same.
      if (live === undefined || live.leftover || live.shell || !hasAllDisks(vm, live)) return change;
      const { config, status } = live;
      // A start with the GPU can hang the host: stage ai-vm judges it.
      if (Object.keys(config).some((key) => /^hostpci\d+$/.test(key))) return undefined;
      if (status !== 'stopped')
        throw new Blocked(
          `${id(vm)} must run or be stopped, and is ${status}; qm resume ${vm.vmid}, or look at it in Proxmox`,
        );
      await assertAddressIsFree(context, vm);
      return change;
    },
    async apply(_, progress) {
      const live = await liveVm(context, vm);
      if (live === undefined || !hasAllDisks(vm, live))
        throw new Blocked(`${id(vm)} must have all its disks before it starts`);
      await context.commands.change(place, QM.start(vm.vmid), { seconds: START_SECONDS, waitsFor: id(vm) });
      await until(`${id(vm)} to run`, { seconds: 30, every: 1 }, progress, async () =>
        (await readStatus(context, place, vm.vmid)) === 'running' ? true : undefined,
      );
    },
  };
}

/** Files of cloud-init, where the machines beside the cluster find them when they start. */
async function snippetSteps(context: Context, host: string): Promise<Step[]> {
  const ours = ubuntuMachines(context).filter(([, machine]) => hostOf(context.homelab, machine) === host);
  if (ours.length === 0) return [];
  const { files } = vmOf(context.homelab, ours[0]![0]);
  const folder = `${await filesFolder(context, host, files, 'snippets')}/snippets`;
  return ours.flatMap(([name]) => {
    const texts = cloudInit(context.homelab, name);
    return Object.entries(snippetFiles(name)).map(([kind, file]) =>
      remoteFile(context.commands, proxmox(context, host), {
        path: `${folder}/${file}`,
        content: texts[kind as keyof typeof texts],
      }),
    );
  });
}

/**
 * The kubelet ends ordinary pods within its grace less the critical part, and Proxmox' `down` is reckoned from it.
 * @throws Stop when a pod of dist/ may take longer
 */
function assertGraceFits(context: Context): void {
  const { shutdownGracePeriod, shutdownGracePeriodCriticalPods: critical } = context.homelab.talos;
  const longest = slowestPod();
  const room = shutdownGracePeriod.toSeconds() - critical.toSeconds();
  if (longest.seconds > room)
    throw new Blocked(
      `talos.shutdownGracePeriod must be at least ${longest.seconds + critical.toSeconds()} s: ${longest.file} takes up to ${longest.seconds} s to stop, and ${critical.toSeconds()} s are kept for critical pods; it is ${shutdownGracePeriod.toSeconds()} s`,
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
    throw new Blocked('dist/ must be there: how long pods take to stop is read from it; npm run synth');
  }
}
