import type { Homelab } from '../../../inventory';
import { action } from '../../engine/actions';
import type { Target } from '../../engine/commands';
import { sha256 } from '../../engine/digests';
import { isFault, Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import { step, type Action, type Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { ADMIN, AI_VM_FILES, FIREWALL_UNIT, authorizedKeys, firewall, loginAddresses } from '../../../machines/ai-vm';
import type { UbuntuVm } from '../../clients/ubuntu';

/** Time in which a second session must open, and after which the machine undoes the change by itself. */
const PROVE_SECONDS = 60;
const UNDO_SECONDS = 150;

/** The unit that loads the rules when the machine boots. */
export function firewallUnit({ commands, target }: UbuntuVm): Step {
  return remoteFile(commands, target, { path: AI_VM_FILES.firewallUnit, content: FIREWALL_UNIT });
}

/**
 * Keys and firewall. Both can lock everybody out, so they are tried first: the machine itself goes back to what was before,
 * unless a second session confirms in time. A reboot meanwhile undoes them too.
 */
export function access(homelab: Homelab, vm: UbuntuVm): Step {
  const { name } = vm;
  const { rules, digest } = firewall(homelab, name);
  const keys = authorizedKeys(homelab);
  return step(`only known addresses and keys reach ${name}`, async () => {
    const names = ['rules', 'loaded', 'enabled', 'keys', 'trial'] as const;
    const there = await vm.facts('access.sh', ['state', ADMIN], names);
    const lines: string[] = [];
    if (there.keys !== sha256(keys))
      lines.push(`authorized_keys of ${ADMIN}: ${homelab.access!.sshKeys.length} key(s)`);
    if (there.rules !== sha256(rules) || there.loaded !== digest || there.enabled !== 'enabled')
      lines.push(...allowed(rules).map((line) => `firewall: ${line}`));
    // It will be undone, also where it looks as wanted now.
    if (there.trial === 'open') lines.push('an earlier run tried keys and firewall, but nobody confirmed them');
    if (lines.length === 0) return undefined;
    await assertLetThrough(homelab, vm);
    return { lines, actions: [tryOut(vm, rules, keys), confirm(vm, digest, keys)] };
  });
}

function tryOut({ commands, target, name }: UbuntuVm, rules: string, keys: string): Action {
  return action(`${name}: load the new keys and firewall; the machine itself undoes them after ${UNDO_SECONDS} s`, () =>
    commands.changeScript(target, 'ubuntu/access.sh', ['try', `${UNDO_SECONDS}`, ADMIN, rules, keys]),
  );
}

function confirm({ commands, target, name }: UbuntuVm, digest: string, keys: string): Action {
  return action(`${name}: keep them if a second login works`, async (progress) => {
    try {
      await until('a second login', { seconds: PROVE_SECONDS }, progress, async () => {
        const confirmed = ['confirm', digest, ADMIN, sha256(keys)];
        await commands.changeScript(separate(target), 'ubuntu/access.sh', confirmed, { seconds: 40 });
        return true;
      });
    } catch (error) {
      if (!isFault(error)) throw error;
      throw new Blocked(
        `a second login on ${name} failed with the new keys and firewall: ${error.message}\n${name} restores the old ones within ${UNDO_SECONDS} s; correct access.sshKeys or access.from in homelab.ts`,
      );
    }
  });
}

/** @throws Blocked when the new rules would shut out the machine that this runs on */
async function assertLetThrough(homelab: Homelab, { commands, target, name }: UbuntuVm): Promise<void> {
  const { stdout } = await commands.read(target, ['printenv', 'SSH_CONNECTION'], { accepts: [0, 1] });
  const from = stdout.split(' ')[0]!.trim();
  const allowed = loginAddresses(homelab);
  if (from === '' ? allowed.length > 0 : allowed.includes(from)) return;
  throw new Blocked(
    `access.from must contain this machine, but ${name} sees it at ${from || 'an unknown address'} (allowed: ${allowed.join(', ') || 'none'}); add it to access.from in homelab.ts`,
  );
}

/** A connection of its own, also where the owner's ssh shares one. */
function separate(place: Target): Target {
  const options = [...(place.ssh!.options ?? []), '-o', 'ControlMaster=no', '-o', 'ControlPath=none'];
  return { ...place, ssh: { ...place.ssh!, options } };
}

function allowed(rules: string): string[] {
  return [...rules.matchAll(/^ *ip saddr \{ (.*) \} tcp dport (\d+) accept$/gm)].map(
    ([, from, port]) => `port ${port} from ${from}`,
  );
}
