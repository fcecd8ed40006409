import { SECRETS } from '../engine/sops';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { CommandFailed } from '../engine/commands';
import { machinesOn, proxmox, proxmoxHosts, type Context } from '../clients/context';
import { EXIT, Blocked, Usage } from '../engine/problem';
import { shownLines, planStage, type Change, type Step } from '../engine/step';
import { vmOf, type Vm } from '../../machines/vms';
import { drive } from '../clients/proxmox/settings';
import {
  guests,
  id,
  isEmptyShell,
  isOurs,
  nodeName,
  readConfig,
  readStatus,
  type Guest,
} from '../clients/proxmox/guests';
import { executeAll } from './plan';

/** What must be typed where nobody names a backup. */
const WITHOUT = 'without backup';
const DAY = 24 * 3600;

/**
 * Removes the virtual machines and all their disks. Each machine and each disk with data must be typed by name, after a
 * backup was shown. A VM without our mark is left alone.
 */
export async function destroyVms(context: Context, [backup, ...more]: readonly string[]): Promise<number> {
  if (more.length > 0) throw new Usage('destroy vms takes one backup: a file or a folder');
  context.commands.changing = false;
  const found = await present(context);
  for (const { text } of found) console.log(text);
  const ours = found.filter((each) => each.isOurs);
  if (ours.length === 0) {
    console.log('there is no VM of ours');
    return EXIT.done;
  }
  const serials = ours.flatMap((each) => each.serials);
  if (serials.length > 0) await proveBackup(context, backup);
  for (const { vm, serials } of ours) {
    await context.ask.typed(`${id(vm)} goes for ever, with all its disks.`, vm.name);
    for (const serial of serials)
      await context.ask.typed(`Disk ${serial} of ${vm.name} and what is on it go for ever.`, serial);
  }
  const steps = ours.map(({ vm }) => vmIsGone(context, vm));
  const planned = await planStage({ name: 'vms', title: 'goes', steps: async () => steps });
  for (const { change } of planned) console.log((change === undefined ? [] : shownLines(change)).join('\n'));
  await context.ask.agree('do that now?');
  await executeAll(context, planned);
  if (context.sops.exists(SECRETS.kubeconfig))
    console.log(`for a new, empty cluster remove ${SECRETS.kubeconfig}; to restore this one: docs/worst-day.md`);
  return EXIT.done;
}

interface Found {
  readonly vm: Vm;
  readonly isOurs: boolean;
  /** Of its disks with data: their serials, or the volume of one that has no place. */
  readonly serials: readonly string[];
  readonly text: string;
}

async function present(context: Context): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const [host] of proxmoxHosts(context)) {
    const ours = machinesOn(context, host).map(([name]) => vmOf(context.homelab, name));
    if (ours.length === 0) continue;
    const all = await guests(context, host);
    for (const vm of ours) {
      const guest = all.find(({ vmid }) => vmid === vm.vmid);
      if (guest !== undefined) found.push(await described(context, vm, guest));
    }
  }
  return found;
}

async function described(context: Context, vm: Vm, { type, node }: Guest): Promise<Found> {
  const foreign = (why: string) => ({ vm, isOurs: false, serials: [], text: `${id(vm)}: ${why}; it is left alone` });
  if (type !== 'qemu') return foreign('is a container');
  if (node !== (await nodeName(context, vm.host))) return foreign(`is on ${node}`);
  const config = await readConfig(context, proxmox(context, vm.host), vm.vmid);
  if (isEmptyShell(config))
    return { vm, isOurs: true, serials: [], text: `${id(vm)}: nothing but a lock that was left` };
  if (!isOurs(config, vm.name)) return foreign(`is called ${config.name ?? 'nothing'} and has not our mark`);
  const disks = Object.keys(config)
    .filter((key) => /^(efidisk|scsi|virtio|ide|sata|tpmstate|unused)\d+$/.test(key))
    .sort();
  const rows = disks.map((slot) => {
    const { volume, options, size } = drive(config[slot]!);
    const length = size === undefined ? '' : `  ${(size / 1024 ** 3).toFixed(2)} GiB`;
    return `  ${slot.padEnd(9)} ${volume}${length}${options.serial ? `  ${options.serial}` : ''}`;
  });
  // A disk without a place has lost its serial, and may hold data all the same.
  const serials = disks.flatMap((slot) => {
    const { volume, options } = drive(config[slot]!);
    return options.serial ?? (slot.startsWith('unused') ? volume : []);
  });
  return { vm, isOurs: true, serials, text: [id(vm), ...rows].join('\n') };
}

