import * as fs from 'node:fs';
import { parseProperties } from '../../command-line';
import { hasGuest, startVm, stopVm, TICK_OF_A_GUEST } from '../../life';
import { readVolumeFile } from '../../storage';
import { Failure } from '../program';
import type { QmCall } from './call';
import { customSnippets, DRIVE, fileOf, withPending } from './config';
import { detach } from './drives';

export function start(call: QmCall): void {
  const vm = call.unlocked();
  if (vm.startedAt !== undefined) throw new Failure(`VM ${call.vmid} already running`, 255);
  const { simulation } = call.context;
  const config = withPending(vm);
  for (const id of customSnippets(vm)) readVolumeFile(simulation, id);
  for (const [key, value] of Object.entries(config)) {
    if (DRIVE.test(key) && /:(iso|import)\//.test(fileOf(value))) readVolumeFile(simulation, fileOf(value));
    if (/^hostpci\d/.test(key)) checkDevice(call, value);
  }
  for (const [key, value] of Object.entries(vm.pending)) {
    detach(call, vm, key, value ?? undefined);
    if (value === null) Reflect.deleteProperty(vm.config, key);
    else vm.config[key] = value;
  }
  vm.pending = {};
  startVm(simulation, call.vmid);
}

function checkDevice(call: QmCall, value: string): void {
  const { host, romfile } = parseProperties(value, 'host');
  const slot = host && (host.length <= 7 ? `0000:${host}` : host);
  if (slot && !call.state.host.pci.some((device) => device.slot === slot || device.slot.startsWith(`${slot}.`)))
    throw new Failure(`no PCI device found for '${host}'`, 255);
  const other = Object.entries(call.state.vms).find(
    ([vmid, vm]) =>
      vmid !== String(call.vmid) &&
      vm.startedAt !== undefined &&
      Object.entries(vm.started ?? {}).some(
        ([key, each]) => /^hostpci\d/.test(key) && parseProperties(each, 'host').host === host,
      ),
  );
  if (other) throw new Failure(`PCI device '${slot}' already in use by VMID '${other[0]}'`, 255);
  if (romfile && !fs.existsSync(call.context.path(`/usr/share/kvm/${romfile}`)))
    throw new Failure(
      `start failed: QEMU exited with code 1\nkvm: -device vfio-pci,...: failed to find romfile "/usr/share/kvm/${romfile}"`,
      255,
    );
}

export async function shutdown(call: QmCall, timeout: string | undefined, force: boolean): Promise<void> {
  const vm = call.unlocked();
  if (vm.startedAt === undefined) return;
  const down = vm.config.startup && parseProperties(vm.config.startup, 'order').down;
  const limit = Number(timeout ?? down ?? 60);
  // Only an operating system hears the power button.
  const needed = hasGuest(call.state, call.vmid) ? (vm.shutdownSeconds ?? 10) : Infinity;
  await new Promise((done) => setTimeout(done, TICK_OF_A_GUEST));
  call.state.slept += Math.min(needed, limit);
  if (needed >= limit && !force) throw new Failure('VM quit/powerdown failed - got timeout', 255);
  if (needed >= limit) call.context.write({ stderr: 'VM still running - terminating now with SIGTERM\n' });
  else await call.context.simulation.options.onShutdown?.(vm.config.name ?? '');
  stopVm(call.context.simulation, call.vmid);
}

export async function wait(call: QmCall): Promise<string> {
  const vm = call.vm();
  if (vm.startedAt === undefined) return '';
  const until = Date.now() + Math.min(Number(call.options.timeout ?? Infinity) * 10, 2_000);
  while (vm.startedAt !== undefined && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
  if (vm.startedAt !== undefined) throw new Failure('timeout', 255);
  return `waiting until VM ${call.vmid} stops (PID 1000)\n`;
}
