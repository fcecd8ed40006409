import type { Commands, Target } from '../engine/commands';
import { isFault, Problem, Blocked } from '../engine/problem';

/** A login that fails does so at once or after 10 s. */
const LOOK = { seconds: 30 };

/** Changes with each start of a machine's system. */
export async function bootId(commands: Commands, place: Target): Promise<string> {
  const { stdout } = await commands.read(place, ['cat', '/proc/sys/kernel/random/boot_id'], LOOK);
  const id = stdout.trim();
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new Problem(`${place.name} must name its boot id, and answered ${JSON.stringify(id.slice(0, 80))}`);
  return id;
}

/**
 * Tells a machine to reboot. It is in another boot than `before` when it is there again.
 * @throws Stop when the connection ended before the machine was told
 */
export async function orderReboot(commands: Commands, place: Target, before: string): Promise<void> {
  // The connection may end before the answer is here.
  const options = { seconds: 120, accepts: [0, 255] };
  const { code } = await commands.change(place, ['systemctl', 'reboot'], options);
  if (code === 255 && !(await isOnItsWay(commands, place, before)))
    throw new Blocked(`${place.name} must reboot, and the connection ended before it was told; run this again`);
}

/** A machine that still answers, and does not stop, was never told. */
async function isOnItsWay(commands: Commands, place: Target, before: string): Promise<boolean> {
  try {
    if ((await bootId(commands, place)) !== before) return true;
    // It exits with 1 for everything but `running`.
    const argv = ['systemctl', 'is-system-running'];
    const { stdout } = await commands.read(place, argv, { ...LOOK, accepts: [0, 1] });
    return !/^(starting|running|degraded)$/.test(stdout.trim());
  } catch (error) {
    if (isFault(error)) return true;
    throw error;
  }
}
