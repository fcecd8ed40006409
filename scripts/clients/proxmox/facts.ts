import { basename } from 'node:path';
import type { Commands, Target } from '../../engine/commands';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import { HOST_FILES, UNDO_FILES } from '../../../machines/host';
import { parseStorages, parseThinPools, parseVolumes, type StorageSpace } from './storage';

/** The state of a Proxmox host: read by scripts/remote/proxmox/host-facts.sh, parsed here. */
export interface HostFacts extends StorageSpace {
  readonly version: { readonly major: number; readonly minor: number; readonly text: string };
  readonly kernel: {
    readonly running: string;
    readonly installed: readonly string[];
    /** For the next boot alone, or for all. */
    readonly pinned?: string;
  };
  /** Options with which the kernel runs. */
  readonly options: readonly string[];
  /** New with each boot. */
  readonly bootId: string;
  /** In bytes: what Linux has, and what of it is free. */
  readonly memory: { readonly total: number; readonly free: number };
  /** Vendor and product name in the BIOS; empty if the maker left them out. */
  readonly model: string;
  readonly cpu: string;
  /** Bytes that the BIOS reserved for the GPU. Known only while amdgpu runs on the host. */
  readonly carveOut?: number;
  /** Bytes that ZFS may take for its cache; 0 is its own default. */
  readonly arcMaximum?: number;
  readonly pci: readonly PciFunction[];
  /** Whether the running kernel has vfio-pci. */
  readonly vfio: boolean;
  readonly network: Network;
  /** Virtual machines and containers, also those that are not ours. */
  readonly guests: readonly Guest[];
  /** Digest by path, of those files of ours that are there. */
  readonly digests: Readonly<Record<string, string>>;
  readonly boot: BootFacts;
}

/** One function of a PCI device. */
export interface PciFunction {
  /** As 0000:c5:00.0. */
  readonly slot: string;
  /** Four hexadecimal digits each. */
  readonly kind: string;
  readonly vendor: string;
  readonly device: string;
  readonly name: string;
  /** The driver that holds it now. */
  readonly driver?: string;
  /** Drivers that support it. */
  readonly modules: readonly string[];
  /** None: the IOMMU is off. */
  readonly group?: number;
}

export interface Network {
  readonly cards: readonly Card[];
  readonly bridges: readonly string[];
  /** Names in /etc/network/interfaces. */
  readonly names: ReadonlySet<string>;
  /** The same for the next boot. */
  readonly namesNext: ReadonlySet<string>;
  /** Names in files of interfaces.d, which Proxmox' tool leaves alone. */
  readonly namesElsewhere: ReadonlySet<string>;
  /** .link files that match a card and give it no name, or match by something else than an address. */
  readonly unclear: readonly string[];
  /** Whether the next boot takes another /etc/network/interfaces. */
  readonly staged: boolean;
  /** Whether Proxmox' tool that names network cards is installed. */
  readonly tool: boolean;
  /** Whether we started that tool and it did not finish. */
  readonly halfPinned: boolean;
}

/** A network card of metal with a cable. */
export interface Card {
  readonly name: string;
  readonly mac: string;
  /** The bridge or bond that it is part of. */
  readonly master?: string;
  /** The name that a .link file gives it from the next boot on. */
  readonly pinned?: string;
  /** Path of that file. */
  readonly pinnedBy?: string;
}

export interface Guest {
  readonly vmid: number;
  readonly name: string;
  readonly running: boolean;
  /** In bytes. */
  readonly memory: number;
}

/** Boot loader, kernel options, and pending changes of the boot. */
export interface BootFacts {
  readonly loaders: readonly ('grub' | 'systemd-boot')[];
  /** /etc/kernel/cmdline. */
  readonly kernelOptions: string;
  /** Digest of the sources of the boot files, and the boot in which they were made. */
  readonly made?: { readonly of: string; readonly boot: string };
  /** The boot in which the undo unit was armed. */
  readonly armed?: string;
  readonly undoTimer: boolean;
  /** When a boot was undone, because nobody confirmed it. */
  readonly undone?: string;
  readonly rebootRequired: boolean;
}

/** Digests of these are read; *.link files are seen by what they say. */
export const WATCHED = [...Object.values(HOST_FILES), ...Object.values(UNDO_FILES)];

export async function readFacts(commands: Commands, target: Target, storage: string): Promise<HostFacts> {
  const args = [storage, ...WATCHED];
  const options = { seconds: 120, recent: true };
  const { stdout } = await commands.readScript(target, 'proxmox/host-facts.sh', args, options);
  return parseFacts(stdout, target.name);
}

