import type { GpuPassthrough, Homelab, UbuntuMachine } from '../../../inventory';
import { action } from '../../engine/actions';
import { Blocked } from '../../engine/problem';
import { step, type Action, type Step } from '../../engine/step';
import { AUDIO_ROM, gpuOptions, VBIOS, VBIOS_FOLDER } from '../../../machines/host';
import { handedOver, type HandedOver } from '../host/devices';
import { proxmoxHost } from '../../clients/proxmox/host';
import { gpuState, passthroughOf, remaining, type GpuState } from './gpu-record';
import { asPartOfProof, unusable } from './gpu-proof';
import type { UbuntuVm } from '../../clients/ubuntu';
import { assertNoDatabaseRuns, planRestart, restart, type Cluster } from './restart';

/** Slots of the VM that are ours. */
const SLOTS = ['hostpci0', 'hostpci1', 'hostpci2'] as const;

/**
 * Devices by slot of the VM. Always single functions: the bare slot would take the security processor and USB ports along.
 * @throws Blocked when the host has no such device
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
        `${host} must have one AMD GPU with its audio function to pass through, but has none; ${fix}, or set gpu: false`,
      );
    const options = gpuOptions(passthrough);
    wanted.set('hostpci0', `${gpu.slot},${options.gpu}`);
    if (options.audio !== undefined) wanted.set('hostpci1', `${audio.slot},${options.audio}`);
  }
  if (machine.npu === true) {
    if (npu === undefined)
      throw new Blocked(`${host} must have an NPU to pass through, but has none; ${fix}, or set npu: false`);
    wanted.set('hostpci2', `${npu.slot},pcie=1`);
  }
  return wanted;
}

/** The devices are in the VM. It was set up without them. */
export function passedThrough(cluster: Cluster, vm: UbuntuVm): Step {
  const { name, machine, host } = vm;
  const { homelab } = cluster;
  const isProof = machine.gpu === true;
  return step(
    isProof ? `the GPU is passed through to ${name}` : `${name} has the devices that homelab.ts gives it`,
    async () => {
      const config = await vm.proxmox.config();
      const wanted = await wantedOf(homelab, vm);
      const set = [...wanted].filter(([slot, value]) => !sameDevice(config[slot], value));
      const drop = SLOTS.filter((slot) => slot in config && !wanted.has(slot));
      if (set.length === 0 && drop.length === 0) return undefined;
      const lines = [
        ...set.map(([slot, value]) => `${slot}: ${config[slot] ?? 'none'} -> ${value}`),
        ...drop.map((slot) => `${slot}: ${config[slot]} -> none`),
      ];
      const setting = [
        ...(set.length > 0 ? [vm.proxmox.set(Object.fromEntries(set))] : []),
        ...(drop.length > 0 ? [vm.proxmox.unset(drop)] : []),
      ];
      if (!isProof) return { lines, ...(await planRestart(cluster, vm, 'stop-start', setting)) };
      const state = await gpuState(homelab, vm);
      // The next step says so.
      if (state.hungAt !== undefined) return undefined;
      await assertMayBePassedThrough(cluster, vm, state);
      const first = `${name} is shut down and gets the GPU of ${host.name}, whose screen stays black from then on`;
      const { actions, asks } = await planRestart(cluster, vm, 'stop-start', setting);
      return {
        lines,
        // The first start with the GPU, or with other options, is a part of the proof.
        actions: remaining(state).includes('generate') ? [startedAsProof(homelab, vm, setting)] : actions,
        asks: 'hostpci0' in config ? asks : [first],
      };
    },
  );
}

async function wantedOf(homelab: Homelab, { commands, machine, host }: UbuntuVm) {
  // A VM that has no device and wants none asks nothing of the host.
  if (machine.gpu !== true && machine.npu !== true) return new Map<string, string>();
  const devices = handedOver(homelab, host.name, await proxmoxHost({ homelab, commands }, host.name).facts());
  return wantedDevices(devices, machine, host.name, passthroughOf(homelab, host.name));
}

/** If the host hangs at the start, the next run knows it from the record. */
function startedAsProof(homelab: Homelab, vm: UbuntuVm, setting: readonly Action[]): Action {
  const lines = restart(vm, 'stop-start', setting).flatMap((each) => each.lines);
  return action(lines, async (progress) => {
    const state = await gpuState(homelab, vm);
    await asPartOfProof(homelab, vm, state, 'generate', async (begin) => {
      for (const each of restart(vm, 'stop-start', [action([], begin), ...setting])) await each.run(progress);
    });
  });
}

async function assertMayBePassedThrough(cluster: Cluster, vm: UbuntuVm, state: GpuState): Promise<void> {
  const { host, name } = vm;
  if (state.verdict === 'unusable') throw unusable(cluster.homelab, vm, state);
  const { rom = true, audioRom } = passthroughOf(cluster.homelab, host.name);
  for (const file of [...(rom ? [VBIOS] : []), ...(audioRom === undefined ? [] : [AUDIO_ROM])]) {
    const path = `${VBIOS_FOLDER}/${file}`;
    const { code } = await vm.commands.read(host, ['test', '-s', path], { accepts: [0, 1] });
    if (code !== 0) throw new Blocked(`${path} must be on ${host.name}, but is not; npm run bootstrap -- apply host`);
  }
  if (state.verdict !== 'passed')
    await assertNoDatabaseRuns(
      cluster,
      `the GPU of ${host.name} is passed through to ${name} and proved, which may hang ${host.name}`,
    );
}

/** Proxmox may print the parts in another order. */
function sameDevice(a: string | undefined, b: string): boolean {
  const parts = (value: string) => value.split(',').sort().join(',');
  return a !== undefined && parts(a) === parts(b);
}
