import { downSeconds, hostOf, proxmoxSettings, type Homelab, type Machine, type TalosMachine } from '../inventory';
import { bytes } from '../values/quantity';
import { quoted } from './shell';
import type { MachineFiles } from './files';
import { imageOf } from './images';

type Settings = Readonly<Record<string, string>>;

/** A virtual machine with its settings in Proxmox. */
export interface Vm {
  readonly name: string;
  readonly vmid: number;
  readonly host: string;
  readonly machine: Machine;
  /** Storages of the host: one for disks, one for images and cloud-init files. */
  readonly storage: string;
  readonly files: string;
  /** Options of `qm create`: all settings except disks and the boot order. */
  readonly settings: Settings;
  /** Options of the disk with the UEFI variables. */
  readonly efi: string;
  /** Options of the system disk, without its volume. */
  readonly systemOptions: string;
  /** Volume from which the system disk is copied; undefined for a release that is not pinned. */
  readonly image: string | undefined;
  readonly dataDisks: readonly DataDisk[];
}

export interface DataDisk {
  readonly serial: string;
  readonly bytes: number;
  /** Its slot on a new machine. */
  readonly slot: string;
  /** Options without the volume. */
  readonly options: string;
}

export const SYSTEM_SLOT = 'scsi0';
export const EFI_SLOT = 'efidisk0';
/** Slot of the cloud-init drive, which has addresses and users. */
export const CLOUD_INIT_SLOT = 'ide0';
/** Prefix of virtio disks, numbered from 0. */
export const VIRTIO_SLOTS = 16;

/** How long Proxmox waits after the start of a control plane: the other machines need its API. */
const CONTROL_PLANE_UP_SECONDS = 60;

/** Marks our VMs, in their notes. A VM without it is not ours. */
export function mark(name: string): string {
  return `collab-homelab ${name}`;
}

export function vmOf(homelab: Homelab, name: string): Vm {
  const machine = homelab.machines[name]!;
  const host = hostOf(homelab, machine);
  const { storage, files, bridge } = proxmoxSettings(homelab, host);
  const image = imageOf(homelab, machine);
  return {
    ...{ name, host, machine, storage, files, vmid: machine.vmid },
    settings: {
      name,
      description: mark(name),
      ostype: 'l26',
      machine: 'q35',
      bios: 'ovmf',
      // Talos needs x86-64-v2 or newer; Proxmox' default may be older.
      cpu: 'host',
      cores: String(machine.cores),
      memory: String(Math.floor(bytes(machine.memory) / 1024 ** 2)),
      balloon: '0',
      // Not virtio-scsi-single: with it Talos hangs (talos#11173).
      scsihw: 'virtio-scsi-pci',
      net0: `virtio=${machine.mac},bridge=${bridge}`,
      serial0: 'socket',
      onboot: '1',
      startup: `order=${machine.startOrder},up=${upSeconds(machine)},down=${downSeconds(homelab, machine)}`,
      protection: '1',
      ...(machine.kind === 'talos' ? talosSettings(homelab, machine) : snippetSettings(name, files)),
    },
    efi: 'efitype=4m,pre-enrolled-keys=0',
    systemOptions: 'cache=none,discard=on,ssd=1',
    image: image && `${files}:import/${image.file}`,
    dataDisks: Object.entries((machine.kind === 'talos' && machine.dataDisks) || {}).map(([serial, size], index) => ({
      serial,
      bytes: bytes(size),
      slot: `virtio${index + 1}`,
      options: `backup=0,cache=none,discard=on,iothread=1,serial=${serial}`,
    })),
  };
}

/**
 * No guest agent: with it, a shutdown by Proxmox makes Talos drain the node first, which the disruption budget of a database
 * blocks until the timeout. Without it, Proxmox presses the power button, and the kubelet ends pods within their grace periods.
 */
function talosSettings({ network }: Homelab, { address }: TalosMachine): Record<string, string> {
  const [, prefix] = network.cidr.split('/');
  return {
    agent: 'enabled=0',
    ipconfig0: `ip=${address}/${prefix},gw=${network.gateway}`,
    nameserver: network.dns.join(' '),
  };
}

