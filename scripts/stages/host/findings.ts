import { machinesOf, memoryTaken, proxmoxSettings, type Homelab } from '../../../inventory';
import { bytes, gib, GIB } from '../../../values/quantity';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { passedThrough, UNDO_MINUTES } from '../../../machines/host';
import { devices } from './devices';
import type { HostFacts } from '../../clients/proxmox/facts';
import type { Subject } from './subject';
import { pinState } from './network-cards';
import { disks, storages } from './storages';

/** What a Proxmox host must be before anything is changed on it, and what else is worth knowing. `bad` stops the stage. */
export function hostFindings(homelab: Homelab, name: string, facts: HostFacts): Finding[] {
  if (facts.version === undefined)
    return [
      bad(
        `${name} is a Proxmox host`,
        'pveversion is not there',
        `correct hosts.${name}.address, or install Proxmox VE ${homelab.versions.proxmox} on it`,
      ),
    ];
  return [version, memory, model, guestMemory, devices, loader, network, storages, disks, kernel, undo].flatMap(
    (check) => check({ homelab, name, facts }),
  );
}

function version({ homelab, name, facts: { version, cpu } }: Subject): Finding[] {
  const what = `${name} runs Proxmox ${homelab.versions.proxmox}`;
  const [major, minor] = homelab.versions.proxmox.split('.').map(Number);
  if (version!.major !== major)
    return [
      bad(
        what,
        version!.text,
        `install Proxmox VE ${major}, or write versions.proxmox: '${version!.major}.${version!.minor}'`,
      ),
    ];
  if (version!.minor !== minor)
    return [
      warning(
        what,
        version!.text,
        `apt full-upgrade on it, or write versions.proxmox: '${version!.major}.${version!.minor}'`,
      ),
    ];
  return [good(what, `${version!.text}${cpu === '' ? '' : ` on ${cpu}`}`)];
}

/** Linux keeps 64 of each 4096 bytes for itself (struct page); firmware and the kernel's image are well below 1 GiB. */
const visible = (memory: number) => memory * (1 - 1 / 64) - GIB;
/** The largest frame buffer that BIOSes of the 8845HS offer. */
const LARGEST_CARVE_OUT = 16 * GIB;

function memory({ homelab, name, facts }: Subject): Finding[] {
  const host = proxmoxSettings(homelab, name);
  const [built, carveOut] = [bytes(host.memory), bytes(host.igpuCarveOut, 'igpuCarveOut', true)];
  const { total, free } = facts.memory;
  const what = `${name} has ${gib(built)} of memory, ${gib(carveOut)} of it for the GPU`;
  const saw = `Linux has ${gib(total)}, ${gib(free)} of it free`;
  if (total > built || total < visible(built - LARGEST_CARVE_OUT))
    return [bad(what, saw, `this is another host, or a module is missing: correct hosts.${name}.address or memory`)];
  const seen = facts.carveOut ?? (total < visible(built - carveOut) ? built - total / (1 - 1 / 64) : carveOut);
  if (seen > carveOut)
    return [
      bad(
        what,
        `${saw}; the BIOS takes about ${gib(seen)} for the GPU`,
        `set the UMA frame buffer to ${gib(carveOut)} in the BIOS, or hosts.${name}.igpuCarveOut to what it is`,
      ),
    ];
  if (total > built - carveOut)
    return [
      warning(what, saw, `the carve-out is smaller than hosts.${name}.igpuCarveOut says: write down what the BIOS has`),
    ];
  return [good(what, saw), ...cache(name, facts, bytes(host.reserve))];
}

/** ZFS takes memory for its cache on top of what Proxmox needs (6 GiB). */
function cache(name: string, { storages, arcMaximum }: HostFacts, reserve: number): Finding[] {
  if (!storages.some(({ type }) => type === 'zfspool')) return [];
  const what = `${name} has room for the cache of ZFS`;
  const fix = `set zfs_arc_max in /etc/modprobe.d/zfs.conf, and hosts.${name}.reserve to at least that and 6 GiB`;
  if (!arcMaximum) return [warning(what, 'zfs_arc_max is not set', fix)];
  return [
    arcMaximum + 6 * GIB > reserve
      ? warning(what, `zfs_arc_max is ${gib(arcMaximum)}, the reserve ${gib(reserve)}`, fix)
      : good(what, gib(arcMaximum)),
  ];
}

