import { machinesOf, memoryTaken, proxmoxSettings, type Homelab } from '../../../inventory';
import { bytes, gib, GIB } from '../../../values/quantity';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { passedThrough, UNDO_MINUTES } from '../../../machines/host';
import { devices } from './devices';
import type { HostFacts } from '../../clients/proxmox/facts';
import type { Subject } from './devices';
import { pinState } from './network-cards';
import { disks, storages } from './storages';

/** What a Proxmox host must be before anything is changed on it, and what else is worth knowing. `bad` stops the stage. */
export function hostFindings(homelab: Homelab, name: string, facts: HostFacts): Finding[] {
  const checks = [version, memory, model, guestMemory, devices, loader, network, storages, disks, kernel, undo];
  return checks.flatMap((check) => check({ homelab, name, facts }));
}

function version({ homelab, name, facts: { version, cpu } }: Subject): Finding {
  const what = `${name} runs Proxmox ${homelab.versions.proxmox}`;
  const [major, minor] = homelab.versions.proxmox.split('.').map(Number);
  const write = `write versions.proxmox: '${version.major}.${version.minor}'`;
  if (version.major !== major) return bad(what, version.text, `install Proxmox VE ${major}, or ${write}`);
  if (version.minor !== minor) return warning(what, version.text, `apt full-upgrade on it, or ${write}`);
  return good(what, `${version.text}${cpu === '' ? '' : ` on ${cpu}`}`);
}

/** Linux keeps 64 of each 4096 bytes for itself (struct page); firmware and the kernel's image are well below 1 GiB. */
const visible = (memory: number) => memory * (1 - 1 / 64) - GIB;
/** The largest frame buffer that BIOSes of the 8845HS offer. */
const LARGEST_CARVE_OUT = 16 * GIB;

function memory({ homelab, name, facts }: Subject): Finding | readonly Finding[] {
  const host = proxmoxSettings(homelab, name);
  const [built, carveOut] = [bytes(host.memory), bytes(host.igpuCarveOut, 'igpuCarveOut', true)];
  const { total, free } = facts.memory;
  const what = `${name} has ${gib(built)} of memory, ${gib(carveOut)} of it for the GPU`;
  const saw = `Linux has ${gib(total)}, ${gib(free)} of it free`;
  if (total > built || total < visible(built - LARGEST_CARVE_OUT))
    return bad(what, saw, `this is another host, or a module is missing: correct hosts.${name}.address or memory`);
  const seen = facts.carveOut ?? (total < visible(built - carveOut) ? built - total / (1 - 1 / 64) : carveOut);
  if (seen > carveOut) {
    const fix = `set the UMA frame buffer to ${gib(carveOut)} in the BIOS, or hosts.${name}.igpuCarveOut to what it is`;
    return bad(what, `${saw}; the BIOS takes about ${gib(seen)} for the GPU`, fix);
  }
  if (total > built - carveOut) {
    const fix = `the carve-out is smaller than hosts.${name}.igpuCarveOut says: write down what the BIOS has`;
    return warning(what, saw, fix);
  }
  return [good(what, saw), ...cache(name, facts, bytes(host.reserve))];
}

/** ZFS takes memory for its cache on top of what Proxmox needs (6 GiB). */
function cache(name: string, { storages, arcMaximum }: HostFacts, reserve: number): Finding[] {
  if (!storages.some(({ type }) => type === 'zfspool')) return [];
  const what = `${name} has room for the cache of ZFS`;
  const fix = `set zfs_arc_max in /etc/modprobe.d/zfs.conf, and hosts.${name}.reserve to at least that and 6 GiB`;
  if (!arcMaximum) return [warning(what, 'zfs_arc_max is not set', fix)];
  if (arcMaximum + 6 * GIB <= reserve) return [good(what, gib(arcMaximum))];
  return [warning(what, `zfs_arc_max is ${gib(arcMaximum)}, the reserve ${gib(reserve)}`, fix)];
}

/** The name of a host is for people; one that shares no word with what the host calls itself is another host. */
function model({ homelab, name, facts }: Subject): Finding | readonly Finding[] {
  const wanted = proxmoxSettings(homelab, name).model;
  const what = `${name} is a ${wanted}`;
  if (facts.model === '') return [];
  const words = (text: string): readonly string[] => text.toLowerCase().match(/[a-z0-9]{2,}/g) ?? [];
  const own = words(facts.model);
  if (words(wanted).some((word) => own.includes(word))) return good(what, facts.model);
  const fix = `correct hosts.${name}.address; if it is the right one, write model: '${facts.model}'`;
  return bad(what, `it calls itself ${facts.model}`, fix);
}

