import { json } from '../../engine/json';
import type { CommandOptions, Target } from '../../engine/commands';
import { proxmox, type Context } from '../context';
import { isFault, Blocked } from '../../engine/problem';
import { sayOnce, until } from '../../engine/wait';
import { mark, type Vm } from '../../../machines/vms';

/** A VM as it is, with what waits for its next start counted in. */
export interface LiveVm {
  readonly config: Readonly<Record<string, string>>;
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

/** Any guest of a Proxmox host or of its cluster. */
export interface Guest {
  readonly vmid: number;
  readonly type: 'qemu' | 'lxc';
  readonly node: string;
}

/** A lock that stays longer than this is no short task of Proxmox; the owner may come back later. */
const LOCK_SECONDS = 60;

export async function guests(context: Context, host: string): Promise<readonly Guest[]> {
  const from = 'pvesh get /cluster/resources';
  const argv = ['pvesh', 'get', '/cluster/resources', '--type', 'vm', '--output-format', 'json'];
  const { stdout } = await context.commands.read(proxmox(context, host), argv, { recent: true });
  const all = json(stdout, from);
  if (!Array.isArray(all))
    throw new Blocked(`${from} must list the guests of ${host}, and said ${stdout.slice(0, 120)}`);
  return all
    .filter((each) => each?.type === 'qemu' || each?.type === 'lxc')
    .map(({ vmid, type, node }) => {
      if (!Number.isInteger(vmid) || typeof node !== 'string')
        throw new Blocked(`${from} must give each guest of ${host} a vmid and a node, and gave ${vmid} and ${node}`);
      return { vmid, type, node };
    });
}

/**
 * The VM with our id, if there is one.
 * @throws Stop for one that is not ours, is locked, or has a disk without a place
 */
export async function liveVm(context: Context, vm: Vm): Promise<LiveVm | undefined> {
  const place = proxmox(context, vm.host);
  const all = await guests(context, vm.host);
  const found = all.find(({ vmid }) => vmid === vm.vmid);
  if (found === undefined) return undefined;
  if (found.type !== 'qemu') throw new Blocked(`${id(vm)} must be a VM, and is a container; ${OTHER_ID}`);
  if (found.node !== (await nodeName(context, vm.host)))
    throw new Blocked(`${id(vm)} must be on this host, and is on ${found.node}; ${OTHER_ID}`);

  let config = await readConfig(context, place, vm.vmid, { recent: true });
  const shell = isEmptyShell(config);
  const leftover = config.lock === 'create' && isOurs(config, vm.name);
  if (config.lock !== undefined && !leftover && !shell) config = await unlocked(context, vm, config.lock);
  if (!leftover && !shell && !isOurs(config, vm.name))
    throw new Blocked(
      `${id(vm)} must be ours: named ${vm.name}, with "${mark(vm.name)}" as the first line of its notes; its name is ${JSON.stringify(config.name ?? '')}, its notes begin with ${JSON.stringify(firstNote(config))}; ${OTHER_ID}`,
    );
  const unused = Object.keys(config).find((key) => /^unused\d+$/.test(key));
  if (unused !== undefined)
    throw new Blocked(
      `${id(vm)} must not have a disk without a place, and ${unused} is ${config[unused]}. It may hold data: look at it, then give it its slot back (qm set ${vm.vmid} --SLOT ${config[unused]},OPTIONS) or, if it is worth nothing, qm set ${vm.vmid} --protection 0, qm disk unlink ${vm.vmid} --idlist ${unused} --force 1, qm set ${vm.vmid} --protection 1`,
    );
  return { config, leftover, shell, status: await readStatus(context, place, vm.vmid, { recent: true }) };
}

/** @throws Stop when `qm config` prints something else */
export async function readConfig(
  context: Context,
  place: Target,
  vmid: number,
  options?: CommandOptions,
): Promise<Record<string, string>> {
  const { stdout } = await context.commands.read(place, ['qm', 'config', `${vmid}`], options);
  const config: Record<string, string> = {};
  for (const line of stdout.split('\n').filter((each) => each !== '')) {
    const [, key, value] = /^([a-z][a-z0-9_-]*): (.*)$/.exec(line) ?? [];
    if (key === undefined)
      throw new Blocked(`qm config ${vmid} must print KEY: VALUE, and printed ${JSON.stringify(line)}`);
    config[key] = value!;
  }
  if (Object.keys(config).length === 0)
    throw new Blocked(`qm config ${vmid} must print the VM's settings, and printed none`);
  return config;
}

export async function readStatus(
  context: Context,
  place: Target,
  vmid: number,
  options?: CommandOptions,
): Promise<string> {
  const { stdout } = await context.commands.read(place, ['qm', 'status', `${vmid}`], options);
  const status = /^status: ([a-z-]+)$/m.exec(stdout)?.[1];
  if (status === undefined)
    throw new Blocked(`qm status ${vmid} must say the VM's status, and said ${JSON.stringify(stdout.slice(0, 120))}`);
  return status;
}

export function isOurs(config: Readonly<Record<string, string>>, name: string): boolean {
  return config.name === name && firstNote(config) === mark(name);
}

/** VM and host, as messages call them. */
export function id({ vmid, name, host }: Pick<Vm, 'vmid' | 'name' | 'host'>): string {
  return `VM ${vmid} (${name}) on ${host}`;
}

/** What brings a VM changes that wait for it. No later plan shows those, so that a question names the command. */
export function stopAndStart({ name, machine }: Vm): string {
  return `stop and start${machine.kind === 'talos' ? ` (npm run bootstrap -- maintenance ${name} stop)` : ''}`;
}

const OTHER_ID = 'choose another vmid in homelab.ts, or make room for this one; nothing was changed';

/** `qm create` holds its lock from its first moment, before there is a name. Nothing but the lock of a `qm create` or `qm destroy` that was cut off: there is nothing in it to lose. */
export function isEmptyShell(config: Readonly<Record<string, string>>): boolean {
  const rest = Object.keys(config).filter((key) => !['lock', 'meta', 'smbios1', 'vmgenid'].includes(key));
  return rest.length === 0 && (config.lock === 'create' || config.lock === 'destroyed');
}

/** Waits until a task of Proxmox has ended, and reads anew. */
async function unlocked(context: Context, vm: Vm, lock: string): Promise<Record<string, string>> {
  try {
    return await until(`${id(vm)} to be unlocked`, { seconds: LOCK_SECONDS }, sayOnce(), async () => {
      const config = await readConfig(context, proxmox(context, vm.host), vm.vmid);
      return config.lock === undefined ? config : undefined;
    });
  } catch (error) {
    if (!isFault(error)) throw error;
    throw new Blocked(
      `${id(vm)} must not be locked, and is (${lock}), also after ${LOCK_SECONDS} s. A task of Proxmox works on it: run this again when it has ended. If none does (pvesh get /cluster/tasks), its lock is a leftover: ${lock === 'destroyed' ? `qm destroy ${vm.vmid} --skiplock 1` : `qm unlock ${vm.vmid}`}`,
    );
  }
}

/** Proxmox prints notes with % for what is no plain text. */
function firstNote({ description = '' }: Readonly<Record<string, string>>): string {
  const decoded = description.replace(/(%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replace(/%/g, ''), 'hex').toString(),
  );
  return decoded.split('\n')[0]!.trim();
}

/** The name of the host's own node in its Proxmox cluster. */
export async function nodeName(context: Context, host: string): Promise<string> {
  const argv = ['cat', '/etc/hostname'];
  const { stdout } = await context.commands.read(proxmox(context, host), argv, { recent: true });
  const name = /^[\w-]+(?=[.\s]|$)/.exec(stdout)?.[0];
  if (name === undefined)
    throw new Blocked(`/etc/hostname on ${host} must hold its name, and holds ${JSON.stringify(stdout.slice(0, 120))}`);
  return name;
}
