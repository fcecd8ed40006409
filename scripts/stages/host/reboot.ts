import { CommandFailed } from '../../engine/commands';
import { machinesOn, proxmox, type Context } from '../../engine/context';
import { Stop } from '../../engine/problem';
import { until } from '../../engine/wait';
import { downSeconds } from '../../machines/vms';
import type { HostFacts } from './facts';

/** Ends when the host is there again, in another boot. */
export async function reboot(
  context: Context,
  name: string,
  before: string,
  say: (what: string) => void,
): Promise<void> {
  const { commands } = context;
  const place = proxmox(context, name);
  const bootId = async () =>
    (await commands.read(place, ['cat', '/proc/sys/kernel/random/boot_id'], { seconds: 30 })).stdout.trim();
  // The connection may end before the answer is here.
  const { code } = await commands.change(place, ['systemctl', 'reboot'], { accepts: [0, 255], seconds: 120 });
  if (code === 255) await assertOnItsWay();
  await until(`${name} to come back`, { seconds: secondsToBoot(context, name), every: 5 }, say, async () => {
    const now = await bootId();
    return /^[0-9a-f-]{36}$/.test(now) && now !== before ? true : undefined;
  });

  /** A host that still answers, and does not stop, was never told. */
  async function assertOnItsWay(): Promise<void> {
    try {
      if ((await bootId()) !== before) return;
      // It exits with 1 for everything but `running`.
      const { stdout } = await commands.read(place, ['systemctl', 'is-system-running'], {
        accepts: [0, 1],
        seconds: 30,
      });
      if (stdout.trim() === 'stopping') return;
    } catch (error) {
      if (error instanceof CommandFailed) return;
      throw error;
    }
    throw new Stop(`${name} must reboot, and the connection ended before it was told; run this again`);
  }
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
