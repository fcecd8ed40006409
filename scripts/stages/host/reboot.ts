import { bootId, orderReboot } from '../../clients/boots';
import { machinesOn, proxmox, type Context } from '../../clients/context';
import { until } from '../../engine/wait';
import { downSeconds } from '../../../machines/vms';
import type { HostFacts } from '../../clients/proxmox/facts';

/** Ends when the host is there again, in another boot. */
export async function reboot(
  context: Context,
  name: string,
  before: string,
  progress: (what: string) => void,
): Promise<void> {
  const { commands } = context;
  const place = proxmox(context, name);
  await orderReboot(commands, place, before);
  await until(`${name} to come back`, { seconds: secondsToBoot(context, name), every: 5 }, progress, async () => {
    return (await bootId(commands, place)) === before ? undefined : true;
  });
}

/** What the owner must agree to. */
export function rebootQuestion(name: string, { guests }: HostFacts): string {
  const running = guests.filter((guest) => guest.running).map((guest) => `${guest.vmid} ${guest.name}`);
  return running.length === 0
    ? `${name} reboots; no machine runs on it`
    : `${name} reboots, and these machines on it stop and start again: ${running.join(', ')}`;
}

/**
 * Ten minutes for the firmware, which may train the memory anew, and for the boot; before that, every machine may take the
 * time that Proxmox gives it.
 */
function secondsToBoot(context: Context, name: string): number {
  const orders = new Map<number, number>();
  for (const [, machine] of machinesOn(context, name)) {
    const seconds = downSeconds(context.homelab, machine);
    orders.set(machine.startOrder, Math.max(orders.get(machine.startOrder) ?? 0, seconds));
  }
  return [...orders.values()].reduce((total, seconds) => total + seconds, 600);
}
