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

/** Talos' own default, and two that other people run. */
const TIME_SERVERS = ['time.cloudflare.com', '0.pool.ntp.org', '1.pool.ntp.org'];

/** Talos waits without limit when it is given none. */
const TIME_SYNC_BOOT_SECONDS = 120;

/**
 * Talos' own reserve next to memory (constants.KubeletSystemReserved* of 1.13): what is said here replaces all of it.
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

/** The patches of a node in the order in which they are laid over each other. */
export function patchesOf(name: string, { role }: TalosMachine): string[] {
  return [`${FOLDER}/cluster.patch.yaml`, `${FOLDER}/${role}.patch.yaml`, nodeFile(name)];
}

/** Name of a database disk's volume as Talos knows it; it is mounted at /var/mnt/SERIAL. */
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
        // Tells addresses of the nodes to a server on the internet. Only nodes that must find further control planes
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

/** As Go prints it, and Talos gives it back: 2m0s. */
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
    // gen config says `auto: stable`, a name like talos-abc-123; volumes and labels stand on the name of the inventory.
    { apiVersion: 'v1alpha1', kind: 'HostnameConfig', auto: 'off', hostname: name },
    // The card has a name of its own on every chipset; its MAC is the inventory's.
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
        // Talos wants a smallest size; below 90 % of its disk it would be another disk. It grows with the disk.
        minSize: `${mebibytes(bytes(size) * 0.9)}MiB`,
        grow: true,
      },
      filesystem: { type: 'xfs' },
    })),
  ];
}

/** Strings that another reader of YAML would take for something else stand in quotes: `auto: "off"`. */
function documents(...all: readonly object[]): string {
  return all
    .map((each) => `---\n${stringify(each, { lineWidth: 0, version: '1.1', directives: false } as never)}`)
    .join('');
}
