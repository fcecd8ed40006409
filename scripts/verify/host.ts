import { proxmoxHosts } from '../clients/proxmox/host';
import type { Context } from '../clients/context';
import type { Check } from '../engine/findings';
import { disks, storages } from '../stages/host/storages';

/** How full the hosts' storages are: a thin pool that runs full takes every disk on it down. */
export function hostChecks(context: Context): Record<string, Check> {
  const { homelab } = context;
  const checks = proxmoxHosts(context).map((host): [string, Check] => [
    `storages of ${host.name}`,
    async () => {
      const subject = { homelab, name: host.name, facts: await host.facts() };
      return [...storages(subject), ...disks(subject)];
    },
  ]);
  return Object.fromEntries(checks);
}