/** @throws Blocked for an answer in an unknown form, so that no step decides on it */
export function parseFacts(text: string, host: string): HostFacts {
  const said = json(text, `host-facts.sh on ${host}`) as Record<string, string>;
  const of = (name: string): string => {
    const value = said[name];
    if (typeof value !== 'string') throw nonsense(host, name, value);
    return value;
  };
  /** The part of an answer that is wanted. */
  const part = (name: string, form: RegExp): RegExpExecArray => {
    const found = form.exec(of(name).trim());
    if (found === null) throw nonsense(host, name, said[name]);
    return found;
  };
  if (of('pveversion') === '')
    throw new Blocked(
      `${host} must be a Proxmox host, and pveversion is not there; correct hosts.${host}.address, or install Proxmox VE on it`,
    );
  const [, version, major, minor, running] = part(
    'pveversion',
    /^(pve-manager\/(\d+)\.(\d+)[\w.~-]*)\S* \(running kernel: (\S+)\)$/,
  );
  const status = json(of('status'), `pvesh on ${host}, asked for its status,`);
  const bytesOf = (field: string): number => {
    const value = status?.memory?.[field];
    if (typeof value !== 'number' || value < 0) throw nonsense(host, 'memory', of('status'));
    return value;
  };
  const pinned = of('pinnedKernel').trim();
  return {
    version: { major: Number(major), minor: Number(minor), text: version! },
    kernel: {
      running: running!,
      installed: [...of('kernels').matchAll(/^vmlinuz-(\S+)$/gm)].map(([, name]) => name!),
      ...(pinned !== '' && { pinned }),
    },
    options: words(of('cmdline')),
    bootId: part('bootId', /^[0-9a-f-]{36}$/)[0],
    memory: { total: bytesOf('total'), free: bytesOf('free') },
    model: model(of('model')),
    cpu: String(status?.cpuinfo?.model ?? ''),
    ...optionalNumber('carveOut', of('carveOut')),
    ...optionalNumber('arcMaximum', of('arcMaximum')),
    pci: pci(part('pci', /^Slot:[^]*$/)[0]),
    vfio: of('vfio').trim() !== '',
    network: network(said, list(of('links'), 'links', host)),
    storages: parseStorages(list(of('storages'), 'storages', host), list(of('storageConfig'), 'storageConfig', host)),
    // Empty: there is no such storage.
    volumes: of('volumes').trim() === '' ? [] : parseVolumes(of('volumes'), `pvesm list on ${host}`),
    pools: parseThinPools(of('pools'), `lvs on ${host}`),
    guests: list(of('guests'), 'guests', host)
      .filter(({ vmid, node }) => Number.isInteger(vmid) && node === of('node'))
      .map((guest) => ({
        vmid: guest.vmid,
        name: String(guest.name ?? guest.vmid),
        running: guest.status === 'running',
        memory: Number(guest.maxmem ?? 0),
      })),
    digests: Object.fromEntries(
      [...of('digests').matchAll(/^([0-9a-f]{64}) {2}(.+)$/gm)].map(([, digest, path]) => [path!, digest!]),
    ),
    boot: bootFacts(of),
  };
}

function nonsense(host: string, what: string, got: unknown): Blocked {
  return new Blocked(
    `${host} must report its ${what} in a known form, but it printed ${JSON.stringify(String(got ?? '').slice(0, 120))}. Run it again, and report it if it stays`,
  );
}

function list(text: string, what: string, host: string): any[] {
  const value = json(text, `${host}, asked for its ${what},`);
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'object' || each === null))
    throw nonsense(host, what, text);
  return value;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function optionalNumber(name: string, text: string): Record<string, number> {
  const numbers = words(text).map(Number);
  return numbers.length > 0 && numbers.every(Number.isFinite) ? { [name]: Math.max(...numbers) } : {};
}

/** Makers leave these in place of a name. */
const PLACEHOLDER =
  /^(default string|to be filled.*|system (manufacturer|product name)|not (applicable|specified)|o\.e\.m\.|unknown)$/i;

function model(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !PLACEHOLDER.test(line))
    .join(' ');
}

/** Records of `lspci -Dvmmnnk`: fields by line, an empty line between functions. */
function pci(text: string): PciFunction[] {
  return text.split(/\n\s*\n/).flatMap((record) => {
    const fields = new Map<string, string[]>();
    for (const [, key, value] of record.matchAll(/^(\w+):[ \t]*(.*)$/gm))
      fields.set(key!, [...(fields.get(key!) ?? []), value!.trim()]);
    const first = (key: string) => fields.get(key)?.[0];
    const id = (key: string) => /\[([0-9a-f]{4})\]$/.exec(first(key) ?? '')?.[1];
    const [slot, kind, vendor, device] = [first('Slot'), id('Class'), id('Vendor'), id('Device')];
    if (!slot || !kind || !vendor || !device) return [];
    const driver = first('Driver');
    const group = first('IOMMUGroup');
    const name = ['Vendor', 'Device'].map((key) => first(key)!.replace(/ \[[0-9a-f]{4}\]$/, '')).join(' ');
    const more = { ...(driver && { driver }), ...(group && /^\d+$/.test(group) && { group: Number(group) }) };
    return [{ slot, kind, vendor, device, name, modules: fields.get('Module') ?? [], ...more }];
  });
}

