import { downSeconds, machinesOf } from '../../../inventory';
import { orderReboot, untilRebooted } from '../../clients/boots';
import type { HostFacts } from '../../clients/proxmox/facts';
import { action } from '../../engine/actions';
import { Blocked } from '../../engine/problem';
import { step, type Progress, type Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { isWritten, rebootReasons } from './boot';
import { assertSound, soundFacts, undoWarning, type Site } from './site';
import { confirm } from './undo';

/** Where scripts/remote/proxmox/boot-files.sh remembers of what boot loader and initramfs were made. */
const MADE = '/var/lib/collab-homelab/boot-files';

/** The host runs with everything that the steps before this one wrote. */
export function booted(site: Site): Step {
  const { name } = site.host;
  return step(`${name} was booted with all of that`, async () => {
    const facts = await soundFacts(site);
    const reasons = rebootReasons(site, facts);
    if (reasons.length === 0) return undefined;
    const { armed, made } = facts.boot;
    // Armed in this boot: something was written in it.
    const wasBooted = armed !== facts.bootId && made !== undefined && made.boot !== facts.bootId;
    if (wasBooted && isWritten(site, facts))
      throw new Blocked(
        [
          `${noEffect(name, facts, reasons)}. To make them again: rm ${MADE} there, then apply host`,
          ...undoWarning(name, facts),
        ].join('\n'),
      );
    return {
      lines: [`reboot for: ${reasons.join('; ')}`],
      actions: [action(`${name}: systemctl reboot`, (progress) => reboot(site, facts.bootId, progress))],
      asks: [rebootQuestion(name, facts)],
    };
  });
}

/** Ends when the host is there again, in another boot, and all is as it should be. */
async function reboot(site: Site, before: string, progress: Progress): Promise<void> {
  const { commands, name, target } = site.host;
  await orderReboot(commands, target, before);
  await untilRebooted(commands, target, before, secondsToBoot(site), progress);
  await confirm(site.host).run(progress);
  // The services of Proxmox come later than ssh.
  const facts = await until(`Proxmox on ${name} to answer`, { seconds: 300, every: 5 }, progress, () =>
    site.host.facts(),
  );
  // Nobody reached it in time: what is missing now was taken back, not made without effect.
  if (facts.boot.undone) assertSound(site, facts);
  const left = rebootReasons(site, facts);
  if (left.length === 0) return;
  // What was made without effect is made again by the next run, which asks before it reboots.
  await commands.change(target, ['rm', '-f', MADE]);
  throw new Blocked(`${noEffect(name, facts, left)}. To make them again: apply host`);
}

function noEffect(name: string, { boot }: HostFacts, left: readonly string[]): string {
  return `${name} was booted since its files were written, but they had no effect: ${left.join('; ')}. Look at journalctl -b and /proc/cmdline there, and whether it boots by ${boot.loaders.join(' or ')}`;
}

/** What the owner must agree to. */
function rebootQuestion(name: string, { guests }: HostFacts): string {
  const running = guests.filter((guest) => guest.running).map((guest) => `${guest.vmid} ${guest.name}`);
  return running.length === 0
    ? `${name} reboots; no machine runs on it`
    : `${name} reboots, and these machines on it stop and start again: ${running.join(', ')}`;
}

/**
 * Ten minutes for the firmware, which may train the memory again, and for the boot; before that, every machine may take the
 * time that Proxmox gives it.
 */
function secondsToBoot({ homelab, host }: Site): number {
  const orders = new Map<number, number>();
  for (const [, machine] of machinesOf(homelab, host.name)) {
    const seconds = downSeconds(homelab, machine);
    orders.set(machine.startOrder, Math.max(orders.get(machine.startOrder) ?? 0, seconds));
  }
  return [...orders.values()].reduce((total, seconds) => total + seconds, 600);
}
