import { basename } from 'node:path';
import { Blocked } from '../../engine/problem';
import type { RemoteFile } from '../../engine/remote-file';
import type { Card, Network } from '../../clients/proxmox/facts';

/**
 * Whether each card has a name that no new device and no kernel changes, and whether the next boot finds the same names in
 * /etc/network/interfaces. `half`: our own try was cut off. `unsafe`: somebody else's.
 */
export function pinState(
  network: Network,
): { readonly state: 'pinned' | 'open' | 'half' } | { readonly state: 'unsafe'; readonly why: string } {
  if (network.halfPinned) return { state: 'half' };
  for (const { name, pinned, master } of network.cards) {
    if (pinned === undefined) continue;
    if (master !== undefined && !isNamed(network, pinned))
      return { state: 'unsafe', why: `the next boot calls ${name} ${pinned}, and /etc/network/interfaces does not` };
    if (pinned !== name && network.namesNext.has(name) && !network.cards.some((card) => card.pinned === name))
      return {
        state: 'unsafe',
        why: `the next boot calls ${name} ${pinned}, and /etc/network/interfaces still says ${name}`,
      };
  }
  return { state: network.cards.every(({ pinned }) => pinned !== undefined) ? 'pinned' : 'open' };
}

/** Whether the next boot finds a name where bridges and bonds say what is part of them. */
function isNamed({ namesNext, namesElsewhere }: Network, name: string): boolean {
  return namesNext.has(name) || namesElsewhere.has(name);
}

/** The files of Proxmox' tool. It ignores other files, so it would also rename a card that the owner pinned by hand. */
const OF_TOOL = /^\/usr\/local\/lib\/systemd\/network\/50-(pmx|pve)-[^/]+\.link$/;

function pinnedByHand({ cards }: Network): Card | undefined {
  return cards.find(({ pinnedBy }) => pinnedBy !== undefined && !OF_TOOL.test(pinnedBy));
}

/**
 * Proxmox' tool renames cards where /etc/network/interfaces is one file and nobody has pinned a card by hand. Elsewhere they
 * keep the names that they have.
 */
export function usesTool(network: Network): boolean {
  return (
    network.halfPinned ||
    (network.tool &&
      pinnedByHand(network) === undefined &&
      !network.cards.some(({ name }) => network.namesElsewhere.has(name)))
  );
}

export function unpinned({ cards }: Network) {
  return cards.filter(({ pinned }) => pinned === undefined);
}

/** What would be done for names that stay; undefined when they do. @throws Blocked when that is not safe */
export function pinning(name: string, network: Network): string[] | undefined {
  const { state } = pinState(network);
  if (state === 'pinned') return undefined;
  const byHand = pinnedByHand(network);
  if (state === 'half' && byHand !== undefined)
    throw new Blocked(
      `${byHand.pinnedBy} on ${name} must not pin ${byHand.name} while pve-network-interface-pinning, which does not know that file, was cut off; move it away, then apply host`,
    );
  if (state === 'half') return ['pve-network-interface-pinning generate, once more: an earlier try was cut off'];
  if (network.staged)
    throw new Blocked(
      `/etc/network/interfaces.new on ${name} must not be there before names of network cards are pinned; apply these changes in Proxmox (Network, Apply Configuration), or remove the file`,
    );
  const cards = unpinned(network);
  const files = usesTool(network) ? ['50-pmx-'] : cards.map((card) => basename(linkFile(card).path));
  const unclear = network.unclear.find((path) => files.some((file) => basename(path) < file));
  if (unclear !== undefined)
    throw new Blocked(
      `${unclear} on ${name} must say MACAddress= and Name=, and says no more than one of them: of all .link files that match a card only the first counts, so a later one would not keep its name. Add what is missing (${cards.map((card) => `${card.mac} is ${card.name}`).join(', ')}), or call it 90-….link`,
    );
  if (usesTool(network))
    return [
      'pve-network-interface-pinning generate',
      ...cards.map((card) => `  ${card.name} (${card.mac}) gets its name at the next boot`),
    ];
  const unknown = cards.find((card) => card.master !== undefined && !isNamed(network, card.name));
  if (unknown)
    throw new Blocked(
      `${unknown.name} on ${name} must stand in /etc/network/interfaces by that name before it is kept, as it is part of ${unknown.master}; write it there in place of its other name (ip link show ${unknown.name})`,
    );
  const early = cards.find((card) => /^eth\d/.test(card.name));
  if (early)
    throw new Blocked(
      `${early.name} on ${name} must have a name that can be kept, not one that the kernel gives by chance; take net.ifnames=0 out of its kernel options, or upgrade it to Proxmox 9`,
    );
  return cards.map((card) => `${card.mac} stays ${card.name}`);
}

/** Tells udev the name of a card, by its address. */
export function linkFile({ name, mac }: { readonly name: string; readonly mac: string }): RemoteFile {
  return {
    path: `/etc/systemd/network/10-collab-homelab-${name}.link`,
    content: `# Managed by the bootstrap of the homelab.\n[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=${name}\n`,
  };
}
