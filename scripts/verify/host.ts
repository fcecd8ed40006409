import type { Check } from '../engine/findings';
import { proxmoxHosts, type Context } from '../clients/context';
import { hostFacts } from '../clients/proxmox/facts';
import { disks, storages } from '../stages/host/storages';

/** How full the hosts' storages are: a thin pool that runs full takes every disk on it down. */
export function hostChecks(context: Context): Record<string, Check> {
  return Object.fromEntries(
    proxmoxHosts(context).map(([name]) => [
      `storages of ${name}`,
      async () => {
        const subject = { homelab: context.homelab, name, facts: await hostFacts(context, name) };
        return [...storages(subject), ...disks(subject)];
      },
    ]),
  );
}
