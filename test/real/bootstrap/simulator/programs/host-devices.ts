import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Simulation } from '../simulation';
import type { PciDevice, State } from '../state';
import { Failure, program, Unexpected } from './program';

/** What the Proxmox host is made of, and what a test may change of it: `state.extra.hardware`. */
export interface Hardware {
  /** What the BIOS and the kernel have: IOMMU, VFIO. */
  iommu: boolean;
  vfio: boolean;
  /** IOMMU group by slot, where it is not one of its own. */
  groups: Record<string, number>;
  /** Driver by slot that would hold the function if nothing kept it. */
  drivers: Record<string, string | undefined>;
  /** `natural` is the name that a card has where no file gives it another. */
  cards: { name: string; natural: string; mac: string; master?: string }[];
}

export function hardware(state: State): Hardware {
  return (state.extra.hardware ??= {
    iommu: true,
    vfio: true,
    groups: {},
    drivers: Object.fromEntries(state.host.pci.map(({ slot, driver }) => [slot, driver])),
    cards: [
      { name: 'enp1s0', natural: 'enp1s0', mac: '84:47:09:00:00:01', master: 'vmbr0' },
      { name: 'enp2s0', natural: 'enp2s0', mac: '84:47:09:00:00:02' },
    ],
  } satisfies Hardware);
}

const CLASSES: Readonly<Record<string, string>> = {
  '0200': 'Ethernet controller',
  '0300': 'VGA compatible controller',
  '0403': 'Audio device',
  '1080': 'Encryption controller',
  '1180': 'Signal processing controller',
};

const LINKS = ['etc/systemd/network', 'usr/local/lib/systemd/network'];
const PINS = 'usr/local/lib/systemd/network';
/** The files that Proxmox' tool knows. */
const OF_TOOL = /^50-(?:pmx|pve)-.+\.link$/;

export const hostDevices = [
  program(['proxmox'], ['lspci'], ({ state, call }) => {
    if (call.argv.join(' ') !== '-Dvmmnnk') throw new Unexpected('only -Dvmmnnk is known');
    return state.host.pci.map((device, index) => record(state, device, index)).join('\n');
  }),
  program(['proxmox'], ['modinfo'], ({ state, call }) => {
    if (call.argv.join(' ') !== '-F filename vfio_pci') throw new Unexpected('only the file of vfio_pci is known');
    if (!hardware(state).vfio) throw new Failure('modinfo: ERROR: Module vfio_pci not found.');
    return '/lib/modules/6.17.2-1-pve/kernel/drivers/vfio/pci/vfio-pci.ko\n';
  }),
  program(['proxmox'], ['ip'], ({ state, call }) => {
    if (call.argv.join(' ') !== '-details -json link show')
      throw new Unexpected('only -details -json link show is known');
    const links = [
      { ifindex: 1, ifname: 'lo', link_type: 'loopback', address: '00:00:00:00:00:00' },
      ...hardware(state).cards.map(({ name, mac, master }, index) => ({
        ifindex: index + 2,
        ifname: name,
        ...(master && { master }),
        link_type: 'ether',
        address: mac,
        ...(master && { linkinfo: { info_slave_kind: 'bridge' } }),
      })),
      {
        ifindex: 9,
        ifname: 'vmbr0',
        link_type: 'ether',
        address: '84:47:09:00:00:01',
        linkinfo: { info_kind: 'bridge' },
      },
    ];
    return `${JSON.stringify(links)}\n`;
  }),
  // In the order of the real one: link files first, and /etc/network/interfaces.new last.
  program(['proxmox'], ['pve-network-interface-pinning'], ({ simulation, state, call }) => {
    if (call.argv.join(' ') !== 'generate') throw new Unexpected('only generate is known');
    const pins = pinned(simulation, [PINS], OF_TOOL);
    const open = hardware(state).cards.filter(({ mac }) => !pins.has(mac));
    if (open.length === 0) return 'Nothing to do, aborting.\n';
    let text = read(simulation, 'etc/network/interfaces.new') || read(simulation, 'etc/network/interfaces');
    let number = 0;
    for (const { name, mac } of open) {
      while ([...pins.values()].includes(`nic${number}`)) number++;
      pins.set(mac, `nic${number}`);
      simulation.writeFile(
        'host',
        `${PINS}/50-pve-nic${number}.link`,
        `[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=nic${number}\n`,
      );
      text = text.replace(new RegExp(`\\b${name}\\b`, 'g'), `nic${number}`);
    }
    simulation.writeFile('host', 'etc/network/interfaces.new', text);
    return 'Successfully updated Proxmox VE configuration files.\n';
  }),
];

/** What udev and the network's start do at a boot. */
export function nameCards(simulation: Simulation): void {
  const pins = pinned(simulation);
  for (const card of hardware(simulation.state).cards) card.name = pins.get(card.mac) ?? card.natural;
  const staged = join(simulation.files('host'), 'etc/network/interfaces.new');
  if (!fs.existsSync(staged)) return;
  simulation.writeFile('host', 'etc/network/interfaces', fs.readFileSync(staged, 'utf8'));
  fs.rmSync(staged);
}

/** Whether a bridge has its card, without which nobody reaches the host. */
export function isReachable(simulation: Simulation): boolean {
  const ports = /bridge-ports (\S+)/.exec(read(simulation, 'etc/network/interfaces'))?.[1];
  return hardware(simulation.state).cards.some(({ name }) => name === ports);
}

function record(state: State, { slot, class: kind, id, name, driver }: PciDevice, index: number): string {
  const { iommu, groups, drivers } = hardware(state);
  const [vendor, device] = id.split(':');
  const module = drivers[slot];
  return [
    `Slot:\t${slot}`,
    `Class:\t${CLASSES[kind] ?? 'Device'} [${kind}]`,
    `Vendor:\t${vendor === '1002' ? 'Advanced Micro Devices, Inc. [AMD/ATI]' : 'Vendor'} [${vendor}]`,
    `Device:\t${name} [${device}]`,
    ...(driver ? [`Driver:\t${driver}`] : []),
    ...(module ? [`Module:\t${module}`] : []),
    ...(iommu ? [`IOMMUGroup:\t${groups[slot] ?? index + 10}`] : []),
    '',
  ].join('\n');
}

/** Name by address: the first file in the order of names counts, whatever its folder. */
function pinned(simulation: Simulation, folders = LINKS, form = /\.link$/): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of folders.map((each) => join(simulation.files('host'), each)))
    for (const file of fs.existsSync(folder) ? fs.readdirSync(folder) : [])
      if (form.test(file) && !files.has(file)) files.set(file, fs.readFileSync(join(folder, file), 'utf8'));
  const pins = new Map<string, string>();
  for (const file of [...files.keys()].sort()) {
    const text = files.get(file)!;
    const [mac, name] = [/^MACAddress=(.+)$/m.exec(text)?.[1], /^Name=(.+)$/m.exec(text)?.[1]];
    if (mac && name && !pins.has(mac)) pins.set(mac, name);
  }
  return pins;
}

function read(simulation: Simulation, path: string): string {
  const file = join(simulation.files('host'), path);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}
