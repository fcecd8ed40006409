import { type TalosMachine, hostOf } from '../../../inventory';
import { isOurs, readConfig, id } from '../../clients/proxmox/guests';
import { probe, isOn } from '../../clients/talos';
import { CommandFailed } from '../../engine/commands';
import { type Context, proxmox } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';

/** The machine is on: an earlier run may have been stopped between its shutdown and its start. */
export function running(context: Context, name: string, machine: TalosMachine): Step {
  const host = hostOf(context.homelab, machine);
  const argv = ['qm', 'start', String(machine.vmid)];
  return {
    title: `VM ${machine.vmid} (${name}) is on`,
    async plan() {
      try {
        await probe(context, machine);
        return undefined;
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
      }
      if (await isOn(context, name)) return undefined;
      if (!isOurs(await readConfig(context, proxmox(context, host), machine.vmid), name))
        throw new Blocked(
          `${id({ ...machine, name, host })} must be ours before it is started, and is not; npm run bootstrap -- apply vms says what it is`,
        );
      return { lines: [`${argv.join(' ')} on ${host}`] };
    },
    async apply() {
      await context.commands.change(proxmox(context, host), argv);
    },
  };
}