/** The name of a host is for people; one that shares no word with what the host calls itself is another host. */
function model({ homelab, name, facts }: Subject): Finding[] {
  const wanted = proxmoxSettings(homelab, name).model;
  const what = `${name} is a ${wanted}`;
  if (facts.model === '') return [];
  const words = (text: string): readonly string[] => text.toLowerCase().match(/[a-z0-9]{2,}/g) ?? [];
  const own = words(facts.model);
  if (words(wanted).some((word) => own.includes(word))) return [good(what, facts.model)];
  return [
    bad(
      what,
      `it calls itself ${facts.model}`,
      `correct hosts.${name}.address; if it is the right one, write model: '${facts.model}'`,
    ),
  ];
}

function guestMemory({ homelab, name, facts }: Subject): Finding[] {
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
  if (needed <= bytes(host.memory)) return [good(what, saw)];
  return [
    bad(
      what,
      saw,
      others.length > 0 ? 'stop what is not ours, or give machines less memory' : 'give machines less memory',
    ),
  ];
}

function loader({ homelab, name, facts: { boot } }: Subject): Finding[] {
  const { gpu, npu } = passedThrough(homelab, name);
  const what = `${name} boots by a loader that is known`;
  if (boot.loaders.length > 0) return [good(what, boot.loaders.join(' and '))];
  if (!gpu && !npu) return [];
  return [
    bad(
      what,
      'neither GRUB nor systemd-boot by proxmox-boot-tool',
      'proxmox-boot-tool status; kernel options cannot be set',
    ),
  ];
}

function network({ homelab, name, facts: { network } }: Subject): Finding[] {
  const { bridge } = proxmoxSettings(homelab, name);
  const what = `${name} has the bridge ${bridge}`;
  const found: Finding[] = [];
  if (!network.bridges.includes(bridge))
    found.push(
      bad(
        what,
        `its bridges: ${network.bridges.join(', ') || 'none'}`,
        `make it in Proxmox (Network), or correct hosts.${name}.bridge`,
      ),
    );
  else if (!network.cards.some(({ master }) => master !== undefined))
    found.push(warning(what, 'no network card is part of any', `add the card to ${bridge} in Proxmox (Network)`));
  else
    found.push(
      good(
        what,
        network.cards
          .filter(({ master }) => master)
          .map(({ name, master }) => `${name} in ${master}`)
          .join(', '),
      ),
    );
  const pins = pinState(network);
  const stays = `names of network cards of ${name} stay`;
  const saw = network.cards
    .map(({ name, mac, pinned }) => `${name} ${mac} ${pinned ? `pinned as ${pinned}` : 'not pinned'}`)
    .join(', ');
  if (pins.state === 'unsafe')
    found.push(bad(stays, pins.why, 'make both say the same before its next boot, or nobody reaches it'));
  else if (pins.state === 'open' || pins.state === 'half')
    found.push(warning(stays, saw, 'npm run bootstrap -- apply host'));
  else found.push(good(stays, saw));
  return found;
}

function kernel({ name, facts }: Subject): Finding[] {
  const what = `${name} waits for no reboot`;
  const strange = unexpectedReboot(facts);
  const { running, pinned } = facts.kernel;
  return [
    strange
      ? warning(what, strange, `reboot ${name}`)
      : good(what, `kernel ${running}${pinned === running ? ', pinned' : ''}`),
  ];
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

function undo({ name, facts: { boot, bootId } }: Subject): Finding[] {
  const what = `the last boot of ${name} with changes is confirmed`;
  if (boot.undone)
    return [
      bad(
        what,
        `it was undone at ${boot.undone}, because nobody confirmed it in time`,
        `find out why (journalctl -b -1 on ${name}), then rm /var/lib/collab-homelab/undone there, and apply host again`,
      ),
    ];
  if (boot.armed && boot.armed !== bootId)
    return [
      warning(what, `not yet; it is undone ${UNDO_MINUTES} minutes after it`, 'npm run bootstrap -- apply host, now'),
    ];
  return [];
}
