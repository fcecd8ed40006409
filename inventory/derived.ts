import { bytes } from '../values/quantity';
import type { Database, Homelab, Machine, ProxmoxHost, TalosMachine } from './homelab';

/** What follows from a homelab without any choice. */

/** The pods of a database, which are also the names and serials of their disks. A retired one keeps its disks. */
export function databasePods(name: string, database: Database): string[] {
  const numbered = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, ordinal) => `${prefix}-${ordinal}`);
  if (database.kind === 'cassandra')
    return database.racks.flatMap((rack) => numbered(`${name}-${rack}`, database.nodesPerRack ?? 1));
  return numbered(name, database.pods ?? database.members);
}

/** The Kubernetes nodes, by name. */
export function nodes({ machines }: Homelab): [string, TalosMachine][] {
  return Object.entries(machines).filter((entry): entry is [string, TalosMachine] => isTalos(entry[1]));
}

/** The nodes on which pods of ours run. */
export function workers(homelab: Homelab): [string, TalosMachine][] {
  return nodes(homelab).filter(([, { role }]) => role === 'worker' || homelab.talos.scheduleOnControlPlanes === true);
}

/** What `on` of a system workload may be besides the name of a machine. */
export const SYSTEM_PLACES: readonly string[] = ['every-node', 'control-plane', 'workers', 'any-node'];

/** The nodes on which a system workload runs, or with `any-node` may run. */
export function systemNodes(homelab: Homelab, on: string): string[] {
  if (on === 'workers') return workers(homelab).map(([name]) => name);
  return nodes(homelab)
    .filter(([name, { role }]) => on === 'every-node' || on === 'any-node' || on === role || on === name)
    .map(([name]) => name);
}

/** Name of the Proxmox host that a machine runs on. */
export function hostOf({ hosts }: Homelab, { host }: Machine): string {
  return host ?? Object.keys(hosts).find((name) => hosts[name]!.kind === 'proxmox')!;
}

/** A Proxmox host with the defaults of what homelab.ts leaves out. */
export function hostWithDefaults(host: ProxmoxHost) {
  const { storage = 'local-lvm', files = 'local', bridge = 'vmbr0' } = host;
  return { ...host, storage, files, bridge };
}

/** The addresses at which the Kubernetes API answers: those of all control planes. */
export function apiServerAddresses(homelab: Homelab): string[] {
  return nodes(homelab)
    .filter(([, { role }]) => role === 'control-plane')
    .map(([, { address }]) => address);
}

/** The branch, tag or commit that Argo CD follows. */
export function revisionOf({ git }: Homelab): string {
  return git.revision ?? 'main';
}

/** Port of the Kubernetes API on the control plane (Talos' default). */
export const API_SERVER_PORT = 6443;

/** Addresses of pods and of Services. */
export function clusterNetworks({ network }: Homelab): { readonly podCidr: string; readonly serviceCidr: string } {
  return { podCidr: network.podCidr ?? '10.244.0.0/16', serviceCidr: network.serviceCidr ?? '10.96.0.0/12' };
}

/** The machine that holds a disk. */
export function machineOfDisk(homelab: Homelab, disk: string): [string, TalosMachine] {
  return nodes(homelab).find(([, machine]) => machine.dataDisks?.[disk] !== undefined)!;
}

/**
 * Memory that pods may request on a node, in bytes: what the kernel shows of the machine's memory (98 %, as seen on Talos
 * machines of 4 and 22 GiB), less the kubelet's reserve, less the 100 MiB at which the kubelet starts to evict.
 */
export function allocatableMemory({ talos }: Homelab, machine: TalosMachine): number {
  const reserve = machine.role === 'worker' ? talos.kubeletReserve.worker : talos.kubeletReserve.controlPlane;
  return Math.floor(bytes(machine.memory) * 0.98) - bytes(reserve) - 100 * 1024 ** 2;
}

/** What the kubelet keeps of the CPU for the system: Talos' own value (constants.KubeletSystemReservedCPU of 1.13). */
export const SYSTEM_MILLICORES = 50;

/** Millicores that pods may request on a node. */
export function allocatableCpu({ cores }: TalosMachine): number {
  return cores * 1000 - SYSTEM_MILLICORES;
}

function isTalos(machine: Machine): machine is TalosMachine {
  return machine.kind === 'talos';
}

/** Talos ends pod sandboxes for up to 180 s after the kubelet is done, and its finalizers; the rest is spare. */
const BESIDES_PODS = 180 + 60;

/** Seconds after which Proxmox pulls the plug: those of homelab.ts, and never fewer than pods and Talos may take. */
export function downSeconds(homelab: Homelab, machine: Machine): number {
  const down = Math.ceil(machine.down.toSeconds());
  if (machine.kind !== 'talos') return down;
  const { shutdownGracePeriod, shutdownGracePeriodCriticalPods } = homelab.talos;
  // Where no pods of ours run, only critical ones take their time.
  const isWorker = workers(homelab).some(([, each]) => each === machine);
  const pods = isWorker ? shutdownGracePeriod : shutdownGracePeriodCriticalPods;
  return Math.max(down, Math.ceil(pods.toSeconds()) + BESIDES_PODS);
}
