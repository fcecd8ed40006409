import type { GpuPassthrough, Homelab, PulledModel } from '../../../inventory';
import { bootId } from '../../clients/boots';
import { isOurGpu, usesVulkan, type OllamaLog } from '../../clients/ollama-log';
import type { Ollama } from '../../clients/ollama';
import { Refusal, shortTag, type Loaded } from '../../clients/ollama-api';
import type { UbuntuVm } from '../../clients/ubuntu';
import { action, remoteScript } from '../../engine/actions';
import { CommandFailed } from '../../engine/commands';
import { isFault, NotReady, Problem, Blocked } from '../../engine/problem';
import { step, type Action, type Progress, type Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { provingModelOf } from '../../../machines/ollama';
import {
  doneSoFar,
  gpuState,
  optionsText,
  passthroughOf,
  recordPath,
  remaining,
  writeRecord,
  type GpuRecord,
  type GpuState,
  type Phase,
} from './gpu-record';
import { assertNoDatabaseRuns, NotBack, restart, type Cluster } from './restart';

/** @throws Blocked when there is no model to prove the GPU with */
export function provingModel(homelab: Homelab): PulledModel {
  const model = provingModelOf(homelab);
  if (model === undefined)
    throw new Blocked(
      'llm.models must contain a model with a tag for the test of the GPU; add one to homelab.ts, or set gpu: false',
    );
  return model;
}

const WHAT: Readonly<Record<Phase, string>> = {
  cpu: 'generate on the CPU, for comparison',
  generate: 'generate on the GPU',
  reboot: 'reboot in the VM, then generate on the GPU',
  'stop-start': 'shut the VM down and start it, then generate on the GPU',
};

/** How fast the same model is on the CPU alone: the GPU must be faster. */
export function speedOnCpuMeasured(homelab: Homelab, ollama: Ollama): Step {
  const { vm } = ollama;
  const { tag, context: length } = provingModel(homelab);
  const measure = action(WHAT.cpu, async (progress) => {
    const state = await gpuState(homelab, vm);
    progress(`${tag} generates on the CPU (some minutes)`);
    const { tokensPerSecond } = await ollama.generate({ tag, context: length, onCpu: true });
    await writeRecord(homelab, vm, {
      ...(state.record?.tried && { tried: state.record.tried }),
      state: 'proving',
      kernel: state.kernel,
      done: ['cpu'],
      tag,
      cpu: tokensPerSecond,
    });
  });
  return step(`the speed of ${tag} without the GPU is known`, async () => {
    const state = await gpuState(homelab, vm);
    return state.hungAt !== undefined || !remaining(state).includes('cpu') ? undefined : { actions: [measure] };
  });
}

/**
 * The GPU computes, and does so again after a reboot in the VM and after a shutdown and start of it, before there is a
 * database that a hanging host could hurt. The record on the host is written before and after each part, so that a killed
 * run goes on where it was, and a host that went down in between is a result too.
 */
export function gpuProved(cluster: Cluster, ollama: Ollama): Step {
  const { homelab } = cluster;
  const { vm } = ollama;
  const { name, host } = vm;
  // Of the first look: the steps before this one write a new record, and the plan must stay the same.
  let before: string | undefined;
  return step(`the GPU of ${name} survives restarts (kernel of ${host.name} as it runs)`, async () => {
    const state = await gpuState(homelab, vm);
    before ??= state.record?.kernel ?? state.kernel;
    if (state.verdict === 'unusable') throw unusable(homelab, vm, state);
    if (state.hungAt !== undefined) return { actions: [hostWentDown(homelab, vm, state, state.hungAt)] };
    const phases = remaining(state).filter((phase) => phase !== 'cpu');
    if (phases.length === 0) return undefined;
    await assertNoDatabaseRuns(cluster, `the GPU of ${name} is proved, which may hang ${host.name}`);
    return {
      lines:
        before === state.kernel ? [] : [`proved for kernel ${before}, and ${host.name} runs ${state.kernel}: again`],
      actions: phases.map((phase) => provePhase(cluster, ollama, phase)),
      asks: [
        `${name} is restarted to prove its GPU; ${host.name} may hang at that. If it does: switch it off and on, and run this again`,
      ],
    };
  });
}

function hostWentDown(homelab: Homelab, vm: UbuntuVm, state: GpuState, phase: Phase): Action {
  const line = `write down that ${vm.host.name} went down at this part of the proof: ${WHAT[phase]}`;
  return action(line, async () => {
    throw await failed(homelab, vm, state, phase, `${vm.host.name} went down at it`);
  });
}

function provePhase(cluster: Cluster, ollama: Ollama, phase: Phase): Action {
  const { homelab } = cluster;
  const { vm } = ollama;
  const restarts = phase === 'reboot' || phase === 'stop-start' ? restart(vm, phase) : [];
  const lines = [WHAT[phase], ...restarts.flatMap((each) => each.lines).map((line) => `  ${line}`)];
  return action(lines, async (progress) => {
    if (!('hostpci0' in (await vm.proxmox.config()))) throw new NotReady(`${vm.name} has no GPU yet`);
    await assertNoDatabaseRuns(cluster, `the GPU of ${vm.name} is proved, which may hang ${vm.host.name}`);
    const state = await gpuState(homelab, vm);
    const tokensPerSecond = await asPartOfProof(homelab, vm, state, phase, async (begin) => {
      await begin();
      for (const each of restarts) await each.run(progress);
      const found = await generateOnGpu(homelab, ollama, state.record?.cpu, progress);
      // Somebody switched the host off and on while this waited.
      const hung = (await bootId(vm.commands, vm.host)) !== state.boot ? [`${vm.host.name} went down at it`] : [];
      const problems = [...hung, ...found.problems];
      if (problems.length > 0) throw await failed(homelab, vm, state, phase, problems.join('; '));
      return found.tokensPerSecond;
    });
    await writeRecord(homelab, vm, {
      ...provingRecord(state),
      state: phase === 'stop-start' ? 'passed' : 'proving',
      done: [...doneSoFar(state), phase],
      gpu: tokensPerSecond,
    });
  });
}

/**
 * Runs a part of the proof. `begin` writes down that it has begun: call it right before what may hang the host.
 * @throws Blocked with the result of the proof when nobody can log in afterwards
 */
export async function asPartOfProof<T>(
  homelab: Homelab,
  vm: UbuntuVm,
  state: GpuState,
  phase: Phase,
  run: (begin: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const proving = provingRecord(state);
  try {
    return await run(() => writeRecord(homelab, vm, { ...proving, begun: { phase, boot: state.boot } }));
  } catch (error) {
    // Only a wait that came to its end is a result about the GPU; a command that failed can be tried again.
    if (error instanceof NotBack) throw await noLogin(homelab, vm, error);
    if (isFault(error) && !(error instanceof Verdict)) await notBegun(homelab, vm, state.boot, proving);
    throw error;
  }
}

function provingRecord(state: GpuState) {
  const { failed: _, begun: __, ...kept } = state.record ?? {};
  return { ...kept, state: 'proving', kernel: state.kernel, done: doneSoFar(state) } as const;
}

/** It failed while the host answers: a later restart of the host must not count as its result. */
async function notBegun(
  homelab: Homelab,
  vm: UbuntuVm,
  boot: string,
  proving: ReturnType<typeof provingRecord>,
): Promise<void> {
  try {
    if ((await bootId(vm.commands, vm.host)) === boot) await writeRecord(homelab, vm, proving);
  } catch (error) {
    // It does not answer: the record keeps what was begun.
    if (!isFault(error)) throw error;
  }
}

/** Generates with the model, and checks that all of it was on the GPU. Restarts an Ollama that found no GPU, once. */
async function generateOnGpu(homelab: Homelab, ollama: Ollama, cpu: number | undefined, progress: Progress) {
  const first = await tryOnGpu(homelab, ollama, cpu, progress);
  if (first.problems.length === 0 || usesVulkan(first.log)) return first;
  // Ollama looks for a GPU only when it starts: the driver may have been ready only after that.
  progress('restarts Ollama, which found no GPU when it started');
  await ollama.restart().run(progress);
  return tryOnGpu(homelab, ollama, cpu, progress);
}

async function tryOnGpu(homelab: Homelab, ollama: Ollama, cpu: number | undefined, progress: Progress) {
  const { tag, context: length, resident: stays } = provingModel(homelab);
  await until('Ollama to answer', { seconds: 180 }, progress, () => ollama.version());
  progress(`${tag} generates on the GPU`);
  const answer = await ollama.generate({ tag, context: length, stays }).catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
  const log = await ollama.log();
  if (answer instanceof Refusal) return { problems: [answer.message], tokensPerSecond: 0, log };
  // Ollama names what it computes with whenever it starts: no such line says nothing about the GPU.
  if (log.devices.length === 0)
    throw new Blocked(
      `the log of Ollama on ${ollama.vm.name} must say what it computes with ("inference compute"), but does not; look at journalctl -u ollama there, and run this again`,
    );
  const loaded = (await ollama.loaded()).get(shortTag(tag));
  const { tokensPerSecond } = answer;
  const problems = gpuProblems({ tag, length, loaded, log, tokensPerSecond, cpu });
  return { problems, tokensPerSecond, log };
}

/** Why a model was not computed on the GPU as a whole. */
export function gpuProblems(seen: {
  readonly tag: string;
  readonly length: number;
  readonly loaded: Loaded | undefined;
  readonly log: OllamaLog;
  readonly tokensPerSecond: number;
  readonly cpu: number | undefined;
}): string[] {
  const { tag, length, loaded, log, tokensPerSecond, cpu } = seen;
  const problems: string[] = [];
  if (loaded === undefined) problems.push(`${tag} is not loaded after it generated`);
  else {
    const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;
    // One layer on the GPU already gives size_vram more than 0.
    if (loaded.sizeVram !== loaded.size) problems.push(`${mib(loaded.sizeVram)} of ${mib(loaded.size)} are on the GPU`);
    if (loaded.context < length) problems.push(`${tag} is loaded for ${loaded.context} tokens, not ${length}`);
  }
  const { gpus, devices } = log;
  if (!devices.some((device) => isOurGpu(device, gpus))) {
    const found = devices.map(({ library, pciId, type, description }) =>
      [`library=${library}`, `pci_id=${pciId || 'unknown'}`, `type=${type || 'none'}`, description].join(' '),
    );
    problems.push(
      `Ollama must compute by Vulkan with the GPU at ${gpus.join(' or ') || 'an address that its machine does not show'}, and its log names ${found.join('; ') || 'nothing'}`,
    );
  }
  if (cpu !== undefined && !(tokensPerSecond > cpu))
    problems.push(`${tokensPerSecond} tokens/s are no more than the ${cpu} of the CPU`);
  return problems;
}

/** The result of the proof, as written to its record. */
class Verdict extends Blocked {}

async function failed(homelab: Homelab, vm: UbuntuVm, state: GpuState, phase: Phase, why: string): Promise<Verdict> {
  const { begun: _, ...kept } = state.record ?? { done: [] };
  const record: Omit<GpuRecord, 'vmid' | 'date'> = {
    ...kept,
    state: 'failed',
    kernel: state.kernel,
    failed: { phase, why },
  };
  await writeRecord(homelab, vm, record);
  if (phase === 'generate' || phase === 'cpu')
    return new Verdict(unusable(homelab, vm, { ...state, record: { ...record, vmid: 0, date: '' } }).message);
  return new Verdict(
    `the GPU of ${vm.name} did not survive this: ${WHAT[phase]} (${why}). The record is ${recordPath(vm.machine.vmid)} on ${vm.host.name}: from now on a restart of ${vm.name} needs a restart of ${vm.host.name}, and is refused while a database runs. If the GPU does not answer now, restart ${vm.host.name}. To continue like this, run this again; otherwise try gpuPassthrough: { sound: false } of hosts.${vm.host.name} in homelab.ts, or gpu: false. To repeat the proof, remove that file`,
  );
}

/** Nobody can log in to a VM that runs. Where its GPU was being proved, that is the result. */
export async function noLogin(homelab: Homelab, vm: UbuntuVm, { message }: Problem): Promise<Problem> {
  const { name, host } = vm;
  const hasGpu = 'hostpci0' in (await vm.proxmox.config());
  if (!hasGpu || !(await vm.proxmox.isRunning()) || (await answers(vm)))
    return new Problem(`${message}; look at the console of ${name} in Proxmox, and run this again`);
  const state = await gpuState(homelab, vm);
  const { begun } = state.record ?? {};
  if (state.record?.state === 'proving' && begun !== undefined) {
    const stop = await failed(homelab, vm, state, begun.phase, message);
    return begun.phase === 'generate' ? new Blocked(`${stop.message}. ${withoutGpu(homelab, vm)}`) : stop;
  }
  return new Blocked(
    `${message}; its GPU may be why: look at the console of ${name} in Proxmox, or restart ${host.name}. ${withoutGpu(homelab, vm)}`,
  );
}

/** Its system runs, but refuses logins or is still busy with its first boot. */
async function answers({ commands, target }: UbuntuVm): Promise<boolean> {
  try {
    await commands.read(target, ['true'], { seconds: 30 });
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return /Permission denied|Host key verification failed/.test(error.output.stderr);
  }
}

/** With `qm stop`: a VM that refuses logins may not shut down by itself. */
function withoutGpu(homelab: Homelab, { name, host, machine: { vmid } }: UbuntuVm): string {
  return `To go on without the GPU: gpu: false in homelab.ts, ssh root@${homelab.hosts[host.name]!.address} qm stop ${vmid} (${name}), and run this again`;
}

/** Other ways to pass it through, in the order to try: what reports about this GPU name most often comes first. */
const REMEDIES: readonly GpuPassthrough[] = [
  { audioRom: 'roms/AMDGopDriver.rom' },
  { audioRom: 'roms/AMDGopDriver.rom', xVga: true },
  { xVga: true },
  { rom: false, xVga: true },
];

/** The GPU does not compute, passed through like this. */
export function unusable(homelab: Homelab, { name, machine, host }: UbuntuVm, { record }: GpuState): Blocked {
  const tried = [...Object.keys(record?.tried ?? {}), optionsText(passthroughOf(homelab, host.name))];
  const known = new Set(tried.map((each) => each.replace(/ \(.*\)$/, '')));
  const next = REMEDIES.find((each) => !known.has(optionsText(each).replace(/ \(.*\)$/, '')));
  const advice =
    next === undefined
      ? `No way to pass it through is left: all ${tried.length} failed`
      : `Next to try (docs/bootstrap.md, section 11): gpuPassthrough: ${written(next)} in hosts.${host.name} of homelab.ts, then npm run bootstrap -- apply`;
  return new Blocked(
    `the GPU of ${host.name} must compute in ${name}, but did not: ${record?.failed?.why ?? 'unknown'}. ${advice}. Without the GPU: gpu: false (models run on the CPU). To repeat the same test, remove ${recordPath(machine.vmid)} on ${host.name}`,
  );
}

function written(passthrough: GpuPassthrough): string {
  const entries = Object.entries(passthrough).map(
    ([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : value}`,
  );
  return `{ ${entries.join(', ')} }`;
}

/** Pins the kernel of the proof: an upgrade of the host is a step of its own, which repeats the proof. */
export function kernelPinned(homelab: Homelab, vm: UbuntuVm): Step {
  const { host } = vm;
  return step(`${host.name} keeps the kernel that the GPU was proved with`, async () => {
    const { verdict, kernel } = await gpuState(homelab, vm);
    if (verdict === 'unproven') throw new NotReady(`the GPU of ${vm.name} is not proved yet`);
    if (verdict !== 'passed') return undefined;
    const pinned = await pinnedKernel(vm);
    if (pinned === kernel) return undefined;
    const options = { seconds: 300, waitsFor: 'the boot loader' };
    return {
      lines: [`pinned kernel: ${pinned ?? 'none'} -> ${kernel}`],
      actions: [remoteScript(vm.commands, host, 'proxmox/pin-kernel.sh', [kernel], options)],
    };
  });
}

async function pinnedKernel({ commands, host }: UbuntuVm): Promise<string | undefined> {
  const { stdout } = await commands.read(host, ['cat', '/etc/kernel/proxmox-boot-pin'], { accepts: [0, 1] });
  return stdout.trim() || undefined;
}
