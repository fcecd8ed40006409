import type { Homelab } from '../../../inventory';
import { UNDO_MINUTES } from '../../../machines/host';
import type { HostFacts } from '../../clients/proxmox/facts';
import type { ProxmoxHost } from '../../clients/proxmox/host';
import { CommandFailed } from '../../engine/commands';
import { assertNoneBad } from '../../engine/findings';
import { until } from '../../engine/wait';
import { hostFindings } from './findings';

/** A Proxmox host that this stage works on. */
export interface Site {
  readonly homelab: Homelab;
  readonly host: ProxmoxHost;
}

/** What ssh says of a machine that is down or not yet up, and of nothing that stays so. */
const AWAY = /cannot be reached: [^]*(timed out|refused|No route to host|reset by peer|closed by)/;

/** An earlier run may have been stopped while it rebooted the host: that one comes back. */
export async function waitForHost(host: ProxmoxHost): Promise<void> {
  try {
    await host.facts();
  } catch (error) {
    if (!(error instanceof CommandFailed) || !AWAY.test(error.message)) throw error;
    const progress = (what: string) => console.error(`waiting for ${what}`);
    await until(`${host.name} to answer`, { seconds: 300, every: 20 }, progress, () => host.facts());
  }
}

/** The facts of a host that can become what it should. @throws Blocked with everything that is wrong */
export async function soundFacts(site: Site): Promise<HostFacts> {
  const facts = await site.host.facts();
  assertSound(site, facts);
  return facts;
}

export function assertSound({ homelab, host }: Site, facts: HostFacts): void {
  assertNoneBad(hostFindings(homelab, host.name, facts), undoWarning(host.name, facts));
}

/** Whether the host restored its old files because nobody confirmed a boot. */
export function waitsForUndo({ boot: { armed }, bootId }: HostFacts): boolean {
  return armed !== undefined && armed !== bootId;
}

export function undoWarning(name: string, facts: HostFacts): string[] {
  if (!waitsForUndo(facts)) return [];
  return [
    `until that is solved, the last boot of ${name} is not confirmed: its files are undone ${UNDO_MINUTES} minutes after it`,
  ];
}
