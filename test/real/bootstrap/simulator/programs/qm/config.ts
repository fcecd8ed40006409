import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { parseProperties } from '../../command-line';
import type { Simulation } from '../../simulation';
import type { Vm } from '../../state';

/** Keys of disks and CD-ROMs. */
export const DRIVE = /^(?:ide|scsi|virtio|sata|efidisk|tpmstate)\d+$/;

/** The lines of a configuration, in the order of Proxmox. */
export function text(config: Readonly<Record<string, string>>): string {
  return Object.keys(config)
    .sort()
    .map((key) => `${key}: ${key === 'description' ? encoded(config[key]!) : config[key]}\n`)
    .join('');
}

/** As Proxmox writes notes: control characters, what is not ASCII, the colon and the percent sign. */
function encoded(notes: string): string {
  return [...Buffer.from(notes)]
    .map((byte) =>
      byte < 0x20 || byte === 0x25 || byte === 0x3a || byte > 0x7e
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte),
    )
    .join('');
}

export function digestOf(vm: Vm): string {
  return createHash('sha1')
    .update(JSON.stringify([vm.config, vm.pending]))
    .digest('hex');
}

export function withPending({ config, pending }: Vm): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...config, ...pending }).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

export function fileOf(drive: string): string {
  return drive.split(',')[0]!.replace(/^file=/, '');
}

export function isCdrom(drive: string): boolean {
  return /,media=cdrom/.test(drive);
}

/** A drive as Proxmox prints it: the volume, then the rest by name. */
export function print({ file, ...rest }: Readonly<Record<string, string>>): string {
  return [
    file!,
    ...Object.keys(rest)
      .sort()
      .map((key) => `${key}=${rest[key]}`),
  ].join(',');
}

export function customSnippets(vm: Vm): string[] {
  return Object.values(parseProperties(withPending(vm).cicustom ?? '', ''));
}

/** The same as files, for those who read them there. */
export function writeConfigs(simulation: Simulation): void {
  const folder = `${simulation.files('host')}/etc/pve/qemu-server`;
  fs.mkdirSync(folder, { recursive: true });
  for (const file of fs.readdirSync(folder))
    if (!simulation.state.vms[file.replace('.conf', '')]) fs.rmSync(`${folder}/${file}`);
  for (const [vmid, { config, pending }] of Object.entries(simulation.state.vms)) {
    const lines = Object.entries(pending).map(([key, value]) =>
      value === null ? `delete: ${key}\n` : `${key}: ${value}\n`,
    );
    const { description, ...rest } = config;
    const notes = description === undefined ? '' : `#${encoded(description).replaceAll('%0A', '\n#')}\n`;
    const content = `${notes}${text(rest)}${lines.length > 0 ? `\n[PENDING]\n${lines.join('')}` : ''}`;
    const path = `${folder}/${vmid}.conf`;
    if (!fs.existsSync(path) || fs.readFileSync(path, 'utf8') !== content) fs.writeFileSync(path, content);
  }
}