function network(said: Record<string, string>, links: any[]): Network {
  const files = linkFiles(said.linkFiles ?? '');
  const names = (text = '') => new Set(words(text.replace(/^\s*#.*$/gm, '')));
  const { interfaces, interfacesNew } = said;
  // The rule of Proxmox' tool for physical cards: Ethernet without a link kind. Ignores wireless cards.
  const cards = links
    .filter((link) => link.link_type === 'ether' && !link.linkinfo?.info_kind && !/^(wl|ww)/.test(link.ifname))
    .map((link) => {
      const { perm_hwaddr: own = link.permaddr ?? link.address } = link.linkinfo?.info_slave_data ?? {};
      const mac = String(own ?? '').toLowerCase();
      const file = files.find(({ macs }) => macs.includes(hex(mac)));
      return {
        name: String(link.ifname),
        mac,
        ...(link.master && { master: String(link.master) }),
        ...(file?.name && { pinned: file.name, pinnedBy: file.path }),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    cards,
    bridges: links.filter((link) => link.linkinfo?.info_kind === 'bridge').map((link) => String(link.ifname)),
    names: names(interfaces),
    namesNext: names(interfacesNew?.trim() ? interfacesNew : interfaces),
    namesElsewhere: names(said.interfacesMore),
    unclear: files
      .filter(
        ({ macs, name }) =>
          macs.length === 0 || (name === undefined && cards.some(({ mac }) => macs.includes(hex(mac)))),
      )
      .map(({ path }) => path),
    staged: Boolean(interfacesNew?.trim()) && interfacesNew!.trim() !== interfaces?.trim(),
    tool: Boolean(said.pinningTool?.trim()),
    halfPinned: Boolean(said.pinning?.trim()),
  };
}

interface LinkFile {
  readonly path: string;
  readonly name?: string;
  /** As `hex` writes them. */
  readonly macs: readonly string[];
}

/** systemd's .link files in its order: by file name, whatever the folder. One that is empty takes that of its name away. */
function linkFiles(text: string): LinkFile[] {
  const files = new Map<string, LinkFile | undefined>();
  // The folder that is printed first counts.
  const [, ...parts] = text.split(/^## (\/.*\.link)$/m);
  for (let index = 0; index < parts.length; index += 2) {
    const [path, content] = [parts[index]!, parts[index + 1]!];
    if (files.has(basename(path))) continue;
    const name = /^[ \t]*Name[ \t]*=[ \t]*(\S+)[ \t]*$/m.exec(content)?.[1];
    const macs = [...content.matchAll(/^[ \t]*(?:Permanent)?MACAddress[ \t]*=(.*)$/gm)].flatMap(([, some]) =>
      words(some!),
    );
    const file = { path, macs: macs.map(hex), ...(name && { name }) };
    files.set(basename(path), content.trim() === '' ? undefined : file);
  }
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, file]) => (file === undefined ? [] : [file]));
}

/** A MAC address may be written with colons, hyphens or dots. */
function hex(mac: string): string {
  return mac.toLowerCase().replace(/[^0-9a-f]/g, '');
}

function bootFacts(of: (name: string) => string): BootFacts {
  // A boot partition that proxmox-boot-tool keeps says which loader is on it; without one it is GRUB on its own.
  const tool = of('bootTool');
  const systemdBoot = /is configured with:.*\buefi\b/.test(tool);
  const grub = of('grub').trim() !== '' && of('updateGrub').trim() !== '';
  const isGrub = tool.trim() === '' ? grub : grub && /is configured with:.*\bgrub\b/.test(tool);
  const [made, boot] = words(of('booted'));
  const [armed, undone] = [of('armed').trim(), of('undone').trim()];
  return {
    loaders: [...(isGrub ? (['grub'] as const) : []), ...(systemdBoot ? (['systemd-boot'] as const) : [])],
    kernelOptions: of('kernelOptions').trim(),
    ...(made && boot && { made: { of: made, boot } }),
    ...(armed !== '' && { armed }),
    undoTimer: of('undoTimer').trim() === 'enabled',
    ...(undone !== '' && { undone }),
    rebootRequired: of('rebootRequired').trim() !== '',
  };
}