/** File names for cloud-init by their purpose, below snippets/ of the host's storage for files. */
export function snippetFiles(name: string): Readonly<Record<'user' | 'network' | 'meta', string>> {
  const file = (kind: string) => `collab-homelab-${name}-${kind}.yaml`;
  return { user: file('user'), network: file('network'), meta: file('meta') };
}

function snippetSettings(name: string, files: string): Record<string, string> {
  const volumes = Object.entries(snippetFiles(name)).map(([kind, file]) => `${kind}=${files}:snippets/${file}`);
  return { cicustom: volumes.sort().join(',') };
}

function upSeconds(machine: Machine): number {
  return machine.kind === 'talos' && machine.role === 'control-plane' ? CONTROL_PLANE_UP_SECONDS : 0;
}

/** The commands of qm that create and change a VM. */
export const QM = {
  create: (vmid: number, settings: Settings) => ['qm', 'create', `${vmid}`, ...options(settings)],
  set: (vmid: number, settings: Settings, ignoreLock = false) => [
    ...['qm', 'set', `${vmid}`],
    ...(ignoreLock ? ['--skiplock', '1'] : []),
    ...options(settings),
  ],
  /** @param size in bytes */
  resize: (vmid: number, slot: string, size: number) => ['qm', 'disk', 'resize', `${vmid}`, slot, sizeText(size)],
  /** @param timeout in seconds */
  start: (vmid: number, timeout?: number) => [
    ...['qm', 'start', `${vmid}`],
    ...(timeout === undefined ? [] : ['--timeout', `${timeout}`]),
  ],
};

/** Settings for `qm set` that create a drive. Each allocates a new volume. */
export const NEW_DRIVE = {
  efi: ({ storage, efi }: Vm): Settings => ({ [EFI_SLOT]: `${storage}:1,${efi}` }),
  system: ({ storage, image, systemOptions }: Vm): Settings => ({
    [SYSTEM_SLOT]: `${storage}:0,import-from=${image},${systemOptions}`,
    boot: `order=${SYSTEM_SLOT}`,
  }),
  cloudInit: ({ storage }: Vm): Settings => ({ [CLOUD_INIT_SLOT]: `${storage}:cloudinit` }),
  data: ({ storage }: Vm, disk: DataDisk, slot: string): Settings => ({
    [slot]: `${storage}:${disk.bytes / 1024 ** 3},${disk.options}`,
  }),
};

function options(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]);
}

/** A size for qm, in the largest exact unit. */
export function sizeText(size: number): string {
  const units = { G: 1024 ** 3, M: 1024 ** 2 };
  const exact = Object.entries(units).find(([, length]) => size % length === 0);
  return exact === undefined ? `${Math.ceil(size / 1024)}K` : `${size / exact[1]}${exact[0]}`;
}

/** The commands of `apply vms` on an empty host, a file for each VM. */
export function renderVms(homelab: Homelab): MachineFiles {
  return new Map(
    Object.keys(homelab.machines).map((name): [string, string] => {
      const vm = vmOf(homelab, name);
      return [`${vm.host}/vms/${vm.vmid}-${name}.sh`, script(vm)];
    }),
  );
}

function script(vm: Vm): string {
  const commands = [
    QM.create(vm.vmid, vm.settings),
    QM.set(vm.vmid, NEW_DRIVE.efi(vm)),
    QM.set(vm.vmid, NEW_DRIVE.system(vm)),
    QM.resize(vm.vmid, SYSTEM_SLOT, bytes(vm.machine.systemDisk)),
    QM.set(vm.vmid, NEW_DRIVE.cloudInit(vm)),
    ...vm.dataDisks.map((disk) => QM.set(vm.vmid, NEW_DRIVE.data(vm, disk, disk.slot))),
    QM.start(vm.vmid),
  ];
  return `#!/bin/sh
# ${vm.name} on ${vm.host}, for review: the commands with which the bootstrap creates this VM. It checks the host before
# each command; do not run this file.
${commands.map(lines).join('\n')}
`;
}

/** A command with one option a line. */
function lines(argv: readonly string[]): string {
  return argv.map(quoted).join(' ').replace(/ --/g, ' \\\n  --');
}
