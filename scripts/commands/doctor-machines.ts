import type { Homelab } from '../../inventory';
import type { Finding, Check } from '../engine/findings';
import { CommandFailed, type Commands, type Target } from '../engine/commands';
import { ubuntu, ubuntuMachines, type Context } from '../clients/context';
import { isFault } from '../engine/problem';
import type { ProxmoxHost } from '../clients/proxmox/host';
import { hostFindings } from '../stages/host/findings';

/** Whether a Proxmox host accepts our login, and all that is so on it. Notes which of its guests run. */
export function hostCheck(homelab: Homelab, host: ProxmoxHost, guests: Map<string, ReadonlySet<number>>): Check {
  return async () => {
    const { commands, name, target } = host;
    const refused = await reach(commands, target);
    if (refused) return [refused];
    const facts = await host.facts();
    guests.set(name, new Set(facts.guests.filter(({ running }) => running).map(({ vmid }) => vmid)));
    return [reached(target), ...hostFindings(homelab, name, facts)];
  };
}

/** The machines outside the cluster that run by now. */
export function machineCheck(context: Context, guests: ReadonlyMap<string, ReadonlySet<number>>): Check {
  return async () => {
    const found: Finding[] = [];
    for (const [name, { vmid }] of ubuntuMachines(context)) {
      if (![...guests.values()].some((running) => running.has(vmid))) continue;
      const target = ubuntu(context, name);
      found.push((await reach(context.commands, target)) ?? reached(target));
    }
    return found;
  };
}

/** @returns why not, and what to do */
async function reach(commands: Commands, target: Target): Promise<Finding | undefined> {
  try {
    await commands.read(target, ['true'], { seconds: 30 });
    return undefined;
  } catch (error) {
    if (!isFault(error)) throw error;
    const said = error instanceof CommandFailed ? error.output.stderr.trim() : '';
    const last = said.split('\n').at(-1)!.trim();
    return {
      what: `${target.name} accepts our login`,
      state: 'bad',
      saw: last === '' ? error.message : `${target.ssh!.address}: ${last}`,
      fix: remedy(target, said),
    };
  }
}

function reached({ name, ssh }: Target): Finding {
  return { what: `${name} accepts our login`, state: 'good', saw: `${ssh!.user}@${ssh!.address}` };
}

export function remedy({ name, ssh }: Pick<Target, 'name' | 'ssh'>, said: string): string {
  const at = `${ssh!.user}@${ssh!.address}`;
  if (/IDENTIFICATION HAS CHANGED/.test(said))
    return `another machine answers, or ${name} was installed again: compare its key at its console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); only if it is the new one, ssh-keygen -R ${ssh!.address}`;
  if (/host key is known|Host key verification failed/.test(said))
    return `ssh ${at} once; it shows a fingerprint, which must be the one at its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`;
  if (/Permission denied/.test(said))
    return `ssh-copy-id ${at}; your key must log in without a question (ssh-add, if it has a password)`;
  return `is ${name} on, is ${ssh!.address} its address, and does ssh ${at} get through?`;
}
