import type { Size } from 'cdk8s';
import { bytes } from '../values/quantity';
import type { Database } from './databases';
import type { Homelab, Machine, TalosMachine } from './homelab';
import type { Service } from './services';

/** Values that are derived from a homelab. */

/** The pods of a database, which are also the names and serials of their disks. A retired one keeps its disks. */
export function databasePods(name: string, database: Database): string[] {
  const numbered = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, ordinal) => `${prefix}-${ordinal}`);
  if (database.kind === 'cassandra')
    return database.racks.flatMap((rack) => numbered(`${name}-${rack}`, database.nodesPerRack ?? 1));
  return numbered(name, database.pods ?? database.members);
}

/** The Kubernetes nodes, by name. */
export function nodes({ machines }: Pick<Homelab, 'machines'>): [string, TalosMachine][] {
  return Object.entries(machines).filter((entry): entry is [string, TalosMachine] => isTalos(entry[1]));
}

/** The nodes on which our pods run. */
export function workers(homelab: Homelab): [string, TalosMachine][] {
  return nodes(homelab).filter(([, { role }]) => role === 'worker' || homelab.talos.scheduleOnControlPlanes === true);
}

/** Values of `on` of a system workload, besides the name of a machine. */
export const SYSTEM_PLACES: readonly string[] = ['every-node', 'control-plane', 'workers', 'any-node'];

/** The nodes on which a system workload runs, or can run with `any-node`. */
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

/** The settings of a Proxmox host, with defaults for the fields that homelab.ts leaves out. */
export function proxmoxSettings({ hosts }: Pick<Homelab, 'hosts'>, name: string) {
  const host = hosts[name];
  if (host?.kind !== 'proxmox') throw new Error(`${name} is no Proxmox host`);
  const { storage = 'local-lvm', files = 'local', bridge = 'vmbr0' } = host;
  return { ...host, storage, files, bridge };
}

/** The addresses of the Kubernetes API: those of all control planes. */
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

/** Networks of pods and of Services. */
export function clusterNetworks({ network }: Homelab): { readonly podCidr: string; readonly serviceCidr: string } {
  return { podCidr: network.podCidr ?? '10.244.0.0/16', serviceCidr: network.serviceCidr ?? '10.96.0.0/12' };
}

/** The machine that holds a disk. */
export function machineOfDisk(homelab: Homelab, disk: string): [string, TalosMachine] {
  return nodes(homelab).find(([, machine]) => machine.dataDisks?.[disk] !== undefined)!;
}

/** Size of a data disk, or undefined where no machine holds it. */
export function diskSize(homelab: Pick<Homelab, 'machines'>, disk: string): Size | undefined {
  return nodes(homelab).find(([, machine]) => machine.dataDisks?.[disk] !== undefined)?.[1].dataDisks![disk];
}

/**
 * Memory that pods may request on a node, in bytes: what the kernel reports of the machine's memory (98 %, as seen on Talos
 * machines of 4 and 22 GiB), less the kubelet's reserve, less the 100 MiB at which the kubelet starts to evict.
 */
export function allocatableMemory({ talos }: Homelab, machine: TalosMachine): number {
  const reserve = machine.role === 'worker' ? talos.kubeletReserve.worker : talos.kubeletReserve.controlPlane;
  return Math.floor(bytes(machine.memory) * 0.98) - bytes(reserve) - 100 * 1024 ** 2;
}

/** CPU that the kubelet reserves for the system: Talos' default (constants.KubeletSystemReservedCPU of 1.13). */
export const SYSTEM_MILLICORES = 50;

/** Millicores that pods may request on a node. */
export function allocatableCpu({ cores }: TalosMachine): number {
  return cores * 1000 - SYSTEM_MILLICORES;
}

function isTalos(machine: Machine): machine is TalosMachine {
  return machine.kind === 'talos';
}

/** After the kubelet has stopped, Talos stops pod sandboxes for up to 180 s and runs finalizers; the rest is a margin. */
const BESIDES_PODS = 180 + 60;

/** Shutdown timeout of Proxmox, in seconds: that of homelab.ts, but never less than pods and Talos may need. */
export function downSeconds(homelab: Homelab, machine: Machine): number {
  const down = Math.ceil(machine.down.toSeconds());
  if (machine.kind !== 'talos') return down;
  const { shutdownGracePeriod, shutdownGracePeriodCriticalPods } = homelab.talos;
  // Without our pods, only the time for critical pods counts.
  const isWorker = workers(homelab).some(([, each]) => each === machine);
  const pods = isWorker ? shutdownGracePeriod : shutdownGracePeriodCriticalPods;
  return Math.max(down, Math.ceil(pods.toSeconds()) + BESIDES_PODS);
}

/** Services that others can connect to. */
export function servers(services: Homelab['services']): [name: string, service: Service][] {
  return Object.entries(services).filter(
    ([, { kind, state }]) => (kind === undefined || kind === 'server') && state !== 'retired',
  );
}
