import type { GpuPassthrough, Homelab, ProxmoxHost } from '../../../inventory';
import { bootId } from '../../clients/boots';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import { gpuOptions } from '../../../machines/host';
import { provingModelOf } from '../../../machines/ollama';
import { runningKernel, type UbuntuVm } from '../../clients/ubuntu';

/** Parts of the proof, in their order: the CPU alone, the GPU, and the GPU after each kind of restart. */
export const PHASES = ['cpu', 'generate', 'reboot', 'stop-start'] as const;
export type Phase = (typeof PHASES)[number];

/** What is known of a VM's GPU. The file is on the Proxmox host, because it is about that host with this kernel. */
export interface GpuRecord {
  readonly vmid: number;
  readonly state: 'proving' | 'passed' | 'failed';
  /** Of the host. */
  readonly kernel: string;
  readonly done: readonly Phase[];
  /** What was begun, and in which boot of the host: another boot means that the host went down meanwhile. */
  readonly begun?: { readonly phase: Phase; readonly boot: string };
  readonly failed?: { readonly phase: Phase; readonly why: string };
  /** How the GPU was passed through. @default as without `gpuPassthrough` */
  readonly options?: string;
  /** With which options it did not compute before, and why. */
  readonly tried?: Readonly<Record<string, string>>;
  /** The model that it was proved with, and its tokens per second on the CPU and on the GPU. */
  readonly tag?: string;
  readonly cpu?: number;
  readonly gpu?: number;
  readonly date: string;
}

export function recordPath(vmid: number): string {
  return `/var/lib/collab-homelab/gpu-${vmid}.json`;
}

export async function readRecord(vm: UbuntuVm): Promise<GpuRecord | undefined> {
  const path = recordPath(vm.machine.vmid);
  const { stdout, stderr, code } = await vm.commands.read(vm.host, ['cat', path], { accepts: [0, 1] });
  if (code === 1 && /No such file/.test(stderr)) return undefined;
  const record = json(stdout, `${path} on ${vm.host.name}`) as Partial<GpuRecord> | null;
  const isWhole =
    record?.vmid === vm.machine.vmid &&
    ['proving', 'passed', 'failed'].includes(record.state ?? '') &&
    typeof record.kernel === 'string' &&
    Array.isArray(record.done) &&
    (record.state !== 'failed' || typeof record.failed?.why === 'string');
  if (!isWhole)
    throw new Blocked(
      `${path} on ${vm.host.name} must be the record of the GPU proof, but contains ${JSON.stringify(stdout.slice(0, 120))}; remove it there to repeat the proof`,
    );
  return record as GpuRecord;
}

export async function writeRecord(
  homelab: Homelab,
  { commands, machine: { vmid }, host }: UbuntuVm,
  record: Omit<GpuRecord, 'vmid' | 'date'>,
) {
  const options = optionsText(passthroughOf(homelab, host.name));
  const whole: GpuRecord = { vmid, ...record, options, date: new Date().toISOString() };
  await commands.changeScript(host, 'proxmox/gpu-record.sh', [`${vmid}`, JSON.stringify(whole)]);
}

/** What the proof says about the host as it runs now. */
export interface GpuState {
  readonly record: GpuRecord | undefined;
  /** The host's running kernel, and its boot. */
  readonly kernel: string;
  readonly boot: string;
  /** passed: for this kernel. unsafe: the GPU computes, but a restart of the VM needs one of the host. unusable: it does not. */
  readonly verdict: 'unproven' | 'passed' | 'unsafe' | 'unusable';
  /** The host went down while this was tried. */
  readonly hungAt?: Phase;
}

export async function gpuState(homelab: Homelab, vm: UbuntuVm): Promise<GpuState> {
  const options = optionsText(passthroughOf(homelab, vm.host.name));
  const record = ofModel(ofOptions(await readRecord(vm), options), provingModelOf(homelab)?.tag);
  const [kernel, boot] = [await runningKernel(vm.commands, vm.host), await bootId(vm.commands, vm.host)];
  return stateOf(record, kernel, boot);
}

export function passthroughOf(homelab: Homelab, host: string): GpuPassthrough {
  return (homelab.hosts[host] as ProxmoxHost).gpuPassthrough ?? {};
}

/** As a record keeps them. */
export function optionsText(passthrough: GpuPassthrough): string {
  const { gpu, audio } = gpuOptions(passthrough);
  return `.0 ${gpu}; .1 ${audio ?? 'left out'}${passthrough.audioRom === undefined ? '' : ` (${passthrough.audioRom})`}`;
}

/** A result with other options does not count for these; it is kept, so that they are not tried again. */
export function ofOptions(record: GpuRecord | undefined, options: string): GpuRecord | undefined {
  if (record === undefined) return undefined;
  const { vmid, kernel, options: before = optionsText({}), tag, cpu, failed, tried, date } = record;
  if (before === options) return record;
  const known = { ...tried, ...(failed && { [before]: failed.why }) };
  return {
    ...{ vmid, state: 'proving', kernel, done: cpu === undefined ? [] : ['cpu'], date },
    ...(cpu !== undefined && { tag, cpu }),
    ...(Object.keys(known).length > 0 && { tried: known }),
  };
}

/** The speed of another model is not compared with the speed of this one. */
export function ofModel(record: GpuRecord | undefined, tag: string | undefined): GpuRecord | undefined {
  if (record === undefined || record.tag === tag) return record;
  const { cpu: _, gpu: __, tag: ___, ...rest } = record;
  return { ...rest, done: rest.done.filter((phase) => phase !== 'cpu') };
}

export function stateOf(record: GpuRecord | undefined, kernel: string, boot: string): GpuState {
  const { state, begun, failed } = record ?? {};
  if (state === 'proving' && begun !== undefined && begun.boot !== boot)
    return { record, kernel, boot, verdict: 'unproven', hungAt: begun.phase };
  const verdict =
    state === 'failed'
      ? isRestart(failed!.phase)
        ? 'unsafe'
        : 'unusable'
      : state === 'passed' && record!.kernel === kernel
        ? 'passed'
        : 'unproven';
  return { record, kernel, boot, verdict };
}

/** What is proved for the running kernel. The CPU is as fast under another one. */
export function doneSoFar({ record, kernel }: GpuState): readonly Phase[] {
  if (record?.state === 'proving' && record.kernel === kernel) return record.done;
  return record?.cpu === undefined ? [] : ['cpu'];
}

/** What of the proof is still to be made. */
export function remaining(state: GpuState): readonly Phase[] {
  if (state.verdict !== 'unproven') return [];
  const done = doneSoFar(state);
  return PHASES.filter((phase) => !done.includes(phase));
}

function isRestart(phase: Phase): boolean {
  return phase === 'reboot' || phase === 'stop-start';
}
