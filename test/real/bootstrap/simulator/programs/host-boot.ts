import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { rebootHost } from '../life';
import type { Simulation } from '../simulation';
import { hardware, nameCards } from './host-devices';
import type { Boot } from '.';
import { Failure, program, Unexpected } from './program';

/** How the Proxmox host boots: GRUB on its own, or systemd-boot where etc/kernel/proxmox-boot-uuids says so. */

const KERNEL = '6.17.2-1-pve';
const ROOT_OPTIONS = 'root=/dev/mapper/pve-root ro';
const WANTS = 'etc/systemd/system/timers.target.wants';

/** What the boot partitions hold: it changes only when somebody makes it anew. */
interface Booted {
  /** Options of the kernel, by loader. */
  grub: string;
  systemdBoot: string;
  /** The files of /etc/modprobe.d as they are in the initramfs. */
  modprobe: string;
}

export const hostBoot = [
  program(['proxmox'], ['update-grub'], ({ simulation, state, call }) => {
    if (call.argv.length > 0) throw new Unexpected('it takes nothing');
    booted(state.extra).grub = grubOptions(simulation);
    simulation.writeFile('host', 'boot/grub/grub.cfg', `linux /boot/vmlinuz-${KERNEL} ${booted(state.extra).grub}\n`);
    return 'Generating grub configuration file ...\ndone\n';
  }),
  program(['proxmox'], ['update-initramfs'], ({ simulation, state, call }) => {
    if (call.argv.join(' ') !== '-u -k all') throw new Unexpected('only -u -k all is known');
    booted(state.extra).modprobe = modprobe(simulation);
    return `update-initramfs: Generating /boot/initrd.img-${KERNEL}\n`;
  }),
  program(['proxmox'], ['proxmox-boot-tool'], ({ simulation, state, call }) => {
    const [command, ...rest] = call.argv;
    const keeps = text(simulation, 'etc/kernel/proxmox-boot-uuids').trim() !== '';
    if (command === 'kernel') return pin(simulation, rest);
    if (command !== 'status' && command !== 'refresh') throw new Unexpected('no such subcommand');
    if (!keeps) throw new Failure('E: /etc/kernel/proxmox-boot-uuids does not exist.', 2);
    if (command === 'status')
      return `System currently booted with uefi\nAAAA-BBBB is configured with: uefi (versions: ${KERNEL})\n`;
    booted(state.extra).systemdBoot = text(simulation, 'etc/kernel/cmdline').trim();
    return `Copying and configuring kernels on /dev/disk/by-uuid/AAAA-BBBB\n`;
  }),
  program(['proxmox'], ['systemctl'], ({ simulation, call }) => {
    const [command, ...units] = call.argv.filter((word) => !['--now', '--no-block', '--quiet', '-q'].includes(word));
    const unit = units[0] ?? '';
    const wanted = join(simulation.files('host'), WANTS, unit);
    const known = fs.existsSync(join(simulation.files('host'), 'etc/systemd/system', unit));
    switch (command) {
      case 'daemon-reload':
        return;
      case 'reboot':
        setTimeout(() => rebootHost(simulation), 20);
        return;
      case 'is-system-running':
        return 'running\n';
      case 'enable':
        if (!known) throw new Failure(`Failed to enable unit: Unit ${unit} does not exist`);
        simulation.writeFile('host', `${WANTS}/${unit}`, '');
        return;
      case 'disable':
        if (!known) throw new Failure(`Failed to disable unit: Unit ${unit} does not exist`);
        fs.rmSync(wanted, { force: true });
        return;
      case 'is-enabled':
        if (!known) throw new Failure('not-found', 4);
        return { stdout: fs.existsSync(wanted) ? 'enabled\n' : 'disabled\n', code: fs.existsSync(wanted) ? 0 : 1 };
    }
    throw new Unexpected(`systemctl ${command} on a Proxmox host`);
  }),
];

export const bootOfHost: Boot = {
  kinds: ['proxmox'],
  run(simulation) {
    const { state } = simulation;
    if (state.host.boots === 1) return installed(simulation);
    nameCards(simulation);
    fs.rmSync(join(simulation.files('host'), NEXT_PIN), { force: true });
    const { grub, systemdBoot, modprobe } = booted(state.extra);
    const byTool = text(simulation, 'etc/kernel/proxmox-boot-uuids').trim() !== '';
    simulation.writeFile('host', 'proc/cmdline', `BOOT_IMAGE=/boot/vmlinuz-${KERNEL} ${byTool ? systemdBoot : grub}\n`);
    const ids = (/^options vfio-pci .*\bids=(\S+)/m.exec(modprobe)?.[1] ?? '').split(',');
    const loads = /^vfio_pci$/m.test(all(simulation, 'etc/modules-load.d'));
    const kept = new Set([...modprobe.matchAll(/^blacklist (\S+)$/gm)].map(([, module]) => module));
    for (const device of state.host.pci) {
      const driver = hardware(state).drivers[device.slot];
      delete device.driver;
      if (loads && ids.includes(device.id)) device.driver = 'vfio-pci';
      else if (driver && !kept.has(driver)) device.driver = driver;
    }
  },
};

