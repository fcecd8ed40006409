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
  /** Of the host: where disks are, and where images and cloud-init files are. */
  readonly storage: string;
  readonly files: string;
  /** Everything but disks and what needs them, as options of `qm create`. */
  readonly settings: Settings;
  /** Of the variables of UEFI. */
  readonly efi: string;
  /** Of the system disk, without its place. */
  readonly systemOptions: string;
  /** Volume that the system disk is copied from; none for a release that is not pinned. */
  readonly image: string | undefined;
  readonly dataDisks: readonly DataDisk[];
}

export interface DataDisk {
  readonly serial: string;
  readonly bytes: number;
  /** Slot that it gets on a new machine. */
  readonly slot: string;
  /** Without its place. */
  readonly options: string;
}

export const SYSTEM_SLOT = 'scsi0';
export const EFI_SLOT = 'efidisk0';
/** Of the drive with addresses and users. */
export const CLOUD_INIT_SLOT = 'ide0';
/** Of virtio disks, from 0. */
export const VIRTIO_SLOTS = 16;

/** Time that Proxmox gives a control plane before it starts the next machine: others only wait for its API anyway. */
const CONTROL_PLANE_UP_SECONDS = 60;

/** What stands in the notes of each VM of ours. Without it a VM is somebody else's. */
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
      // Talos needs x86-64-v2 or newer, which Proxmox' default is not everywhere.
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
 * No guest agent: with it Proxmox' shutdown makes Talos drain the node first, which a disruption budget over databases
 * blocks to the end. Without it the power button is pressed, and the kubelet ends pods in their own time.
 */
function talosSettings({ network }: Homelab, { address }: TalosMachine): Record<string, string> {
  const [, prefix] = network.cidr.split('/');
  return {
    agent: 'enabled=0',
    ipconfig0: `ip=${address}/${prefix},gw=${network.gateway}`,
    nameserver: network.dns.join(' '),
  };
}

/** Files of cloud-init by what they are, below snippets/ of the host's storage for files. */
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

/** Commands that bring about a VM where there is none, one for each step. */
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

/** What makes a drive of a VM, as settings for `qm set`. Each allocates a new volume. */
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

/** As qm takes sizes, in the largest unit that is exact. */
export function sizeText(size: number): string {
  const units = { G: 1024 ** 3, M: 1024 ** 2 };
  const exact = Object.entries(units).find(([, length]) => size % length === 0);
  return exact === undefined ? `${Math.ceil(size / 1024)}K` : `${size / exact[1]}${exact[0]}`;
}

/** The commands that `apply vms` sends to an empty host, a file per VM. */
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
# ${vm.name} on ${vm.host}, for review: the commands that the bootstrap sends where this VM is not there yet. It sends each
# by itself, after a look at what is there; do not run this file.
${commands.map(lines).join('\n')}
`;
}

/** A command with an option per line. */
function lines(argv: readonly string[]): string {
  return argv.map(quoted).join(' ').replace(/ --/g, ' \\\n  --');
}
