import { hostOf, type GpuPassthrough, type Homelab, type ProxmoxHost } from '../inventory';
import type { MachineFiles } from './files';

/** Files on a Proxmox host, in *.d folders under our name. */

/** Files that change how a host boots, by their path on it. */
export const HOST_FILES = {
  modules: '/etc/modules-load.d/collab-homelab.conf',
  modprobe: '/etc/modprobe.d/collab-homelab.conf',
  /** PCI ids of the devices. Known only after the host was inspected. */
  ids: '/etc/modprobe.d/collab-homelab-ids.conf',
  grub: '/etc/default/grub.d/collab-homelab.cfg',
  /** Used instead of `grub` if the host boots with systemd-boot. A file of Proxmox with one line, which is edited. */
  cmdline: '/etc/kernel/cmdline',
} as const;

/** The program that restores the files of the last good boot, and the units that start it. */
export const UNDO_FILES = {
  program: '/usr/local/sbin/collab-homelab-undo',
  service: '/etc/systemd/system/collab-homelab-undo.service',
  timer: '/etc/systemd/system/collab-homelab-undo.timer',
} as const;

/** The GPU's firmware: `romfile` of hostpci. */
export const VBIOS = 'collab-homelab-vbios.bin';
/** The ROM of its audio function, if homelab.ts names one. */
export const AUDIO_ROM = 'collab-homelab-audio.rom';
/** `romfile` is relative to this folder. */
export const VBIOS_FOLDER = '/usr/share/kvm';

/** Limit for the confirmation of a boot with changes, in minutes. */
export const UNDO_MINUTES = 15;

/**
 * iommu=pt: devices of the host skip address translation. initcall_blacklist=sysfb_init: the firmware's framebuffer does not
 * occupy the GPU's memory when a VM takes it.
 */
export const KERNEL_OPTIONS = ['iommu=pt', 'initcall_blacklist=sysfb_init'];

/** The devices that the machines of a host need. */
export function passedThrough(homelab: Homelab, host: string): { readonly gpu: boolean; readonly npu: boolean } {
  const machines = Object.values(homelab.machines).filter((machine) => hostOf(homelab, machine) === host);
  const some = (device: 'gpu' | 'npu') =>
    machines.some((machine) => machine.kind === 'ubuntu' && machine[device] === true);
  return { gpu: some('gpu'), npu: some('npu') };
}

/**
 * Options of hostpci for each function of the GPU. A change of them repeats the proof of the GPU.
 */
export function gpuOptions({ rom = true, audioRom, sound = true, xVga = false }: GpuPassthrough = {}): {
  readonly gpu: string;
  /** Undefined leaves the function out. */
  readonly audio: string | undefined;
} {
  const options = (...all: readonly (string | false)[]) => all.filter((each) => each !== false).join(',');
  return {
    gpu: options('pcie=1', rom && `romfile=${VBIOS}`, xVga && 'x-vga=1'),
    audio: !sound ? undefined : options('pcie=1', audioRom !== undefined && `romfile=${AUDIO_ROM}`),
  };
}

/** The Proxmox hosts on which machines run, by name. */
export function hostsWithMachines(homelab: Homelab): [string, ProxmoxHost][] {
  const used = new Set(Object.values(homelab.machines).map((machine) => hostOf(homelab, machine)));
  return Object.entries(homelab.hosts).filter(
    (entry): entry is [string, ProxmoxHost] => entry[1].kind === 'proxmox' && used.has(entry[0]),
  );
}

/** Files of a host by their path on it. `ids` is written separately, after the host was inspected. */
export function hostFiles(homelab: Homelab, host: string): ReadonlyMap<string, string> {
  const { gpu, npu } = passedThrough(homelab, host);
  return new Map([
    ...(gpu || npu
      ? ([
          [HOST_FILES.modules, MODULES],
          [HOST_FILES.modprobe, modprobe(gpu, npu)],
          [HOST_FILES.grub, grub()],
        ] as const)
      : []),
    [UNDO_FILES.service, SERVICE],
    [UNDO_FILES.timer, TIMER],
  ]);
}

export function renderHosts(homelab: Homelab): MachineFiles {
  return new Map(
    hostsWithMachines(homelab).flatMap(([host]) =>
      [...hostFiles(homelab, host)].map(([path, text]): [string, string] => [`${host}${path}`, text]),
    ),
  );
}

const MODULES = `# Managed by the bootstrap of the homelab. Devices are handed to a VM by these.
vfio
vfio_iommu_type1
vfio_pci
`;

function modprobe(gpu: boolean, npu: boolean): string {
  return [
    '# Managed by the bootstrap of the homelab. The devices that a VM gets are held by vfio-pci from the start.',
    ...(gpu
      ? [
          'softdep amdgpu pre: vfio-pci',
          'softdep snd_hda_intel pre: vfio-pci',
          'blacklist amdgpu',
          '# The host panics when the GPU is reset while this one is loaded.',
          'blacklist snd_pci_ps',
        ]
      : []),
    ...(npu
      ? ['softdep amdxdna pre: vfio-pci']
      : ['# The driver of an NPU that nobody uses disturbs a reset of the GPU.', 'blacklist amdxdna']),
    '',
  ].join('\n');
}

function grub(): string {
  return `# Managed by the bootstrap of the homelab.
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ${KERNEL_OPTIONS.join(' ')}"
`;
}

const SERVICE = `# Managed by the bootstrap of the homelab.
[Unit]
Description=Undo boot changes of the homelab that nobody confirmed
ConditionPathExists=/var/lib/collab-homelab/armed

[Service]
Type=oneshot
# The lock that every command of the bootstrap holds: nothing is undone while one works.
ExecStart=/usr/bin/flock -w 900 /run/lock/collab-homelab /bin/bash ${UNDO_FILES.program}
# An initramfs for each kernel takes its time.
TimeoutStartSec=45min
`;

const TIMER = `# Managed by the bootstrap of the homelab.
[Unit]
Description=Time in which the bootstrap must confirm a boot with changes

[Timer]
OnBootSec=${UNDO_MINUTES}min
AccuracySec=1s

[Install]
WantedBy=timers.target
`;