/** The end of the time that a boot with changes has. @returns once the program has ended, if there was one to run */
export function undoTimerEnds(simulation: Simulation): Promise<void> {
  if (!fs.existsSync(join(simulation.files('host'), WANTS, 'collab-homelab-undo.timer'))) return Promise.resolve();
  const child = simulation.spawn('host', 'root', ['bash', '/usr/local/sbin/collab-homelab-undo']);
  child.stdin.end();
  child.stdout.resume();
  child.stderr.resume();
  return new Promise((done) => child.once('close', () => done()));
}

/** As the installer of Proxmox leaves a host. */
function installed(simulation: Simulation): void {
  const files: Readonly<Record<string, string>> = {
    [`boot/vmlinuz-${KERNEL}`]: '',
    'etc/default/grub': 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n',
    'etc/network/interfaces':
      'auto lo\niface lo inet loopback\n\niface enp1s0 inet manual\n\niface enp2s0 inet manual\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.10/24\n\tgateway 192.168.1.1\n\tbridge-ports enp1s0\n\tbridge-stp off\n\tbridge-fd 0\n',
    'sys/class/dmi/id/sys_vendor': 'GMKtec\n',
    'sys/class/dmi/id/product_name': 'NucBox K8 Plus\n',
    'sys/class/drm/card0/device/mem_info_vram_total': `${2 * 2 ** 30}\n`,
  };
  for (const [path, content] of Object.entries(files)) simulation.writeFile('host', path, content);
  const table = join(simulation.files('host'), 'sys/firmware/acpi/tables/VFCT');
  fs.mkdirSync(join(table, '..'), { recursive: true });
  fs.writeFileSync(table, firmwareTable(simulation));
  hardware(simulation.state);
  const from = booted(simulation.state.extra);
  from.grub = grubOptions(simulation);
  from.systemdBoot = text(simulation, 'etc/kernel/cmdline').trim();
}

/** One image, of the first graphics. */
function firmwareTable({ state }: Simulation): Buffer {
  const [vendor, device] = state.host.pci
    .find((each) => each.class === '0300')!
    .id.split(':')
    .map((id) => parseInt(id, 16));
  const image = Buffer.concat([Buffer.from([0x55, 0xaa]), Buffer.alloc(1024, 'firmware')]);
  const head = Buffer.alloc(76 + 28);
  head.write('VFCT');
  head.writeUInt32LE(76, 52);
  head.writeUInt16LE(vendor!, 76 + 12);
  head.writeUInt16LE(device!, 76 + 14);
  head.writeUInt32LE(image.length, 76 + 24);
  return Buffer.concat([head, image]);
}

function booted(extra: Record<string, any>): Booted {
  return (extra.booted ??= { grub: '', systemdBoot: '', modprobe: '' } satisfies Booted);
}

/** As grub-mkconfig reads its settings: with a shell. */
function grubOptions(simulation: Simulation): string {
  const script =
    'cd "$1"; . ./grub; for file in grub.d/*.cfg; do [ ! -e "$file" ] || . "./$file"; done; printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"';
  const { stdout } = spawnSync('sh', ['-c', script, 'sh', join(simulation.files('host'), 'etc/default')], {
    encoding: 'utf8',
  });
  return `${ROOT_OPTIONS} ${stdout}`;
}

function modprobe(simulation: Simulation): string {
  return all(simulation, 'etc/modprobe.d');
}

function all(simulation: Simulation, folder: string): string {
  const path = join(simulation.files('host'), folder);
  if (!fs.existsSync(path)) return '';
  return fs
    .readdirSync(path)
    .filter((file) => file.endsWith('.conf'))
    .map((file) => fs.readFileSync(join(path, file), 'utf8'))
    .join('\n');
}

/** The kernel of the next boot alone. */
const NEXT_PIN = 'etc/kernel/next-boot-pin';
const PIN = 'etc/kernel/proxmox-boot-pin';

function pin(simulation: Simulation, argv: readonly string[]): string {
  const [command, version] = argv.filter((word) => word !== '--next-boot');
  if (command === 'list') {
    const [pinned, next] = [PIN, NEXT_PIN].map((each) => text(simulation, each).trim());
    return `Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n${KERNEL}\n${pinned ? `\nPinned kernel:\n${pinned}\n` : ''}${next ? `\nKernel pinned on next-boot:\n${next}\n` : ''}`;
  }
  const file = argv.includes('--next-boot') ? NEXT_PIN : PIN;
  if (command === 'pin') {
    if (version === undefined || !fs.existsSync(join(simulation.files('host'), `boot/vmlinuz-${version}`)))
      throw new Failure(`E: no kernel image found in /boot for ${version}`, 1);
    simulation.writeFile('host', file, `${version}\n`);
    return `Set kernel '${version}' in ${file}.\n`;
  }
  if (command !== 'unpin') throw new Unexpected(`proxmox-boot-tool kernel ${command}`);
  for (const each of new Set([NEXT_PIN, file])) fs.rmSync(join(simulation.files('host'), each), { force: true });
  return `Removed ${file}.\n`;
}

function text(simulation: Simulation, path: string): string {
  const file = join(simulation.files('host'), path);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}