function guestMemory({ homelab, name, facts }: Subject): Finding {
  const host = proxmoxSettings(homelab, name);
  const machines = machinesOf(homelab, name);
  const numbers = new Set(machines.map(([, { vmid }]) => vmid));
  const others = facts.guests.filter(({ vmid, running }) => running && !numbers.has(vmid));
  const sizes = [...machines.map(([, machine]) => bytes(machine.memory)), ...others.map((guest) => guest.memory)];
  const needed = memoryTaken(host, sizes);
  const strangers =
    others.length === 0 ? '' : `, ${others.map(({ vmid, name }) => `${vmid} ${name}`).join(', ')} included`;
  const what = `the machines of ${name} fit into its memory`;
  const saw = `${gib(needed)} of ${gib(bytes(host.memory))} with carve-out and reserve${strangers}`;
  if (needed <= bytes(host.memory)) return good(what, saw);
  return bad(what, saw, `${others.length > 0 ? 'stop what is not ours, or ' : ''}give machines less memory`);
}

function loader({ homelab, name, facts: { boot } }: Subject): Finding | readonly Finding[] {
  const { gpu, npu } = passedThrough(homelab, name);
  const what = `${name} has a supported boot loader`;
  if (boot.loaders.length > 0) return good(what, boot.loaders.join(' and '));
  if (!gpu && !npu) return [];
  const saw = 'neither GRUB nor systemd-boot by proxmox-boot-tool';
  return bad(what, saw, 'proxmox-boot-tool status; kernel options cannot be set');
}

function network({ homelab, name, facts: { network } }: Subject): Finding[] {
  return [bridgeFinding(name, proxmoxSettings(homelab, name).bridge, network), namesFinding(name, network)];
}

function bridgeFinding(name: string, bridge: string, { bridges, cards }: HostFacts['network']): Finding {
  const what = `${name} has the bridge ${bridge}`;
  if (!bridges.includes(bridge)) {
    const fix = `make it in Proxmox (Network), or correct hosts.${name}.bridge`;
    return bad(what, `its bridges: ${bridges.join(', ') || 'none'}`, fix);
  }
  const inside = cards.filter(({ master }) => master).map((card) => `${card.name} in ${card.master}`);
  if (inside.length > 0) return good(what, inside.join(', '));
  return warning(what, 'no network card is part of any', `add the card to ${bridge} in Proxmox (Network)`);
}

function namesFinding(name: string, network: HostFacts['network']): Finding {
  const pins = pinState(network);
  const what = `names of network cards of ${name} stay`;
  const saw = network.cards
    .map(({ name, mac, pinned }) => `${name} ${mac} ${pinned ? `pinned as ${pinned}` : 'not pinned'}`)
    .join(', ');
  if (pins.state === 'unsafe')
    return bad(what, pins.why, 'make both agree before its next boot, or the host has no network');
  return pins.state === 'pinned' ? good(what, saw) : warning(what, saw, 'npm run bootstrap -- apply host');
}

function kernel({ name, facts }: Subject): Finding {
  const what = `${name} needs no reboot`;
  const strange = unexpectedReboot(facts);
  const { running, pinned } = facts.kernel;
  if (strange !== undefined) return warning(what, strange, `reboot ${name}`);
  return good(what, `kernel ${running}${pinned === running ? ', pinned' : ''}`);
}

/** Why the next boot would bring something that is not ours: it must not come together with what is. */
export function unexpectedReboot({ kernel, network, boot }: HostFacts): string | undefined {
  // Beside the kernels of Proxmox there may be one of Debian, which does not boot by itself.
  const installed = kernel.installed.filter((each) => each.endsWith('-pve') || !kernel.running.endsWith('-pve'));
  const next = kernel.pinned ?? newest(installed);
  if (next !== undefined && next !== kernel.running)
    return `kernel ${kernel.running} runs, and the next boot takes ${next}`;
  if (
    network.staged &&
    pinState(network).state !== 'half' &&
    network.cards.every(({ name, pinned }) => pinned === undefined || pinned === name)
  )
    return '/etc/network/interfaces.new holds changes that wait for a reboot';
  return boot.rebootRequired ? '/run/reboot-required is there' : undefined;
}

function newest(kernels: readonly string[]): string | undefined {
  const numbers = (version: string) => (version.match(/\d+/g) ?? []).map(Number);
  return [...kernels].sort((a, b) => {
    const [left, right] = [numbers(a), numbers(b)];
    const at = left.findIndex((number, index) => number !== right[index]);
    return at < 0 ? left.length - right.length : left[at]! - (right[at] ?? -1);
  })[kernels.length - 1];
}

function undo({ name, facts: { boot, bootId } }: Subject): Finding | readonly Finding[] {
  const what = `the last boot of ${name} with changes is confirmed`;
  if (boot.undone) {
    const saw = `it was undone at ${boot.undone}, because it was not confirmed in time`;
    const fix = `find out why (journalctl -b -1 on ${name}), then rm /var/lib/collab-homelab/undone there, and apply host again`;
    return bad(what, saw, fix);
  }
  if (boot.armed === undefined || boot.armed === bootId) return [];
  const saw = `not yet; it is undone ${UNDO_MINUTES} minutes after it`;
  return warning(what, saw, 'npm run bootstrap -- apply host, now');
}
