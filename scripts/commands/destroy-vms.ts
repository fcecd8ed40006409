import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { downSeconds } from '../../inventory';
import { GIB } from '../../values/quantity';
import { proxmoxHosts, type Guest } from '../clients/proxmox/host';
import { drive } from '../clients/proxmox/settings';
import { hasHostDevice, isEmptyShell, isOurs, type ProxmoxVm } from '../clients/proxmox/vm';
import { CommandFailed } from '../engine/commands';
import type { Context } from '../clients/context';
import { Blocked, EXIT, Usage } from '../engine/problem';
import { SECRETS } from '../engine/sops';
import { planStage, shownLines, step, type Action, type Step } from '../engine/step';
import { subjects, type Subject } from '../stages/vms/live';
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
    console.log('the hosts have no VM of ours');
    return EXIT.done;
  }
  const serials = ours.flatMap((each) => each.serials);
  if (serials.length > 0) await proveBackup(context, backup);
  for (const { subject, serials } of ours) {
    const { vm, client } = subject;
    await context.ask.typed(`${client.label} is deleted with all its disks. This cannot be undone.`, vm.name);
    for (const serial of serials)
      await context.ask.typed(`Disk ${serial} of ${vm.name} is deleted with its data. This cannot be undone.`, serial);
  }
  const steps = async () => ours.map(({ subject }) => vmIsGone(subject));
  const planned = await planStage({ name: 'vms', title: 'removed', steps });
  for (const { change } of planned) console.log(change === undefined ? '' : shownLines(change).join('\n'));
  await context.ask.agree('do that now?');
  await executeAll(context, planned);
  if (context.sops.exists(SECRETS.kubeconfig))
    console.log(`for a new, empty cluster remove ${SECRETS.kubeconfig}; to restore this one: docs/worst-day.md`);
  return EXIT.done;
}

interface Found {
  readonly subject: Subject;
  readonly isOurs: boolean;
  /** Of its disks with data: their serials, or the volume of one that is detached. */
  readonly serials: readonly string[];
  readonly text: string;
}

async function present(context: Context): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const host of proxmoxHosts(context)) {
    const guests = await host.guests();
    for (const subject of subjects(context.homelab, host)) {
      const guest = guests.find(({ vmid }) => vmid === subject.vm.vmid);
      if (guest !== undefined) found.push(await described(subject, guest));
    }
  }
  return found;
}

async function described(subject: Subject, { type, node }: Guest): Promise<Found> {
  const { host, vm, client } = subject;
  const { label } = client;
  const foreign = (why: string) => ({
    subject,
    isOurs: false,
    serials: [],
    text: `${label}: ${why}; it stays unchanged`,
  });
  if (type !== 'qemu') return foreign('is a container');
  if (node !== (await host.nodeName())) return foreign(`is on ${node}`);
  const config = await client.config();
  if (isEmptyShell(config))
    return { subject, isOurs: true, serials: [], text: `${label}: an empty VM with a leftover lock` };
  if (!isOurs(config, vm.name)) return foreign(`is called ${config.name ?? 'nothing'} and does not have our mark`);
  const disks = Object.keys(config)
    .filter((key) => /^(efidisk|scsi|virtio|ide|sata|tpmstate|unused)\d+$/.test(key))
    .sort()
    .map((slot) => ({ slot, ...drive(config[slot]!) }));
  const rows = disks.map(({ slot, volume, options, size }) => {
    const length = size === undefined ? '' : `  ${(size / GIB).toFixed(2)} GiB`;
    return `  ${slot.padEnd(9)} ${volume}${length}${options.serial ? `  ${options.serial}` : ''}`;
  });
  // A detached disk has lost its serial, and may hold data all the same.
  const serials = disks.flatMap(
    ({ slot, volume, options }) => options.serial ?? (slot.startsWith('unused') ? volume : []),
  );
  return { subject, isOurs: true, serials, text: [label, ...rows].join('\n') };
}

/** A file, or a folder in which something is new. @throws Blocked when it is older than a day, or not there */
async function proveBackup(context: Context, backup: string | undefined): Promise<void> {
  if (backup === undefined)
    return context.ask.typed(
      'No backup of the databases was named (npm run bootstrap -- destroy vms FILE_OR_FOLDER, younger than a day).',
      WITHOUT,
    );
  const path = resolve(backup);
  const newest = newestFile(path);
  if (newest === undefined) throw new Blocked(`a backup must be at ${path}, but no file with content is there`);
  const age = Date.now() / 1000 - newest;
  if (age > DAY)
    throw new Blocked(
      `the backup at ${path} must be younger than a day, but its newest file is ${Math.round(age / 3600)} h old`,
    );
}

/** When the newest file with content was written, in seconds. */
function newestFile(path: string): number | undefined {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isFile()) return stat.size > 0 ? stat.mtimeMs / 1000 : undefined;
  if (!stat.isDirectory()) return undefined;
  const times = fs.readdirSync(path).map((name) => newestFile(join(path, name)) ?? -Infinity);
  const newest = Math.max(-Infinity, ...times);
  return newest === -Infinity ? undefined : newest;
}

function vmIsGone({ homelab, host, vm, client }: Subject): Step {
  return step(`VM ${vm.vmid} (${vm.name}) is gone`, async () => {
    if (!(await host.guests()).some(({ vmid }) => vmid === vm.vmid)) return undefined;
    const config = await client.config();
    if (isEmptyShell(config)) return { actions: [client.destroy({ ignoreLock: true })] };
    if (!isOurs(config, vm.name)) throw new Blocked(`${client.label} is not ours any more. It was not changed`);
    if (config.lock !== undefined && config.lock !== 'destroyed')
      throw new Blocked(
        `${client.label} is locked (${config.lock}). When no task works on it:\n  qm unlock ${vm.vmid}`,
      );
    const ignoreLock = config.lock !== undefined;
    return {
      actions: [
        ...((await client.status()) === 'stopped' ? [] : [switchOff(client, downSeconds(homelab, vm.machine))]),
        ...(config.protection === '1' ? [client.set({ protection: '0' }, { ignoreLock })] : []),
        client.destroy({ ignoreLock }),
      ],
    };
  });
}

/** What does not hear the power button is switched off; never with a GPU, which then hangs the host. */
function switchOff(client: ProxmoxVm, down: number): Action {
  const shutdown = client.shutdown(down);
  return {
    lines: [
      ...shutdown.lines,
      `if it is not off after ${down} s, and no GPU is passed through to it: ${client.stop().lines.join()}`,
    ],
    async run(progress) {
      try {
        await shutdown.run(progress);
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        if (hasHostDevice(await client.config()))
          throw new Blocked(
            `${client.label} did not shut down within ${down} s, and has the GPU: switching it off could hang the host. Shut it down from inside (sudo poweroff), then run this again`,
          );
        await client.stop().run(progress);
      }
    },
  };
}
