import * as fs from 'node:fs';
import { join } from 'node:path';
import { AUDIO_ROM, VBIOS, VBIOS_FOLDER } from '../../../machines/host';
import { remoteScript } from '../../engine/actions';
import { Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import { ROOT } from '../../engine/root';
import { step, type Step } from '../../engine/step';
import { handedOver } from './devices';
import { soundFacts, type Site } from './site';

/** The ROMs that homelab.ts gives the functions of the GPU. */
export function roms(site: Site): Step[] {
  const { rom = true, audioRom } = site.host.settings.gpuPassthrough ?? {};
  return [...(rom ? [vbios(site)] : []), ...(audioRom === undefined ? [] : [soundRom(site, audioRom)])];
}

/** Before amdgpu goes: the firmware that the machine's driver needs, since its own BIOS has none. */
function vbios(site: Site): Step {
  const { commands, name, target } = site.host;
  const script = 'proxmox/vbios.sh';
  const path = `${VBIOS_FOLDER}/${VBIOS}`;
  return step(`the firmware of the GPU of ${name} is there for its machine`, async () => {
    const { gpu } = handedOver(site.homelab, name, await soundFacts(site));
    const args = [gpu!.vendor, gpu!.device, path];
    const { stdout } = await commands.readScript(target, script, ['digest', ...args]);
    const [, table, file] = /^(none|[0-9a-f]{64}) (none|[0-9a-f]{64})\s*$/.exec(stdout) ?? [];
    if (table === undefined)
      throw new Blocked(
        `vbios.sh on ${name} must print two digests, but it printed ${JSON.stringify(stdout.slice(0, 120))}`,
      );
    if (table === 'none')
      throw new Blocked(
        `the BIOS of ${name} must hand over the GPU's firmware (ACPI table VFCT), but it does not. Switch CSM off and boot by UEFI, with the integrated graphics as primary display`,
      );
    if (table === file) return undefined;
    const verb = file === 'none' ? 'write' : 'replace';
    return {
      lines: [`${verb} ${path} from the ACPI table VFCT (sha256 ${table.slice(0, 12)})`],
      actions: [remoteScript(commands, target, script, ['write', ...args])],
    };
  });
}

/** A file of the owner's, since no table of the BIOS holds it. */
function soundRom(site: Site, file: string): Step {
  const { commands, name, target } = site.host;
  const path = `${VBIOS_FOLDER}/${AUDIO_ROM}`;
  return step(`the ROM for the sound of the GPU of ${name} is there for its machine`, async () => {
    await soundFacts(site);
    // It need not be kept here once the host has it.
    if (!fs.existsSync(join(ROOT, file))) {
      const { code } = await commands.read(target, ['test', '-s', path], { accepts: [0, 1] });
      if (code === 0) return undefined;
    }
    return remoteFile(commands, target, { path, content: romFile(name, file) }).plan();
  });
}

/** @throws Blocked when it is not there, or no option ROM of PCI: QEMU would start with it, and the GPU would not */
function romFile(name: string, file: string): Buffer {
  const place = `hosts.${name}.gpuPassthrough.audioRom`;
  const path = join(ROOT, file);
  if (!fs.existsSync(path))
    throw new Blocked(
      `${place} must name a file of this folder, but ${file} is not there. Put it there (docs/bootstrap.md, section 11), or leave audioRom out`,
    );
  const content = fs.readFileSync(path);
  if (content.length > 512 && content.readUInt16LE(0) === 0xaa55) return content;
  throw new Blocked(
    `${place} must name an option ROM, which begins with 55 AA, but ${file} begins with ${content.subarray(0, 2).toString('hex') || 'nothing'}. An .efi file becomes one by EfiRom (docs/bootstrap.md, section 11)`,
  );
}
