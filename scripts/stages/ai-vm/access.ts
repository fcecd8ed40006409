import { createHash } from 'node:crypto';
import type { Target } from '../../engine/commands';
import { type Context } from '../../clients/context';
import { ADMIN } from '../../../machines/ai-vm';
import { isFault, Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { AI_VM_FILES, FIREWALL_UNIT, authorizedKeys, firewall, loginAddresses } from '../../../machines/ai-vm';
import { facts } from '../../clients/ubuntu-facts';
import type { AiVm } from '../../clients/ubuntu';

/** Time in which a second session must open, and after which the machine undoes the change by itself. */
const PROVE_SECONDS = 60;
const UNDO_SECONDS = 150;

/** What loads the rules when the machine boots. */
export function firewallUnit({ commands }: Context, { place }: AiVm): Step {
  return remoteFile(commands, place, { path: AI_VM_FILES.firewallUnit, content: FIREWALL_UNIT });
}

/**
 * Keys and firewall. Both can lock everybody out, so they are tried first: the machine itself goes back to what was before,
 * unless a second session confirms in time. A reboot meanwhile undoes them too.
 */
export function access(context: Context, { name, place }: AiVm): Step {
  const { commands, homelab } = context;
  const { rules, digest } = firewall(homelab, name);
  const keys = authorizedKeys(homelab);
  return {
    title: `only known addresses and keys reach ${name}`,
    async plan() {
      const { stdout } = await commands.readScript(place, 'ubuntu/access.sh', ['state', ADMIN], { asRoot: true });
      const names = ['rules', 'loaded', 'enabled', 'keys', 'trial'] as const;
      const there = facts(stdout, `ai-access.sh on ${name}`, names);
      const lines: string[] = [];
      if (there.keys !== sha256(keys))
        lines.push(`authorized_keys of ${ADMIN}: ${homelab.access!.sshKeys.length} key(s)`);
      if (there.rules !== sha256(rules) || there.loaded !== digest || there.enabled !== 'enabled')
        lines.push(...allowed(rules).map((line) => `firewall: ${line}`));
      // It will be undone, also where it looks as wanted now.
      if (there.trial === 'open') lines.push('keys and firewall that an earlier run tried, and that nobody confirmed');
      if (lines.length === 0) return undefined;
      await assertLetThrough(context, name, place);
      return { lines: [...lines, `undone after ${UNDO_SECONDS} s unless a second login works`] };
    },
    async apply(_, progress) {
      await commands.changeScript(place, 'ubuntu/access.sh', ['try', `${UNDO_SECONDS}`, ADMIN, rules, keys]);
      try {
        await until('a second login', { seconds: PROVE_SECONDS }, progress, async () => {
          const confirmed = ['confirm', digest, ADMIN, sha256(keys)];
          await commands.changeScript(separate(place), 'ubuntu/access.sh', confirmed, { seconds: 40 });
          return true;
        });
      } catch (error) {
        if (!isFault(error)) throw error;
        throw new Blocked(
          `a second login on ${name} must work with the new keys and firewall, and did not: ${error.message}\n${name} goes back by itself to what was before, within ${UNDO_SECONDS} s; correct access.sshKeys or access.from in homelab.ts`,
        );
      }
    },
  };
}

/** @throws Stop when the new rules would shut out whoever brings them */
async function assertLetThrough({ commands, homelab }: Context, name: string, place: Target): Promise<void> {
  const { stdout } = await commands.read(place, ['printenv', 'SSH_CONNECTION'], { accepts: [0, 1] });
  const from = stdout.split(' ')[0]!.trim();
  const allowed = loginAddresses(homelab);
  if (from === '' ? allowed.length > 0 : allowed.includes(from)) return;
  throw new Blocked(
    `access.from must let this machine through, and ${name} sees it at ${from || 'an unknown address'} (allowed: ${allowed.join(', ') || 'none'}); add it to access.from in homelab.ts`,
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

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
