import { parseProperties } from '../../command-line';
import type { Vm } from '../../state';
import {
  allocate,
  formatSize,
  free,
  imagesStorage,
  importImage,
  parseSize,
  readImage,
  readVolumeFile,
  storageOf,
} from '../../storage';
import { Failure } from '../program';
import type { QmCall } from './call';
import { DRIVE, fileOf, isCdrom, print, withPending } from './config';

/** A disk that is to be made: STORAGE:GIBIBYTES. */
const NEW_DISK = /^(?:([^:\s]+):)?(\d+(?:\.\d+)?)$/;

/** The drive as it stands in the configuration, with what had to be made for it. */
export function drive(call: QmCall, vm: Vm, key: string, given: string): string {
  const properties = parseProperties(given, 'file');
  const { file = '', 'import-from': source } = properties;
  if (['none', 'cdrom'].includes(file)) return print(properties);
  const [, storage, gigabytes] = NEW_DISK.exec(file) ?? [];
  const named = /^(?:([^:]+):)?cloudinit$/.exec(file);
  if (source !== undefined && (gigabytes === undefined || Number(gigabytes) !== 0))
    throw new Failure(
      `400 Parameter verification failed.\n${key}: 'import-from' requires special syntax - use <storage ID>:0,import-from=<source>`,
      255,
    );
  if (named) {
    const other = Object.entries(withPending(vm)).find(([, value]) => /-cloudinit(,|$)/.test(value));
    if (other) throw new Failure(`${key} - cloud-init drive is already attached at '${other[0]}'`, 255);
    properties.file = allocate(call.state, named[1]!, call.vmid, 4 * 2 ** 20, `vm-${call.vmid}-cloudinit`);
    properties.media = 'cdrom';
  } else if (gigabytes !== undefined) {
    if (storage === undefined) throw new Failure('no storage ID specified (and no default storage)', 255);
    imagesStorage(call.state, storage);
    const image = source === undefined ? undefined : readImage(call.context.simulation, source);
    const size = image?.size ?? (key === 'efidisk0' ? 4 * 2 ** 20 : Number(gigabytes) * 2 ** 30);
    if (size === 0) throw new Failure(`${key}: a disk must have a size`, 255);
    properties.file = allocate(call.state, storage, call.vmid, size);
    call.out += `  Logical volume "${properties.file.split(':')[1]}" created.\n`;
    if (image) {
      importImage(call.state, properties.file, image);
      call.out += `transferred ${size} B of ${size} B (100.00%)\n`;
    }
    properties.size = formatSize(size);
    delete properties['import-from'];
    delete properties.format;
  } else {
    const volume = call.state.volumes[file];
    if (volume === undefined) readVolumeFile(call.context.simulation, file);
    else properties.size = formatSize(volume.size);
    const user = Object.entries(withPending(vm)).find(
      ([slot, value]) => slot !== key && !slot.startsWith('unused') && fileOf(value) === file,
    );
    if (volume && user) throw new Failure(`volume '${file}' is already used by '${user[0]}'`, 255);
    // A volume that was unused has a place again.
    for (const [slot, value] of Object.entries(vm.config))
      if (/^unused\d+$/.test(slot) && value === file) Reflect.deleteProperty(vm.config, slot);
    return print(properties);
  }
  call.out += `${key}: successfully created disk '${print(properties)}'\n`;
  return print(properties);
}

/** What was in a slot of disks becomes unused, unless it stays in it. */
export function detach(call: QmCall, vm: Vm, key: string, next?: string): void {
  const old = vm.config[key];
  if (!DRIVE.test(key) || old === undefined || (next !== undefined && fileOf(next) === fileOf(old))) return;
  if (isCdrom(old)) {
    if (fileOf(old).endsWith('-cloudinit')) free(call.state, fileOf(old));
    return;
  }
  let number = 0;
  while (vm.config[`unused${number}`] !== undefined) number++;
  vm.config[`unused${number}`] = fileOf(old);
}

export function importDisk(call: QmCall, source: string, storage: string): void {
  const vm = call.unlocked();
  storageOf(call.state, storage);
  const image = readImage(call.context.simulation, source);
  imagesStorage(call.state, storage);
  const id = allocate(call.state, storage, call.vmid, image.size);
  importImage(call.state, id, image);
  const target = call.options['target-disk'];
  let slot = target && DRIVE.test(target) ? target : undefined;
  if (slot && vm.config[slot]) throw new Failure(`cowardly refusing to overwrite existing entry: ${slot}`, 255);
  for (let number = 0; !slot; number++) if (vm.config[`unused${number}`] === undefined) slot = `unused${number}`;
  vm.config[slot] = DRIVE.test(slot) ? `${id},size=${formatSize(image.size)}` : id;
  call.out += `importing disk '${source}' to VM ${call.vmid} ...\n  Logical volume "${id.split(':')[1]}" created.\n${slot}: successfully imported disk '${vm.config[slot]}'\n`;
}

export function resize(call: QmCall, slot: string, size: string): void {
  const vm = call.unlocked();
  const drive = vm.config[slot];
  if (drive === undefined) throw new Failure(`disk '${slot}' does not exist`, 255);
  if (isCdrom(drive)) throw new Failure("you can't resize a cdrom", 255);
  const properties = parseProperties(drive, 'file');
  const volume = call.state.volumes[properties.file!]!;
  const wanted = parseSize(size.replace('+', '')) + (size.startsWith('+') ? volume.size : 0);
  if (wanted < volume.size) throw new Failure('shrinking disks is not supported', 255);
  // Also where the configuration says less.
  if (wanted === volume.size) return;
  volume.size = wanted;
  vm.config[slot] = print({ ...properties, size: formatSize(wanted) });
  call.out += `  Logical volume pve/${properties.file!.split(':')[1]} successfully resized.\n`;
}
