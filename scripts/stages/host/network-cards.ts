import { Stop } from '../../engine/problem';
import type { RemoteFile } from '../../engine/remote-file';
import type { Change } from '../../engine/step';
import type { Network } from './facts';

/**
 * Whether each card has a name that no new device and no kernel changes, and whether the next boot finds the same names in
 * /etc/network/interfaces. `half`: our own try was cut off. `unsafe`: somebody else's.
 */
export function pinState(
  network: Network,
): { readonly state: 'pinned' | 'open' | 'half' } | { readonly state: 'unsafe'; readonly why: string } {
  if (network.halfPinned) return { state: 'half' };
  for (const { name, pinned, master } of network.cards) {
    if (pinned === undefined || pinned === name) continue;
    if (master !== undefined && !network.namesNext.has(pinned))
      return { state: 'unsafe', why: `the next boot calls ${name} ${pinned}, and /etc/network/interfaces does not` };
    if (network.namesNext.has(name) && !network.cards.some((card) => card.pinned === name))
      return {
        state: 'unsafe',
        why: `the next boot calls ${name} ${pinned}, and /etc/network/interfaces still says ${name}`,
      };
  }
  return { state: network.cards.every(({ pinned }) => pinned !== undefined) ? 'pinned' : 'open' };
}

/** Proxmox' tool renames cards where /etc/network/interfaces is one file. Elsewhere they keep the names that they have. */
export function usesTool(network: Network): boolean {
  return network.halfPinned || (network.tool && !network.cards.some(({ name }) => network.namesElsewhere.has(name)));
}

export function unpinned({ cards }: Network) {
  return cards.filter(({ pinned }) => pinned === undefined);
}

/** What would be done for names that stay. */
export function pinning(name: string, network: Network): Change | undefined {
  const { state } = pinState(network);
  if (state === 'pinned') return undefined;
  if (state === 'half')
    return { lines: ['pve-network-interface-pinning generate, once more: an earlier try was cut off'] };
  if (network.staged)
    throw new Stop(
      `/etc/network/interfaces.new on ${name} must not be there before names of network cards are pinned; apply these changes in Proxmox (Network, Apply Configuration), or remove the file`,
    );
  const cards = unpinned(network);
  if (usesTool(network))
    return {
      lines: [
        'pve-network-interface-pinning generate',
        ...cards.map((card) => `  ${card.name} (${card.mac}) gets its name at the next boot`),
      ],
    };
  const early = cards.find((card) => /^eth\d/.test(card.name));
  if (early)
    throw new Stop(
      `${early.name} on ${name} must have a name that can be kept, not one that the kernel gives by chance; take net.ifnames=0 out of its kernel options, or upgrade it to Proxmox 9`,
    );
  return { lines: cards.map((card) => `write ${linkFile(card).path}: ${card.mac} stays ${card.name}`) };
}

/** Tells udev the name of a card, by its address. */
export function linkFile({ name, mac }: { readonly name: string; readonly mac: string }): RemoteFile {
  return {
    path: `/etc/systemd/network/10-collab-homelab-${name}.link`,
    content: `# Managed by the bootstrap of the homelab.\n[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=${name}\n`,
  };
}
