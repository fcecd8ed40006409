import { ubuntuMachines, type Context } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import type { Stage, Step } from '../../engine/step';
import { requireLoginKeys } from '../login-keys';
import { modelPulled } from '../../stages/models';
import { access, firewallUnit } from './access';
import { gpuMemory, installed, rebooted, started, whenUp, type Seen } from './boot';
import { passedThrough } from './gpu';
import { gpuProved, kernelPinned, provingModel, speedOnCpuMeasured } from './gpu-proof';
import { ollama as ollamaOf } from '../../clients/ollama';
import { ubuntuVm, type UbuntuVm } from '../../clients/ubuntu';
import { noProxy, proxyFiles, proxyRuns } from './llm-proxy';
import { mlx, ollamaInstalled, ollamaRuns, ollamaUnits, ollamaUser } from './ollama';

/** The machines outside the cluster: everything on them that may change after their first boot, and the GPU. */
export function aiVmStage(context: Context): Stage {
  return {
    name: 'ai-vm',
    title: 'packages, firewall, Ollama and the GPU of the machines outside the cluster',
    async steps() {
      const machines = ubuntuMachines(context);
      if (machines.length > 0) requireLoginKeys(context.homelab);
      return machines.flatMap(([name]) => stepsOf(context, ubuntuVm(context, name)));
    },
  };
}

function stepsOf(context: Context, vm: UbuntuVm): Step[] {
  const { homelab } = context;
  const { name, machine } = vm;
  const seen: Seen = { up: false };
  const up = (...steps: Step[]) => steps.map((step) => whenUp(seen, name, step));
  const runsModels = homelab.llm?.machine === name;
  if (machine.gpu === true && !runsModels)
    throw new Blocked(
      `machines.${name}.gpu must be set on the machine that runs the models (llm.machine: ${homelab.llm?.machine ?? 'none'}), where it can be proved; set gpu: false`,
    );
  const always = [started(context, vm, seen), ...up(installed(homelab, vm), firewallUnit(vm), access(homelab, vm))];
  if (!runsModels) return [...always, passedThrough(context, vm)];
  const withGpu = machine.gpu === true;
  const { gateway } = homelab.llm!;
  const ollama = ollamaOf(context);
  return [
    ...always,
    ...up(...(withGpu ? [gpuMemory(vm)] : []), rebooted(context, vm)),
    ...up(ollamaUser(vm), ollamaInstalled(homelab, vm)),
    // Ollama and the proxy want the same port: the proxy on the machine's address, Ollama on loopback or on all addresses.
    ...up(...(gateway === undefined ? [noProxy(vm)] : proxyFiles(context, vm))),
    ...up(...ollamaUnits(homelab, vm), ollamaRuns(homelab, ollama)),
    ...up(...(gateway === undefined ? [] : [proxyRuns(homelab, vm)])),
    ...up(mlx(vm)),
    ...(withGpu ? up(modelPulled(ollama, provingModel(homelab))) : []),
    // What follows can be seen from the host, so that its questions are asked before anything begins.
    ...(withGpu ? [speedOnCpuMeasured(homelab, ollama)] : []),
    passedThrough(context, vm),
    ...(withGpu ? [gpuProved(context, ollama), kernelPinned(homelab, vm)] : []),
  ];
}
