import { stringify } from 'yaml';
import {
  SYSTEM_MILLICORES,
  apiServerAddresses,
  clusterNetworks,
  nodes,
  type Homelab,
  type TalosMachine,
} from '../inventory';
import { bytes, mebibytes, memoryQuantity } from '../values/quantity';
import type { MachineFiles } from './files';
import { installerImage } from './images';

/** Folder below scripts/rendered/. */
const FOLDER = 'talos';

/** The only scsi disk of the machine; database disks are virtio-blk (/dev/vda and so on). */
export const SYSTEM_DISK = '/dev/sda';

/** Talos' default, and two common alternatives. */
const TIME_SERVERS = ['time.cloudflare.com', '0.pool.ntp.org', '1.pool.ntp.org'];

/** Without a limit, Talos waits without end. */
const TIME_SYNC_BOOT_SECONDS = 120;

/**
 * Talos' own reserve besides memory (constants.KubeletSystemReserved* of 1.13): our setting replaces all of it.
 */
const SYSTEM_RESERVED = { cpu: `${SYSTEM_MILLICORES}m`, pid: '100', 'ephemeral-storage': '256Mi' };

/** Patches on what `talosctl gen config` makes: for all nodes, for a role, for a node. */
export function talosPatches(homelab: Homelab): MachineFiles {
  return new Map([
    [`${FOLDER}/cluster.patch.yaml`, documents(...clusterPatch(homelab))],
    [`${FOLDER}/control-plane.patch.yaml`, documents(controlPlanePatch(homelab))],
    [`${FOLDER}/worker.patch.yaml`, documents(reserve(homelab, 'worker'))],
    ...nodes(homelab).map(([name, machine]): [string, string] => [
      nodeFile(name),
      documents(...nodePatch(homelab, name, machine)),
    ]),
  ]);
}

/** The patches of a node in the order in which Talos merges them. */
export function patchesOf(name: string, { role }: TalosMachine): string[] {
  return [`${FOLDER}/cluster.patch.yaml`, `${FOLDER}/${role}.patch.yaml`, nodeFile(name)];
}

/** Name of a database disk's volume in Talos; it is mounted at /var/mnt/SERIAL. */
export function userVolume(serial: string): string {
  return `u-${serial}`;
}

function nodeFile(name: string): string {
  return `${FOLDER}/nodes/${name}.patch.yaml`;
}

function clusterPatch(homelab: Homelab): object[] {
  const { network, talos } = homelab;
  const { podCidr, serviceCidr } = clusterNetworks(homelab);
  return [
    {
      machine: {
        install: { disk: SYSTEM_DISK, image: installerImage(homelab) },
        kubelet: {
          nodeIP: { validSubnets: [network.cidr] },
          extraConfig: {
            shutdownGracePeriod: `${talos.shutdownGracePeriod.toSeconds()}s`,
            shutdownGracePeriodCriticalPods: `${talos.shutdownGracePeriodCriticalPods.toSeconds()}s`,
          },
        },
        // Cassandra maps each SSTable several times; its documentation asks for 1048575, Linux allows 65530.
        sysctls: { 'vm.max_map_count': '1048575' },
      },
      cluster: {
        network: {
          podSubnets: [podCidr],
          serviceSubnets: [serviceCidr],
          cni: { name: 'flannel', flannel: { kubeNetworkPoliciesEnabled: talos.enforceNetworkPolicies } },
        },
        // Discovery sends the nodes' addresses to a server on the internet. Only nodes that must find further control planes
        // by themselves need it.
        ...(apiServerAddresses(homelab).length === 1 && { discovery: { enabled: false } }),
      },
    },
    ...(homelab.registry?.ca === undefined
      ? []
      : [{ apiVersion: 'v1alpha1', kind: 'TrustedRootsConfig', name: 'registry', certificates: homelab.registry.ca }]),
    { apiVersion: 'v1alpha1', kind: 'ResolverConfig', nameservers: network.dns.map((address) => ({ address })) },
    {
      apiVersion: 'v1alpha1',
      kind: 'TimeSyncConfig',
      enabled: true,
      bootTimeout: goDuration(talos.timeSyncBootTimeout?.toSeconds({ integral: false }) ?? TIME_SYNC_BOOT_SECONDS),
      ntp: { servers: network.timeServers ?? TIME_SERVERS },
    },
  ];
}

/** In Go's format, which Talos also returns: 2m0s. */
function goDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}m${whole % 60}s`;
}

function controlPlanePatch(homelab: Homelab): object {
  return {
    ...reserve(homelab, 'controlPlane'),
    cluster: { allowSchedulingOnControlPlanes: homelab.talos.scheduleOnControlPlanes ?? false },
  };
}

function reserve({ talos }: Homelab, role: 'controlPlane' | 'worker'): { machine: object } {
  const memory = memoryQuantity(bytes(talos.kubeletReserve[role]));
  return { machine: { kubelet: { extraConfig: { systemReserved: { ...SYSTEM_RESERVED, memory } } } } };
}

function nodePatch({ network }: Homelab, name: string, machine: TalosMachine): object[] {
  const { address, mac, labels = {}, dataDisks = {} } = machine;
  const prefix = network.cidr.split('/')[1]!;
  return [
    ...(Object.keys(labels).length > 0 ? [{ machine: { nodeLabels: labels } }] : []),
    // gen config sets `auto: stable`, a name like talos-abc-123; volumes and labels need the name of the inventory.
    { apiVersion: 'v1alpha1', kind: 'HostnameConfig', auto: 'off', hostname: name },
    // The name of the card depends on the chipset; its MAC is in the inventory.
    {
      apiVersion: 'v1alpha1',
      kind: 'LinkAliasConfig',
      name: 'net0',
      selector: { match: `mac(link.permanent_addr) == "${mac}"` },
    },
    {
      apiVersion: 'v1alpha1',
      kind: 'LinkConfig',
      name: 'net0',
      up: true,
      addresses: [{ address: `${address}/${prefix}` }],
      routes: [{ gateway: network.gateway }],
    },
    ...Object.entries(dataDisks).map(([serial, size]) => ({
      apiVersion: 'v1alpha1',
      kind: 'UserVolumeConfig',
      name: serial,
      provisioning: {
        diskSelector: { match: `disk.serial == "${serial}" && !system_disk` },
        // Talos requires a minimum size. 90 % of the disk excludes smaller disks. The volume grows with its disk.
        minSize: `${mebibytes(bytes(size) * 0.9)}MiB`,
        grow: true,
      },
      filesystem: { type: 'xfs' },
    })),
  ];
}

/** Quotes strings that another YAML parser would read as another type: `auto: "off"`. */
function documents(...all: readonly object[]): string {
  return all
    .map((each) => `---\n${stringify(each, { lineWidth: 0, version: '1.1', directives: false } as never)}`)
    .join('');
}
