import type { GpuPassthrough, Model } from '../../../inventory';
import { bootId } from '../../clients/boots';
import { CommandFailed } from '../../engine/commands';
import { type Context } from '../../clients/context';
import { isFault, NotReady, Problem, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { provingModelOf } from '../../../machines/ollama';
import { Refusal, ollamaApi, shortTag, type Loaded } from '../../clients/ollama';
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
import { isOn, vmConfig, type AiVm } from '../../clients/ubuntu';
import { isOurGpu, understandLog, usesVulkan } from '../../clients/ollama-log';
import { assertNoDatabaseRuns, NotBack, restart } from './restart';

type Say = (what: string) => void;

/** @throws Stop when there is no model to prove the GPU with */
export function provingModel({ homelab }: Context): Model {
  const model = provingModelOf(homelab);
  if (model === undefined)
    throw new Blocked(
      'llm.models must hold a model, or the GPU cannot be proved; add one to homelab.ts, or set gpu: false',
    );
  return model;
}

const WHAT: Readonly<Record<Phase, string>> = {
  cpu: 'generate on the CPU, as a measure',
  generate: 'generate on the GPU',
  reboot: 'reboot in the VM, then generate on the GPU',
  'stop-start': 'shut the VM down and start it, then generate on the GPU',
};

/** What the same model does on the CPU alone: the GPU must be faster. */
export function tokensPerSecondMeasured(context: Context, vm: AiVm): Step {
  const { tag, context: length } = provingModel(context);
  return {
    title: `the speed of ${tag} without the GPU is known`,
    async plan() {
      const state = await gpuState(context, vm);
      if (state.hungAt !== undefined || !remaining(state).includes('cpu')) return undefined;
      return { lines: [WHAT.cpu] };
    },
    async apply(_, progress) {
      const state = await gpuState(context, vm);
      progress(`${tag} generates on the CPU (some minutes)`);
      const { tokensPerSecond } = await ollamaApi(context).generate({ tag, context: length, onCpu: true });
      await writeRecord(context, vm, {
        ...(state.record?.tried && { tried: state.record.tried }),
        state: 'proving',
        kernel: state.kernel,
        done: ['cpu'],
        tag,
        cpu: tokensPerSecond,
      });
    },
  };
}

/**
 * The gate: the GPU computes, and does so again after a reboot in the VM and after a shutdown and start of it, before there
 * is a database that a hanging host could hurt. Each part is written down before and after it, so that a killed run goes on
 * where it was, and a host that went down in between is a result too.
 */
export function gpuProved(context: Context, vm: AiVm): Step {
  const { name, host } = vm;
  return {
    title: `the GPU of ${name} survives restarts (kernel of ${host.name} as it runs)`,
    async plan() {
      const state = await gpuState(context, vm);
      if (state.verdict === 'unusable') throw unusable(context, vm, state);
      if (state.hungAt !== undefined)
        return { lines: [`${host.name} went down while this was tried: ${WHAT[state.hungAt]}. That is the result`] };
      const phases = remaining(state).filter((phase) => phase !== 'cpu');
      if (phases.length === 0) return undefined;
      await assertNoDatabaseRuns(context, `the GPU of ${name} is proved, which may hang ${host.name}`);
      const before = state.record?.kernel;
      return {
        lines: [
          ...(before !== undefined && before !== state.kernel
            ? [`proved for kernel ${before}, and ${host.name} runs ${state.kernel}: again`]
            : []),
          ...phases.map((phase) => WHAT[phase]),
        ],
        asks: [
          `${name} is restarted to prove its GPU; ${host.name} may hang at that. If it does: switch it off and on, and run this again`,
        ],
      };
    },
    async apply(_, progress) {
      const state = await gpuState(context, vm);
      if (state.hungAt !== undefined)
        throw await failed(context, vm, state, state.hungAt, `${host.name} went down at it`);
      if (!(await vmConfig(context, vm)).has('hostpci0')) throw new NotReady(`${name} has no GPU yet`);
      for (const phase of remaining(state).filter((each) => each !== 'cpu')) await prove(context, vm, phase, progress);
    },
  };
}

async function prove(context: Context, vm: AiVm, phase: Phase, progress: Say): Promise<void> {
  await assertNoDatabaseRuns(context, `the GPU of ${vm.name} is proved, which may hang ${vm.host.name}`);
  const state = await gpuState(context, vm);
  const { kernel, boot } = state;
  const { failed: _, begun: __, ...kept } = state.record ?? {};
  const done = doneSoFar(state);
  const proving = { ...kept, state: 'proving', kernel, done } as const;
  await writeRecord(context, vm, { ...proving, begun: { phase, boot } });
  let tokensPerSecond: number;
  try {
    if (phase !== 'generate') await restart(context, vm, { kind: phase as 'reboot' | 'stop-start' }, progress);
    const found = await generateOnGpu(context, state.record?.cpu, progress);
    // Somebody switched it off and on while this waited.
    const hung = (await bootId(context.commands, vm.host)) !== boot ? [`${vm.host.name} went down at it`] : [];
    const problems = [...hung, ...found.problems];
    if (problems.length > 0) throw await failed(context, vm, state, phase, problems.join('; '));
    tokensPerSecond = found.tokensPerSecond;
  } catch (error) {
    // Only a wait that came to its end says something about the GPU; a command that failed can be tried again.
    if (error instanceof NotBack) throw await noLogin(context, vm, error);
    if (isFault(error) && !(error instanceof Verdict)) await notBegun(context, vm, boot, proving);
    throw error;
  }
  const all = [...done, phase];
  const isLast = phase === 'stop-start';
  await writeRecord(context, vm, {
    ...kept,
    state: isLast ? 'passed' : 'proving',
    kernel,
    done: all,
    gpu: tokensPerSecond,
  });
}

/** It failed while the host answers: a later restart of the host is not to be taken for what came of it. */
export async function notBegun(
  context: Context,
  vm: AiVm,
  boot: string,
  proving: Parameters<typeof writeRecord>[2],
): Promise<void> {
  try {
    if ((await bootId(context.commands, vm.host)) === boot) await writeRecord(context, vm, proving);
  } catch (error) {
    // It does not answer: what was begun stays written down.
    if (!isFault(error)) throw error;
  }
}

/** Has the model generate, and judges whether all of it was on the GPU. An Ollama that found none is started once more. */
async function generateOnGpu(context: Context, cpu: number | undefined, progress: Say) {
  const first = await tryOnGpu(context, cpu, progress);
  if (first.problems.length === 0 || usesVulkan(first.log)) return first;
  // Ollama looks for a GPU when it starts, and never again: its driver may have been ready only after that.
  const { vm } = ollamaApi(context);
  progress('restarts Ollama, which found no GPU when it started');
  await context.commands.changeScript(vm.place, 'ubuntu/ollama.sh', ['start'], { seconds: 180 });
  return tryOnGpu(context, cpu, progress);
}

async function tryOnGpu(context: Context, cpu: number | undefined, progress: Say) {
  const api = ollamaApi(context);
  const { tag, context: length, resident: stays } = provingModel(context);
  await until('Ollama to answer', { seconds: 180 }, progress, () => api.version());
  progress(`${tag} generates on the GPU`);
  const answer = await api.generate({ tag, context: length, stays }).catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
  const { stdout: log } = await context.commands.readScript(api.vm.place, 'ubuntu/ollama-log.sh', [], { asRoot: true });
  if (answer instanceof Refusal) return { problems: [answer.message], tokensPerSecond: 0, log };
  // Ollama names what it computes with whenever it starts: silence says nothing about the GPU.
  if (!log.includes('inference compute'))
    throw new Blocked(
      `the log of Ollama on ${api.vm.name} must say what it computes with, and says ${JSON.stringify(log.slice(0, 120))}; look at journalctl -u ollama there, and run this again`,
    );
  const loaded = (await api.loaded()).get(shortTag(tag));
  const { tokensPerSecond } = answer;
  const problems = gpuProblems({ tag, length, loaded, log, tokensPerSecond, cpu });
  return { problems, tokensPerSecond, log };
}

/** What stands against a model having been computed on the GPU as a whole. */
export function gpuProblems(seen: {
  readonly tag: string;
  readonly length: number;
  readonly loaded: Loaded | undefined;
  /** What ollama-log.sh printed. */
  readonly log: string;
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
  const { gpus, devices } = understandLog(log);
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

/** What came of the proof, written down. */
class Verdict extends Blocked {}

async function failed(context: Context, vm: AiVm, state: GpuState, phase: Phase, why: string): Promise<Verdict> {
  const { begun: _, ...kept } = state.record ?? { done: [] };
  const record: Omit<GpuRecord, 'vmid' | 'date'> = {
    ...kept,
    state: 'failed',
    kernel: state.kernel,
    failed: { phase, why },
  };
  await writeRecord(context, vm, record);
  if (phase === 'generate' || phase === 'cpu')
    return new Verdict(unusable(context, vm, { ...state, record: { ...record, vmid: 0, date: '' } }).message);
  return new Verdict(
    `the GPU of ${vm.name} did not survive this: ${WHAT[phase]} (${why}). It is written down (${recordPath(vm.machine.vmid)} on ${vm.host.name}): from now on a restart of ${vm.name} needs one of ${vm.host.name}, and is refused while a database runs. If the GPU does not answer now, restart ${vm.host.name}. To go on with that, run this again; else try gpuPassthrough: { sound: false } of hosts.${vm.host.name} in homelab.ts, or gpu: false. To prove it anew, remove that file`,
  );
}

/** Nobody can log in to a VM that runs. Where its GPU was being proved, that is the result. */
export async function noLogin(context: Context, vm: AiVm, { message }: Problem): Promise<Problem> {
  const { name, host } = vm;
  if (!(await vmConfig(context, vm)).has('hostpci0') || !(await isOn(context, vm)) || (await answers(context, vm)))
    return new Problem(`${message}; look at the console of ${name} in Proxmox, and run this again`);
  const state = await gpuState(context, vm);
  const { begun } = state.record ?? {};
  if (state.record?.state === 'proving' && begun !== undefined) {
    const stop = await failed(context, vm, state, begun.phase, message);
    return begun.phase === 'generate' ? new Blocked(`${stop.message}. ${withoutGpu(context, vm)}`) : stop;
  }
  return new Blocked(
    `${message}; its GPU may be why: look at the console of ${name} in Proxmox, or restart ${host.name}. ${withoutGpu(context, vm)}`,
  );
}

/** Its system is up, and lets nobody in, or is busy with its first boot. */
async function answers({ commands }: Context, { place }: AiVm): Promise<boolean> {
  try {
    await commands.read(place, ['true'], { seconds: 30 });
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return /Permission denied|Host key verification failed/.test(error.output.stderr);
  }
}

/** A VM that nobody can log in to does not shut down by itself, perhaps. */
function withoutGpu({ homelab }: Context, { name, host, machine: { vmid } }: AiVm): string {
  return `To go on without the GPU: gpu: false in homelab.ts, ssh root@${homelab.hosts[host.name]!.address} qm stop ${vmid} (${name}), and run this again`;
}

/** Other ways to hand it over, in the order to try: what reports about this GPU name most often comes first. */
const REMEDIES: readonly GpuPassthrough[] = [
  { audioRom: 'roms/AMDGopDriver.rom' },
  { audioRom: 'roms/AMDGopDriver.rom', xVga: true },
  { xVga: true },
  { rom: false, xVga: true },
];

/** The GPU does not compute, handed over like this. */
export function unusable(context: Context, { name, machine, host }: AiVm, { record }: GpuState): Blocked {
  const tried = [...Object.keys(record?.tried ?? {}), optionsText(passthroughOf(context, host.name))];
  const known = new Set(tried.map((each) => each.replace(/ \(.*\)$/, '')));
  const next = REMEDIES.find((each) => !known.has(optionsText(each).replace(/ \(.*\)$/, '')));
  const advice =
    next === undefined
      ? `No way to hand it over is left (${tried.length} tried)`
      : `Next to try (docs/bootstrap.md, section 11): gpuPassthrough: ${written(next)} in hosts.${host.name} of homelab.ts, then npm run bootstrap -- apply`;
  return new Blocked(
    `the GPU of ${host.name} must compute in ${name}, and did not: ${record?.failed?.why ?? 'unknown'}. ${advice}. Without the GPU: gpu: false (models run on the CPU). To try the same once more, remove ${recordPath(machine.vmid)} on ${host.name}`,
  );
}

function written(passthrough: GpuPassthrough): string {
  const entries = Object.entries(passthrough).map(
    ([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : value}`,
  );
  return `{ ${entries.join(', ')} }`;
}

/** The kernel that the proof is about stays: an upgrade of the host is a step of its own, which repeats the proof. */
export function kernelPinned(context: Context, vm: AiVm): Step {
  const { host } = vm;
  return {
    title: `${host.name} keeps the kernel that the GPU was proved with`,
    async plan() {
      const { record, verdict, kernel } = await gpuState(context, vm);
      if (verdict === 'unproven') throw new NotReady(`the GPU of ${vm.name} is not proved yet`);
      if (verdict !== 'passed') return undefined;
      const pinned = await pinnedKernel(context, vm);
      if (pinned === record!.kernel) return undefined;
      return { lines: [`pinned kernel: ${pinned ?? 'none'} -> ${kernel}`, `proxmox-boot-tool kernel pin ${kernel}`] };
    },
    async apply() {
      const { record } = await gpuState(context, vm);
      const options = { seconds: 300, waitsFor: 'the boot loader' };
      await context.commands.changeScript(host, 'proxmox/pin-kernel.sh', [record!.kernel], options);
    },
  };
}

async function pinnedKernel({ commands }: Context, { host }: AiVm): Promise<string | undefined> {
  const { stdout } = await commands.read(host, ['cat', '/etc/kernel/proxmox-boot-pin'], { accepts: [0, 1] });
  return stdout.trim() || undefined;
}
