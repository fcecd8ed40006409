import { sentence } from '../values/problem';
import { bytes } from '../values/quantity';
import { hostOf } from './derived';
import type { Homelab, Machine, ProxmoxHost } from './homelab';
import { isTuned, type Model } from './models';
import { at } from './shape';

const GIB = 1024 ** 3;

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

/** Reports machines that do not fit on their hosts, and models that do not fit on their machine. */
export function capacityProblems(homelab: Homelab): string[] {
  return [
    ...Object.entries(homelab.hosts).flatMap(([name, host]) =>
      host.kind === 'proxmox' ? hostProblems(homelab, name, host) : [],
    ),
    ...modelProblems(homelab),
  ];
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

/** Minimum memory of the operating system beside the models. */
const OF_THE_SYSTEM = GIB;

/** Bytes of a weight in the quantization that a tag names; Ollama's default is q4_K_M. */
function weightBytes(tag: string): number {
  if (/(fp|f|bf)16/i.test(tag)) return 2;
  const bits = Number(/q([2-8])/i.exec(tag)?.[1] ?? 4);
  return (bits + 0.5) / 8;
}

/**
 * Minimum memory of a model, in bytes: weights, and the context in 4 bits (36 KiB a token with 8 billion parameters, twice that
 * with four times as many). Undefined when the tag does not contain the number of parameters.
 */
function leastMemory(model: Model): number | undefined {
  if (isTuned(model)) return undefined;
  const { tag, context } = model;
  const billions = Number(/(?:^|[:_-])(\d+(?:\.\d+)?)b(?:$|[-_])/i.exec(tag)?.[1]);
  if (!(billions > 0)) return undefined;
  return billions * 1e9 * weightBytes(tag) + context * 36 * 1024 * Math.sqrt(billions / 8);
}

/** A coarse lower bound, which reports only what certainly does not fit. All resident models are loaded, plus any one other. */
function modelProblems({ llm, machines }: Homelab): string[] {
  if (!llm || !Object.hasOwn(machines, llm.machine)) return [];
  const machine = machines[llm.machine]!;
  const room = bytes(machine.memory) - OF_THE_SYSTEM;
  const least = Object.entries(llm.models).map(([name, model]) => ({ name, model, size: leastMemory(model) ?? 0 }));
  const resident = sum(least.filter(({ model }) => model.resident).map(({ size }) => size));
  return least
    .filter(({ model, size }) => size > 0 && (model.resident ? resident : resident + size) > room)
    .map(({ name, model, size }) =>
      sentence({
        what: `${at('llm.models', name)} must fit into the memory of ${llm.machine} with its context${resident > (model.resident ? size : 0) ? ', beside the resident models' : ''}`,
        got: `at least ${gib(model.resident ? resident : resident + size)} of ${gib(room)}, at ${model.context} tokens`,
        fix: 'lower context, choose a smaller model, or give that machine more memory',
      }),
    );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function gib(count: number): string {
  return `${(count / GIB).toFixed(1).replace(/\.0$/, '')} GiB`;
}
