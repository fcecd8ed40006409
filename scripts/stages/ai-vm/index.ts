import { ubuntuMachines, type Context } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import type { Stage, Step } from '../../engine/step';
import { requireLoginKeys } from '../login-keys';
import { modelPulled } from '../models';
import { access, firewallUnit } from './access';
import { gpuMemory, installed, rebooted, started } from './boot';
import { passedThrough } from './gpu';
import { kernelPinned, tokensPerSecondMeasured, gpuProved, provingModel } from './gpu-proof';
import { aiVm, type AiVm } from '../../clients/ubuntu';
import { whenUp } from './when-up';
import { type Seen } from './when-up';
import { mlx, ollamaInstalled, ollamaRuns, ollamaUnits, ollamaUser } from './ollama';

/** The machines beside the cluster: everything on them that may change after their first boot, and the GPU. */
export function aiVmStage(context: Context): Stage {
  return {
    name: 'ai-vm',
    title: 'packages, firewall, Ollama and the GPU of the machines beside the cluster',
    async steps() {
      const machines = ubuntuMachines(context);
      if (machines.length > 0) requireLoginKeys(context.homelab);
      return machines.flatMap(([name]) => stepsOf(context, aiVm(context, name)));
    },
  };
}

function stepsOf(context: Context, vm: AiVm): Step[] {
  const { name, machine } = vm;
  const seen: Seen = { up: false };
  const up = (...steps: Step[]) => steps.map((step) => whenUp(seen, name, step));
  const runsModels = context.homelab.llm?.machine === name;
  if (machine.gpu === true && !runsModels)
    throw new Blocked(
      `machines.${name}.gpu must be of the machine that runs the models (llm.machine: ${context.homelab.llm?.machine ?? 'none'}), where it can be proved; set gpu: false`,
    );
  const always = [
    started(context, vm, seen),
    ...up(installed(context, vm), firewallUnit(context, vm), access(context, vm)),
  ];
  if (!runsModels) return [...always, passedThrough(context, vm)];
  const withGpu = machine.gpu === true;
  return [
    ...always,
    ...up(...(withGpu ? [gpuMemory(context, vm)] : []), rebooted(context, vm)),
    ...up(ollamaUser(context, vm), ollamaInstalled(context, vm), ...ollamaUnits(context, vm), ollamaRuns(context, vm)),
    ...up(mlx(context, vm)),
    ...(withGpu ? up(modelPulled(context, provingModel(context))) : []),
    // What follows can be seen from the host, so that its questions are asked before anything begins.
    ...(withGpu ? [tokensPerSecondMeasured(context, vm)] : []),
    passedThrough(context, vm),
    ...(withGpu ? [gpuProved(context, vm), kernelPinned(context, vm)] : []),
  ];
}
