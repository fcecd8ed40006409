import { ubuntuVm } from '../clients/ubuntu';
import { type Context, ubuntuMachines } from '../clients/context';
import type { Check, Finding } from '../engine/findings';
import { gpuState, type GpuState } from '../stages/ai-vm/gpu-record';

/** What a restart of each machine with a GPU would mean now. */
export function gpuCheck(context: Context): Check {
  return async () => {
    const found: Finding[] = [];
    for (const [name, machine] of ubuntuMachines(context)) {
      if (machine.gpu !== true) continue;
      const { verdict, record, kernel } = await gpuState(context.homelab, ubuntuVm(context, name));
      found.push({ what: `the GPU of ${name}`, ...gpuFinding(verdict, kernel, record?.failed?.why) });
    }
    return found;
  };
}

export function gpuFinding(verdict: GpuState['verdict'], kernel: string, why = ''): Omit<Finding, 'what'> {
  const apply = 'npm run bootstrap -- apply ai-vm';
  const found: Readonly<Record<GpuState['verdict'], Omit<Finding, 'what'>>> = {
    passed: { state: 'good', saw: `proved under kernel ${kernel}, restarts included` },
    unproven: {
      state: 'warning',
      saw: `not proved under kernel ${kernel}: a restart may hang the host`,
      fix: `${apply} proves it; no database may run meanwhile`,
    },
    unsafe: {
      state: 'warning',
      saw: `a restart of its VM needs one of the host: ${why}`,
      fix: 'nothing, or gpu: false in homelab.ts',
    },
    unusable: { state: 'bad', saw: why, fix: `${apply} says what to try next; or gpu: false in homelab.ts` },
  };
  return found[verdict];
}
