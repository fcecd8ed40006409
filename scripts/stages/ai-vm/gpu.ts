import type { GpuPassthrough, UbuntuMachine } from '../../../inventory';
import type { Context } from '../../clients/context';
import { isFault, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { AUDIO_ROM, gpuOptions, VBIOS, VBIOS_FOLDER } from '../../../machines/host';
import { handedOver, type HandedOver } from '../host/devices';
import { hostFacts } from '../../clients/proxmox/facts';
import { doneSoFar, gpuState, passthroughOf, remaining, writeRecord, type GpuState } from './gpu-record';
import { noLogin, notBegun, unusable } from './gpu-proof';
import { vmConfig, type AiVm } from '../../clients/ubuntu';
import { assertNoDatabaseRuns, NotBack, restart, restartAiVm, restartAsks } from './restart';

/** Slots of the VM that are ours. */
const SLOTS = ['hostpci0', 'hostpci1', 'hostpci2'] as const;

/**
 * Devices by slot of the VM. Always single functions: the bare slot would take the security processor and USB ports along.
 * @throws Stop when the host has no such device
 */
export function wantedDevices(
  { gpu, audio, npu }: HandedOver,
  machine: Pick<UbuntuMachine, 'gpu' | 'npu'>,
  host: string,
  passthrough: GpuPassthrough = {},
): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  const fix = 'npm run bootstrap -- apply host says what is wrong';
  if (machine.gpu === true) {
    if (gpu === undefined || audio === undefined)
      throw new Blocked(
        `${host} must have one AMD GPU with its sound to pass through, and has not; ${fix}, or set gpu: false`,
      );
    const options = gpuOptions(passthrough);
    wanted.set('hostpci0', `${gpu.slot},${options.gpu}`);
    if (options.audio !== undefined) wanted.set('hostpci1', `${audio.slot},${options.audio}`);
  }
  if (machine.npu === true) {
    if (npu === undefined)
      throw new Blocked(`${host} must have an NPU to pass through, and has not; ${fix}, or set npu: false`);
    wanted.set('hostpci2', `${npu.slot},pcie=1`);
  }
  return wanted;
}

/** The devices are in the VM. It was without them while it was set up. */
export function passedThrough(context: Context, vm: AiVm): Step {
  const { name, machine, host } = vm;
  const { vmid } = machine;
  const isProof = machine.gpu === true;

  async function difference() {
    const config = await vmConfig(context, vm);
    const present = SLOTS.filter((slot) => config.has(slot));
    // A VM that has none and wants none asks nothing of the host.
    const wants = machine.gpu === true || machine.npu === true;
    const wanted = wants
      ? wantedDevices(
          handedOver(context.homelab, host.name, await hostFacts(context, host.name)),
          machine,
          host.name,
          passthroughOf(context, host.name),
        )
      : new Map<string, string>();
    const set = [...wanted].filter(([slot, value]) => !sameDevice(config.get(slot), value));
    const drop = present.filter((slot) => !wanted.has(slot));
    return { config, set, drop };
  }

  return {
    title: isProof ? `the GPU is passed through to ${name}` : `${name} has the devices that homelab.ts gives it`,
    async plan() {
      const { config, set, drop } = await difference();
      if (set.length === 0 && drop.length === 0) return undefined;
      if (isProof) {
        const state = await gpuState(context, vm);
        // The next step says so.
        if (state.hungAt !== undefined) return undefined;
        await assertMayBePassedThrough(context, vm, state);
      }
      return {
        lines: [
          ...set.map(([slot, value]) => `${slot}: ${config.get(slot) ?? 'none'} -> ${value}`),
          ...drop.map((slot) => `${slot}: ${config.get(slot)} -> none`),
          `qm shutdown ${vmid}, qm start ${vmid}`,
        ],
        asks:
          isProof && !config.has('hostpci0')
            ? [`${name} is shut down and gets the GPU of ${host.name}, whose screen stays black from then on`]
            : await restartAsks(context, vm, 'stop-start'),
      };
    },
    async apply(_, progress) {
      const { set, drop } = await difference();
      const stopped = async () => {
        if (set.length > 0)
          await context.commands.change(host, [
            'qm',
            'set',
            `${vmid}`,
            ...set.flatMap(([slot, value]) => [`--${slot}`, value]),
          ]);
        if (drop.length > 0) await context.commands.change(host, ['qm', 'set', `${vmid}`, '--delete', drop.join(',')]);
      };
      const state = await gpuState(context, vm);
      if (!isProof || !remaining(state).includes('generate')) {
        await restartAiVm(context, name, { kind: 'stop-start', stopped }, progress);
        return;
      }
      // The first start with the GPU, or with other options, is a part of the proof: if the host hangs at it, the next run knows.
      const { record, kernel, boot } = state;
      const { begun: __, ...kept } = record ?? {};
      const proving = { ...kept, state: 'proving', kernel, done: doneSoFar(state) } as const;
      const begin = async () => {
        await writeRecord(context, vm, { ...proving, begun: { phase: 'generate', boot } });
        await stopped();
      };
      try {
        await restart(context, vm, { kind: 'stop-start', stopped: begin }, progress);
      } catch (error) {
        if (error instanceof NotBack) throw await noLogin(context, vm, error);
        if (isFault(error)) await notBegun(context, vm, boot, proving);
        throw error;
      }
    },
  };
}

async function assertMayBePassedThrough(context: Context, vm: AiVm, state: GpuState): Promise<void> {
  const { host, name } = vm;
  if (state.verdict === 'unusable') throw unusable(context, vm, state);
  const { rom = true, audioRom } = passthroughOf(context, host.name);
  for (const file of [...(rom ? [VBIOS] : []), ...(audioRom === undefined ? [] : [AUDIO_ROM])]) {
    const path = `${VBIOS_FOLDER}/${file}`;
    const { code } = await context.commands.read(host, ['test', '-s', path], { accepts: [0, 1] });
    if (code !== 0) throw new Blocked(`${path} must be on ${host.name}, and is not; npm run bootstrap -- apply host`);
  }
  if (state.verdict !== 'passed')
    await assertNoDatabaseRuns(
      context,
      `the GPU of ${host.name} is handed to ${name} and proved, which may hang ${host.name}`,
    );
}

/** Proxmox may print the parts in another order. */
function sameDevice(a: string | undefined, b: string): boolean {
  const parts = (value: string) => value.split(',').sort().join(',');
  return a !== undefined && parts(a) === parts(b);
}