/** A file, or a folder in which something is new. @throws Stop when it is older than a day, or not there */
async function proveBackup(context: Context, backup: string | undefined): Promise<void> {
  if (backup === undefined)
    return context.ask.typed(
      'No backup of the databases was named (npm run bootstrap -- destroy vms FILE_OR_FOLDER, younger than a day).',
      WITHOUT,
    );
  const path = resolve(backup);
  const newest = newestFile(path);
  if (newest === undefined) throw new Blocked(`a backup must be at ${path}, and nothing with a content is there`);
  const age = Date.now() / 1000 - newest;
  if (age > DAY)
    throw new Blocked(
      `the backup at ${path} must be younger than a day, and the newest of it is ${Math.round(age / 3600)} h old`,
    );
}

/** When the newest file with a content was written, in seconds. */
function newestFile(path: string): number | undefined {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isFile()) return stat.size > 0 ? stat.mtimeMs / 1000 : undefined;
  if (!stat.isDirectory()) return undefined;
  const times = fs.readdirSync(path).map((name) => newestFile(join(path, name)) ?? -Infinity);
  const newest = Math.max(-Infinity, ...times);
  return newest === -Infinity ? undefined : newest;
}

function vmIsGone(context: Context, vm: Vm): Step {
  const { commands } = context;
  const place = proxmox(context, vm.host);
  const down = /down=(\d+)/.exec(vm.settings.startup!)![1]!;
  const shutdown = ['qm', 'shutdown', `${vm.vmid}`, '--timeout', down];
  const now = async () => {
    if (!(await guests(context, vm.host)).some(({ vmid }) => vmid === vm.vmid)) return [];
    const config = await readConfig(context, place, vm.vmid);
    if (isEmptyShell(config)) return [['qm', 'destroy', `${vm.vmid}`, '--skiplock', '1', '--purge', '1']];
    if (!isOurs(config, vm.name)) throw new Blocked(`${id(vm)} is not ours any more; it was left alone`);
    if (config.lock !== undefined && config.lock !== 'destroyed')
      throw new Blocked(
        `${id(vm)} must not be locked, and is (${config.lock}); when no task works on it: qm unlock ${vm.vmid}`,
      );
    const skip = config.lock === undefined ? [] : ['--skiplock', '1'];
    return [
      ...((await readStatus(context, place, vm.vmid)) === 'stopped' ? [] : [shutdown]),
      ...(config.protection === '1' ? [['qm', 'set', `${vm.vmid}`, ...skip, '--protection', '0']] : []),
      ['qm', 'destroy', `${vm.vmid}`, ...skip, '--purge', '1'],
    ];
  };
  return {
    title: `VM ${vm.vmid} (${vm.name}) is gone`,
    async plan(): Promise<Change | undefined> {
      const todo = await now();
      return todo.length === 0 ? undefined : { lines: todo.map((argv) => argv.join(' ')) };
    },
    async apply(_, progress) {
      for (const argv of await now()) {
        progress(argv.slice(0, 3).join(' '));
        if (argv === shutdown) await switchedOff(context, vm, shutdown, Number(down));
        else await commands.change(place, argv);
      }
    },
  };
}

/** What does not hear the power button is switched off; never with a GPU, which then hangs the host. */
async function switchedOff(context: Context, vm: Vm, shutdown: readonly string[], down: number): Promise<void> {
  const place = proxmox(context, vm.host);
  try {
    await context.commands.change(place, shutdown, { seconds: down + 60, waitsFor: `${id(vm)} to shut down` });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const config = await readConfig(context, place, vm.vmid);
    if (Object.keys(config).some((key) => /^hostpci\d+$/.test(key)))
      throw new Blocked(
        `${id(vm)} did not shut down within ${down} s, and has the GPU: switching it off could hang the host. Shut it down from inside (sudo poweroff), then run this again`,
      );
    await context.commands.change(place, ['qm', 'stop', `${vm.vmid}`]);
  }
}
