import { hostOf, proxmoxSettings, type Homelab } from '../../../inventory';
import { hostsWithMachines } from '../../../machines/host';
import type { Commands, Target } from '../../engine/commands';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import { readFacts, type HostFacts } from './facts';
import {
  parseStorages,
  parseThinPools,
  ProxmoxStorage,
  storageConfigs,
  unexpectedOutput,
  type StorageSpace,
} from './storage';
import { ProxmoxVm } from './vm';

/** Any guest of a Proxmox host or of its cluster. */
export interface Guest {
  readonly vmid: number;
  readonly type: 'qemu' | 'lxc';
  readonly node: string;
}

const LVS = [
  ...['lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix'],
  ...['-o', 'vg_name,lv_name,lv_size,data_percent,metadata_percent'],
];

/** A Proxmox host, over SSH as its root. */
export class ProxmoxHost {
  readonly target: Target;

  /** @param settings from homelab.ts */
  constructor(
    readonly commands: Commands,
    readonly name: string,
    readonly settings: ReturnType<typeof proxmoxSettings>,
  ) {
    const { address } = settings;
    // Its key must be known: the owner has logged in once and compared it.
    this.target = { name, ssh: { user: 'root', address, options: ['-o', 'StrictHostKeyChecking=yes'] } };
  }

  /** @param name for messages */
  vm(vmid: number, name?: string): ProxmoxVm {
    return new ProxmoxVm(this.commands, this.target, vmid, name);
  }

  storage(name: string): ProxmoxStorage {
    return new ProxmoxStorage(this.commands, this.target, name);
  }

  /** The storage for the machines' disks. */
  get disks(): ProxmoxStorage {
    return this.storage(this.settings.storage);
  }

  /** The storage for images and cloud-init files. */
  get files(): ProxmoxStorage {
    return this.storage(this.settings.files);
  }

  /** Boot settings, hardware, and usage of storages. */
  facts(): Promise<HostFacts> {
    return readFacts(this.commands, this.target, this.settings.storage);
  }

  /** Part of the facts, in fewer calls. Stages that allocate disks read it often. */
  async space(): Promise<StorageSpace> {
    const argv = ['pvesh', 'get', `/nodes/${await this.nodeName()}/storage`, '--output-format', 'json'];
    const { stdout } = await this.commands.read(this.target, argv, { recent: true });
    const states = json(stdout, argv.join(' '));
    if (!Array.isArray(states)) throw unexpectedOutput(argv.join(' '), stdout);
    const configs = await storageConfigs(this.commands, this.target);
    const isThere = configs.some(({ storage }) => storage === this.settings.storage);
    return {
      storages: parseStorages(states, configs),
      volumes: isThere ? await this.disks.volumes() : [],
      pools: parseThinPools((await this.commands.read(this.target, LVS, { recent: true })).stdout, 'lvs'),
    };
  }

  async guests(): Promise<readonly Guest[]> {
    const argv = ['pvesh', 'get', '/cluster/resources', '--type', 'vm', '--output-format', 'json'];
    const { stdout } = await this.commands.read(this.target, argv, { recent: true });
    return parseGuests(stdout, this.name);
  }

  /** The name of its own node in its Proxmox cluster. */
  async nodeName(): Promise<string> {
    const { stdout } = await this.commands.read(this.target, ['cat', '/etc/hostname'], { recent: true });
    const name = /^[\w-]+(?=[.\s]|$)/.exec(stdout)?.[0];
    if (name === undefined)
      throw new Blocked(
        `/etc/hostname on ${this.name} must hold its name, but it holds ${JSON.stringify(stdout.slice(0, 120))}`,
      );
    return name;
  }

  /** Settings of any guest, also of a container or on another node, which `qm config` does not know. */
  async configOf({ vmid, type, node }: Guest): Promise<Readonly<Record<string, unknown>>> {
    if (type === 'qemu' && node === (await this.nodeName())) return this.vm(vmid).config();
    const path = `/nodes/${node}/${type}/${vmid}/config`;
    const { stdout } = await this.commands.read(this.target, ['pvesh', 'get', path, '--output-format', 'json']);
    return json(stdout, `pvesh get ${path}`);
  }

  /** Whether something answers at an address of the home network. */
  async isAnswered(address: string): Promise<boolean> {
    // 1: no answer. 2: also none, as the host has no way there yet.
    const argv = ['ping', '-c', '1', '-W', '1', address];
    return (await this.commands.read(this.target, argv, { accepts: [0, 1, 2] })).code === 0;
  }
}

type Lab = { readonly homelab: Homelab; readonly commands: Commands };

/** The Proxmox hosts of homelab.ts on which machines run. */
export function proxmoxHosts(lab: Lab): readonly ProxmoxHost[] {
  return hostsWithMachines(lab.homelab).map(([name]) => proxmoxHost(lab, name));
}

/** The host of that name in homelab.ts. */
export function proxmoxHost({ homelab, commands }: Lab, name: string): ProxmoxHost {
  return new ProxmoxHost(commands, name, proxmoxSettings(homelab, name));
}

/** The virtual machine of that name in homelab.ts, on its host. */
export function machineVm(lab: Lab, name: string): ProxmoxVm {
  const machine = lab.homelab.machines[name]!;
  return proxmoxHost(lab, hostOf(lab.homelab, machine)).vm(machine.vmid, name);
}

/** @throws Blocked when `pvesh get /cluster/resources` prints something else */
export function parseGuests(text: string, host: string): readonly Guest[] {
  const from = 'pvesh get /cluster/resources';
  const all = json(text, from);
  if (!Array.isArray(all))
    throw new Blocked(`${from} must list the guests of ${host}, but it said ${text.slice(0, 120)}`);
  return all
    .filter((each) => each?.type === 'qemu' || each?.type === 'lxc')
    .map(({ vmid, type, node }) => {
      if (!Number.isInteger(vmid) || typeof node !== 'string')
        throw new Blocked(`${from} must give each guest of ${host} a vmid and a node, but it gave ${vmid} and ${node}`);
      return { vmid, type, node };
    });
}
