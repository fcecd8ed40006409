/** Everything that the simulated homelab remembers besides the files of its machines: plain JSON. */
export interface State {
  /** Seconds that programs on the machines slept. */
  slept: number;
  host: Host;
  /** Machines that can be logged in to, by name; `host` is the Proxmox host. */
  machines: Record<string, Machine>;
  /** By vmid. */
  vms: Record<string, Vm>;
  storages: Record<string, Storage>;
  /** Disks by volume id, as local-lvm:vm-201-disk-0. */
  volumes: Record<string, Volume>;
  /** Of the Kubernetes cluster. */
  cluster: { kubernetes?: string };
  /** Whatever other programs remember, each under its own name. */
  extra: Record<string, any>;
}

export interface Host {
  /** Node name of Proxmox. */
  name: string;
  /** Milliseconds after which it answers; absent while it is off. */
  upAt?: number;
  boots: number;
  pci: PciDevice[];
}

export interface PciDevice {
  /** As 0000:c5:00.0. */
  slot: string;
  /** As 0300. */
  class: string;
  /** As 1002:1900. */
  id: string;
  name: string;
  driver?: string;
}

export interface Machine {
  kind: 'proxmox' | 'ubuntu';
  address: string;
  /** Milliseconds after which it answers; absent while it is off. */
  upAt?: number;
  /** Users that may log in, with their public keys; no keys means any. */
  users: Record<string, string[]>;
  /** Public host key. */
  hostKey: string;
  vmid?: number;
  /** The system disk that its files stand for. */
  volume?: string;
}

export interface Vm {
  /** Key to value, as `qm config` prints them. */
  config: Record<string, string>;
  /** Changes that wait for the next start; null deletes. */
  pending: Record<string, string | null>;
  /** Milliseconds at which it was started; absent while it is off. */
  startedAt?: number;
  /** What the start saw: a change of ipconfig0 counts after the next one. */
  started?: Record<string, string>;
  /** Seconds that its guest needs to shut down; a test sets more than Proxmox waits. @default 10 */
  shutdownSeconds?: number;
}

export interface Storage {
  type: 'dir' | 'lvmthin';
  content: string[];
  /** Bytes. */
  total: number;
  /** Bytes that are taken by what is no volume of ours. */
  used: number;
  path?: string;
  vgname?: string;
  thinpool?: string;
  /** Percent of the thin pool's metadata. */
  metadata?: number;
}

export interface Volume {
  /** Bytes. */
  size: number;
  /** Bytes that were written: what a thin pool really holds. */
  used: number;
  vmid: number;
  /** What was imported into it. */
  image?: Image;
  /** Label of the file system that Talos made on it: it is not empty any more. */
  label?: string;
  /** What a Talos node keeps on its system disk. */
  talos?: TalosDisk;
  /** Instance that cloud-init saw last, and the host key that it made. */
  cloudInit?: { instance: string; hostKey: string };
}

export interface Image {
  system: 'talos' | 'ubuntu';
  version: string;
  /** Talos: of the image factory. */
  schematic?: string;
  /** Talos: nocloud takes addresses from Proxmox, any other asks DHCP. */
  platform?: string;
  /** Bytes of the disk that it unpacks to. @default 4 GiB */
  size?: number;
}

export interface TalosDisk {
  /** The machine configuration in force. */
  config?: string;
  /** One for the next boot. */
  staged?: string;
  /** Milliseconds until which it does not answer. */
  awayUntil: number;
  /** What it does meanwhile. */
  stage: 'booting' | 'installing' | 'rebooting' | 'upgrading' | 'resetting';
  /** Milliseconds at which etcd began. */
  bootstrappedAt?: number;
  /** User volumes by name, with the volume id of the disk that each was made on. */
  volumes: Record<string, string>;
  boots: number;
}

export const GIB = 2 ** 30;

/** A Proxmox host as it is after the installation: two storages and a GPU. */
export function freshState(name: string, address: string): State {
  return {
    slept: 0,
    host: {
      name,
      upAt: 0,
      boots: 1,
      pci: [
        { slot: '0000:01:00.0', class: '0200', id: '10ec:8125', name: 'Realtek RTL8125 2.5GbE', driver: 'r8169' },
        { slot: '0000:c5:00.0', class: '0300', id: '1002:1900', name: 'AMD HawkPoint1', driver: 'amdgpu' },
        {
          slot: '0000:c5:00.1',
          class: '0403',
          id: '1002:1640',
          name: 'AMD Rembrandt HD Audio',
          driver: 'snd_hda_intel',
        },
        { slot: '0000:c5:00.2', class: '1080', id: '1022:15c7', name: 'AMD Phoenix CCP/PSP', driver: 'ccp' },
        { slot: '0000:c6:00.1', class: '1180', id: '1022:1502', name: 'AMD IPU Device', driver: 'amdxdna' },
      ],
    },
    machines: { host: { kind: 'proxmox', address, upAt: 0, users: { root: [] }, hostKey: hostKey() } },
    vms: {},
    storages: {
      local: { type: 'dir', content: ['iso', 'vztmpl', 'backup'], total: 94 * GIB, used: 6 * GIB, path: '/var/lib/vz' },
      'local-lvm': {
        type: 'lvmthin',
        content: ['rootdir', 'images'],
        total: 1720 * GIB,
        used: 0,
        vgname: 'pve',
        thinpool: 'data',
        metadata: 1,
      },
    },
    volumes: {},
    cluster: {},
    extra: {},
  };
}

/** Text that looks like a public key, new each time. */
export function hostKey(): string {
  return `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${Buffer.from(Array.from({ length: 32 }, () => Math.random() * 256))
    .toString('base64')
    .slice(0, 43)}`;
}
