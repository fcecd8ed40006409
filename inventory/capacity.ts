import { sentence } from '../values/problem';
import { bytes, gib, GIB, sum } from '../values/quantity';
import { hostOf } from './derived';
import type { Homelab, Machine, ProxmoxHost } from './homelab';
import { at } from './shape';

/** Memory overhead of QEMU for each machine, as seen on Proxmox with virtio disks. */
export const QEMU_OVERHEAD = 0.3 * GIB;

/** Share of a storage that its disks may use together: when a thin pool runs full, every disk on it fails. */
export const SHARE_OF_STORAGE = 0.9;

/** Disks for EFI variables and cloud-init of each machine. */
const SMALL_DISKS = 8 * 1024 ** 2;

/** The machines that run on a host. */
export function machinesOf(homelab: Homelab, host: string): [string, Machine][] {
  return Object.entries(homelab.machines).filter(([, machine]) => hostOf(homelab, machine) === host);
}

/** Memory of a host that machines of these sizes use, plus what the BIOS and Proxmox keep. In bytes. */
export function memoryTaken(host: ProxmoxHost, machines: readonly number[]): number {
  const kept = bytes(host.igpuCarveOut, 'igpuCarveOut', true) + bytes(host.reserve);
  return sum(machines) + machines.length * QEMU_OVERHEAD + kept;
}

/** All disks of a machine when they are full, in bytes. */
export function diskTaken(machine: Machine): number {
  const dataDisks = Object.values((machine.kind === 'talos' && machine.dataDisks) || {});
  return bytes(machine.systemDisk) + sum(dataDisks.map((size) => bytes(size))) + SMALL_DISKS;
}

/** Reports machines that do not fit on their hosts. */
export function capacityProblems(homelab: Homelab): string[] {
  return Object.entries(homelab.hosts).flatMap(([name, host]) =>
    host.kind === 'proxmox' ? hostProblems(homelab, name, host) : [],
  );
}

function hostProblems(homelab: Homelab, name: string, host: ProxmoxHost): string[] {
  const machines = machinesOf(homelab, name).map(([, machine]) => machine);
  const place = at('hosts', name);
  const memory = memoryTaken(
    host,
    machines.map((machine) => bytes(machine.memory)),
  );
  const disk = sum(machines.map(diskTaken));
  const room = bytes(host.disk) * SHARE_OF_STORAGE;
  const problems: string[] = [];
  if (memory > bytes(host.memory))
    problems.push(
      sentence({
        what: `${place}.memory must hold all machines, 0.3 GiB for each, igpuCarveOut and reserve`,
        got: `${gib(memory)} of ${gib(bytes(host.memory))}`,
        fix: `give machines on ${name} ${gib(memory - bytes(host.memory))} less memory`,
      }),
    );
  if (disk > room)
    problems.push(
      sentence({
        what: `${place}.disk must hold all disks of its machines in ${SHARE_OF_STORAGE * 100} % of its size, or its pool runs full`,
        got: `${gib(disk)} of ${gib(room)}`,
        fix: `make disks on ${name} ${gib(disk - room)} smaller`,
      }),
    );
  return problems;
}
