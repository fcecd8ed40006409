import type { Homelab } from '../../../inventory';
import { machinesOf } from '../../../inventory';
import { mark, vmOf, type Vm } from '../../../machines/vms';
import type { ProxmoxHost } from '../../clients/proxmox/host';
import { firstNote, isEmptyShell, isOurs, type ProxmoxVm, type VmConfig } from '../../clients/proxmox/vm';
import { Blocked, isFault } from '../../engine/problem';
import { sayOnce, until } from '../../engine/wait';

/** A VM of homelab.ts, and where it is or will be. */
export interface Subject {
  readonly homelab: Homelab;
  readonly host: ProxmoxHost;
  /** The wanted VM. */
  readonly vm: Vm;
  /** The VM in Proxmox. */
  readonly client: ProxmoxVm;
}

/** The present VM, including settings that wait for its next start. */
export interface LiveVm {
  readonly config: VmConfig;
  /** As `qm status` says: running, stopped, paused. */
  readonly status: string;
  /** Left by a `qm create` that was killed: the lock is still there, and only what is ours. */
  readonly leftover: boolean;
  /**
   * Nothing but a lock. Settings that Proxmox gives a VM when it makes it (smbios1, vmgenid) would stay missing: it is removed
   * and made again.
   */
  readonly shell: boolean;
}

/** The VMs of homelab.ts on a host, in the order in which they start. */
export function subjects(homelab: Homelab, host: ProxmoxHost): readonly Subject[] {
  return machinesOf(homelab, host.name)
    .map(([name, { vmid }]) => ({ homelab, host, vm: vmOf(homelab, name), client: host.vm(vmid, name) }))
    .sort(({ vm: a }, { vm: b }) => a.machine.startOrder - b.machine.startOrder || a.vmid - b.vmid);
}

/** A lock that stays longer than this is no short task of Proxmox; the owner may come back later. */
const LOCK_SECONDS = 60;

/**
 * The VM with our id, if there is one.
 * @throws Blocked for one that is not ours, is locked, or has a detached disk
 */
export async function liveVm({ host, vm, client }: Subject): Promise<LiveVm | undefined> {
  const found = (await host.guests()).find(({ vmid }) => vmid === vm.vmid);
  if (found === undefined) return undefined;
  if (found.type !== 'qemu') throw new Blocked(`${client.label} must be a VM, but it is a container. ${OTHER_ID}`);
  if (found.node !== (await host.nodeName()))
    throw new Blocked(`${client.label} must be on this host, but it is on ${found.node}. ${OTHER_ID}`);

  let config = await client.config({ recent: true });
  const shell = isEmptyShell(config);
  const leftover = config.lock === 'create' && isOurs(config, vm.name);
  if (config.lock !== undefined && !leftover && !shell) config = await unlocked(client, config.lock);
  if (!leftover && !shell && !isOurs(config, vm.name))
    throw new Blocked(
      `${client.label} must be ours: its name must be ${vm.name}, and its notes must begin with "${mark(vm.name)}". Its name is ${JSON.stringify(config.name ?? '')}, and its notes begin with ${JSON.stringify(firstNote(config))}. ${OTHER_ID}`,
    );
  assertNoDetachedDisk(client, config);
  return { config, leftover, shell, status: await client.status({ recent: true }) };
}

const OTHER_ID = 'Choose another vmid in homelab.ts, or move that guest to another id. Nothing was changed';

function assertNoDetachedDisk({ label, vmid }: ProxmoxVm, config: VmConfig): void {
  const unused = Object.keys(config).find((key) => /^unused\d+$/.test(key));
  if (unused === undefined) return;
  throw new Blocked(
    `${label} has a detached disk, ${unused}: ${config[unused]}. It may hold data. Look at it, then attach it again:
  qm set ${vmid} --SLOT ${config[unused]},OPTIONS
or, if it is worth nothing, remove it:
  qm set ${vmid} --protection 0
  qm disk unlink ${vmid} --idlist ${unused} --force 1
  qm set ${vmid} --protection 1`,
  );
}

/** Waits until a task of Proxmox has ended, and reads the settings again. */
async function unlocked(client: ProxmoxVm, lock: string): Promise<VmConfig> {
  try {
    return await until(`${client.label} to be unlocked`, { seconds: LOCK_SECONDS }, sayOnce(), async () => {
      const config = await client.config();
      return config.lock === undefined ? config : undefined;
    });
  } catch (error) {
    if (!isFault(error)) throw error;
    const fix = lock === 'destroyed' ? `qm destroy ${client.vmid} --skiplock 1` : `qm unlock ${client.vmid}`;
    throw new Blocked(
      `${client.label} is locked (${lock}), and was for ${LOCK_SECONDS} s. A task of Proxmox works on it: run this again when it has ended. If there is no such task (pvesh get /cluster/tasks), the lock was left behind. To remove it:\n  ${fix}`,
    );
  }
}

/** The command that applies pending changes of a VM. No later plan shows them, so the question names it. */
export function stopAndStart({ name, machine }: Vm): string {
  return `stop and start${machine.kind === 'talos' ? ` (npm run bootstrap -- maintenance ${name} stop)` : ''}`;
}
