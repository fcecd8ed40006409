import { isOurs } from '../../clients/proxmox/vm';
import type { TalosNode } from '../../clients/talos';
import { CommandFailed } from '../../engine/commands';
import { Blocked } from '../../engine/problem';
import { step, type Step } from '../../engine/step';

/** The machine is on: an earlier run may have been stopped between its shutdown and its start. */
export function running(node: TalosNode): Step {
  const { name, machine, vm } = node;
  return step(`VM ${machine.vmid} (${name}) is on`, async () => {
    try {
      await node.probe();
      return undefined;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
    }
    if (await node.isOn()) return undefined;
    if (!isOurs(await vm.config(), name))
      throw new Blocked(
        `${vm.label} must be ours before it is started, but is not. To see what it is:\n  npm run bootstrap -- apply vms`,
      );
    return { actions: [vm.start()] };
  });
}
