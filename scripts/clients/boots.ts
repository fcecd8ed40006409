import type { Commands, Target } from '../engine/commands';
import { isFault, Problem, Blocked } from '../engine/problem';
import type { Progress } from '../engine/step';
import { until } from '../engine/wait';

/** A login that fails does so at once or after 10 s. */
const PROBE = { seconds: 30 };

/** Changes with each start of a machine's system. */
export async function bootId(commands: Commands, target: Target): Promise<string> {
  const { stdout } = await commands.read(target, ['cat', '/proc/sys/kernel/random/boot_id'], PROBE);
  return parseBootId(stdout, target.name);
}

/** @throws Problem when a machine answers with something else */
export function parseBootId(text: string, name: string): string {
  const id = text.trim();
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new Problem(`${name} must name its boot id, but it answered ${JSON.stringify(id.slice(0, 80))}`);
  return id;
}

/**
 * Tells a machine to reboot. It is in another boot than `before` when it is there again.
 * @throws Blocked when the connection broke before the machine got the command
 */
export async function orderReboot(commands: Commands, target: Target, before: string): Promise<void> {
  // The connection may end before the answer is here.
  const options = { seconds: 120, accepts: [0, 255] };
  const { code } = await commands.change(target, ['systemctl', 'reboot'], options);
  if (code === 255 && !(await isOnItsWay(commands, target, before)))
    throw new Blocked(`${target.name} must reboot, but the connection broke before it got the command. Run this again`);
}

/** Ends when a machine is in another boot than `before`. @throws TimedOut after so many seconds */
export async function untilRebooted(
  commands: Commands,
  target: Target,
  before: string,
  seconds: number,
  progress: Progress,
): Promise<void> {
  const look = async () => (await bootId(commands, target)) !== before;
  await until(`${target.name} to come back`, { seconds, every: 5 }, progress, look);
}

/** A machine that still answers, and does not stop, did not get the command. */
async function isOnItsWay(commands: Commands, target: Target, before: string): Promise<boolean> {
  try {
    if ((await bootId(commands, target)) !== before) return true;
    // It exits with 1 for everything but `running`.
    const argv = ['systemctl', 'is-system-running'];
    const { stdout } = await commands.read(target, argv, { ...PROBE, accepts: [0, 1] });
    return !/^(starting|running|degraded)$/.test(stdout.trim());
  } catch (error) {
    if (isFault(error)) return true;
    throw error;
  }
}
