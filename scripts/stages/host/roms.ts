import * as fs from 'node:fs';
import { join } from 'node:path';
import { proxmox, type Context } from '../../clients/context';
import { ROOT } from '../../engine/root';
import { Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Step } from '../../engine/step';
import { AUDIO_ROM, VBIOS, VBIOS_FOLDER } from '../../../machines/host';
import type { Judged, MakeStep } from './boot';
import { handedOver } from './devices';
import { proxmoxSettings } from '../../../inventory';

/** The ROMs that homelab.ts gives the functions of the GPU. */
export function roms(context: Context, name: string, judged: Judged, step: MakeStep): Step[] {
  const { rom = true, audioRom } = proxmoxSettings(context.homelab, name).gpuPassthrough ?? {};
  return [
    ...(rom ? [vbios(context, name, judged, step)] : []),
    ...(audioRom === undefined ? [] : [ofSound(context, name, audioRom, judged, step)]),
  ];
}

/** Before amdgpu goes: the firmware that the machine's driver needs, since its own BIOS has none. */
function vbios(context: Context, name: string, judged: Judged, step: MakeStep): Step {
  const place = proxmox(context, name);
  const path = `${VBIOS_FOLDER}/${VBIOS}`;
  const args = async (what: string) => {
    const { gpu } = handedOver(context.homelab, name, await judged());
    return [what, gpu!.vendor, gpu!.device, path];
  };
  return step(
    `the firmware of the GPU of ${name} is there for its machine`,
    async () => {
      const { stdout } = await context.commands.readScript(place, 'proxmox/vbios.sh', await args('digest'));
      const [, table, file] = /^(none|[0-9a-f]{64}) (none|[0-9a-f]{64})\s*$/.exec(stdout) ?? [];
      if (table === undefined)
        throw new Blocked(
          `vbios.sh on ${name} must print two digests, and printed ${JSON.stringify(stdout.slice(0, 120))}`,
        );
      if (table === 'none')
        throw new Blocked(
          `the BIOS of ${name} must hand over the GPU's firmware (ACPI table VFCT), and does not; switch CSM off and boot by UEFI, with the integrated graphics as primary display`,
        );
      if (table === file) return undefined;
      return {
        lines: [
          `${file === 'none' ? 'write' : 'replace'} ${path} from the ACPI table VFCT (sha256 ${table.slice(0, 12)})`,
        ],
      };
    },
    async () => void (await context.commands.changeScript(place, 'proxmox/vbios.sh', await args('write'))),
  );
}

/** A file of the owner's, since no table of the BIOS holds it. */
function ofSound(context: Context, name: string, file: string, judged: Judged, step: MakeStep): Step {
  const place = proxmox(context, name);
  const path = `${VBIOS_FOLDER}/${AUDIO_ROM}`;
  const copy = () => remoteFile(context.commands, place, { path, content: romFile(name, file) });
  return step(
    `the ROM for the sound of the GPU of ${name} is there for its machine`,
    async () => {
      await judged();
      // It need not be kept here once the host has it.
      if (!fs.existsSync(join(ROOT, file))) {
        const { code } = await context.commands.read(place, ['test', '-s', path], { accepts: [0, 1] });
        if (code === 0) return undefined;
      }
      return copy().plan();
    },
    (change, progress) => copy().apply!(change, progress),
  );
}

/** @throws Stop when it is not there, or no option ROM of PCI: QEMU would start with it, and the GPU would not */
function romFile(name: string, file: string): Buffer {
  const place = `hosts.${name}.gpuPassthrough.audioRom`;
  const path = join(ROOT, file);
  if (!fs.existsSync(path))
    throw new Blocked(
      `${place} must name a file of this folder, and ${file} is not there; put it there (docs/bootstrap.md, section 11), or leave audioRom out`,
    );
  const content = fs.readFileSync(path);
  if (content.length > 512 && content.readUInt16LE(0) === 0xaa55) return content;
  throw new Blocked(
    `${place} must name an option ROM, which begins with 55 AA, and ${file} begins with ${content.subarray(0, 2).toString('hex') || 'nothing'}; an .efi file becomes one by EfiRom (docs/bootstrap.md, section 11)`,
  );
}
