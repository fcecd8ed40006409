import * as fs from 'node:fs';
import { join } from 'node:path';
import { Failure } from './programs/program';
import type { Simulation } from './simulation';
import { GIB, type Image, type State, type Storage, type Volume } from './state';

const MIB = 2 ** 20;

/** Folders of a directory storage by content type, and what a volume of each is called. */
const FOLDERS: Readonly<Record<string, string>> = {
  iso: 'template/iso',
  vztmpl: 'template/cache',
  backup: 'dump',
  snippets: 'snippets',
  import: 'import',
};

export function storageOf(state: State, name: string): Storage {
  const found = state.storages[name];
  if (!found) throw new Failure(`storage '${name}' does not exist`, 255);
  return found;
}

export function imagesStorage(state: State, name: string): Storage {
  const found = storageOf(state, name);
  if (!found.content.includes('images')) throw new Failure(`storage '${name}' does not support vm images`, 255);
  return found;
}

/** Bytes that are really taken. */
export function usedBytes(state: State, name: string): number {
  const volumes = Object.entries(state.volumes).filter(([id]) => id.startsWith(`${name}:`));
  return storageOf(state, name).used + volumes.reduce((sum, [, { used }]) => sum + used, 0);
}

/** A new disk with the lowest free number. @throws Failure when the pool is full */
export function allocate(state: State, storage: string, vmid: number, size: number, name?: string): string {
  const { total, vgname, thinpool } = imagesStorage(state, storage);
  let number = 0;
  while (!name && state.volumes[`${storage}:vm-${vmid}-disk-${number}`]) number++;
  const volume = name ?? `vm-${vmid}-disk-${number}`;
  const id = `${storage}:${volume}`;
  if (state.volumes[id])
    throw new Failure(
      `lvcreate '${vgname}/${volume}' error:   Logical Volume "${volume}" already exists in volume group "${vgname}"`,
      5,
    );
  if (usedBytes(state, storage) >= total)
    throw new Failure(
      `lvcreate '${vgname}/${volume}' error:   Cannot create new thin volume, free space in thin pool ${vgname}/${thinpool} reached threshold.`,
      5,
    );
  state.volumes[id] = { size, used: 0, vmid };
  return id;
}

/** Fills a volume with an image file of the host, as qemu-img does. */
export function importImage(state: State, id: string, image: ImageFile): void {
  const volume = state.volumes[id]!;
  volume.used = image.image ? Math.min(image.size, 2 * GIB) : image.size;
  if (image.image) volume.image = image.image;
  const storage = id.slice(0, id.indexOf(':'));
  if (usedBytes(state, storage) <= storageOf(state, storage).total) return;
  throw new Failure(
    `copy failed: command '/usr/bin/qemu-img convert -p -n -f raw -O raw' failed: exit code 1\nqemu-img: error while writing at byte 0: No space left on device`,
    255,
  );
}

export interface ImageFile {
  /** Absent: nothing that boots, such as an archive that was not unpacked. */
  readonly image?: Image;
  readonly size: number;
}

/** What a test puts at an address for a disk image: short, and known again when it is imported. */
export function imageFile(image: Image): string {
  return `${JSON.stringify({ simulatedImage: image })}\n`;
}

export function readImage(simulation: Simulation, source: string): ImageFile {
  const path = source.startsWith('/') ? source : pathOf(simulation.state, source);
  const file = join(simulation.files('host'), path);
  if (!fs.existsSync(file) || !fs.statSync(file).isFile())
    throw new Failure(
      source === path ? `${source}: non-existent or non-regular file` : `volume '${source}' does not exist`,
      255,
    );
  const text = fs.readFileSync(file, 'utf8');
  if (text.length === 0) throw new Failure(`could not get file size of ${path}`, 255);
  if (!text.startsWith('{"simulatedImage"')) return { size: Buffer.byteLength(text) };
  const { simulatedImage } = JSON.parse(text) as { simulatedImage: Image };
  return { image: simulatedImage, size: simulatedImage.size ?? 4 * GIB };
}

/** Where a volume is on the host. @throws Failure for a content type that the storage has not */
export function pathOf(state: State, id: string): string {
  const [, storage, volume] = /^([^:]+):(.+)$/.exec(id) ?? [];
  if (storage === undefined) throw new Failure(`unable to parse volume ID '${id}'`, 255);
  const { path, vgname, content } = storageOf(state, storage);
  if (path === undefined) return `/dev/${vgname}/${volume}`;
  const [, type, name] = /^(\w+)\/(.+)$/.exec(volume!) ?? [];
  const folder = FOLDERS[type ?? ''];
  if (folder === undefined) throw new Failure(`unable to parse directory volume name '${volume}'`, 255);
  if (!content.includes(type!))
    throw new Failure(`storage '${storage}' is not configured for content type '${type}'`, 255);
  return `${path}/${folder}/${name}`;
}

/** A snippet, ISO image or the like that a VM is to start with. */
export function readVolumeFile(simulation: Simulation, id: string): string {
  const path = pathOf(simulation.state, id);
  const file = join(simulation.files('host'), path);
  if (!fs.existsSync(file)) throw new Failure(`can't open '${path}' - No such file or directory`, 2);
  return fs.readFileSync(file, 'utf8');
}

export interface Content {
  readonly volid: string;
  readonly format: string;
  readonly content: string;
  readonly size: number;
  readonly vmid?: number;
}

export function contentOf(simulation: Simulation, name: string): Content[] {
  const { state } = simulation;
  const { path, content } = storageOf(state, name);
  if (path === undefined)
    return Object.entries(state.volumes)
      .filter(([id]) => id.startsWith(`${name}:`))
      .map(([volid, { size, vmid }]) => ({ volid, format: 'raw', content: 'images', size, vmid }));
  return content
    .filter((type) => type in FOLDERS)
    .flatMap((type) => {
      const folder = join(simulation.files('host'), path, FOLDERS[type]!);
      if (!fs.existsSync(folder)) return [];
      return fs
        .readdirSync(folder)
        .filter((file) => !file.startsWith('.'))
        .map((file) => ({
          volid: `${name}:${type}/${file}`,
          format: type === 'snippets' ? 'snippet' : (file.split('.').at(-1) ?? 'raw'),
          content: type,
          size: fs.statSync(join(folder, file)).size,
        }));
    });
}

/** Device files of the volumes on the host: zeros where nothing was written yet, for those who look into them. */
export function writeDevices(simulation: Simulation): void {
  const { state } = simulation;
  const folder = join(simulation.files('host'), 'dev/pve');
  fs.mkdirSync(folder, { recursive: true });
  const there = new Set(fs.readdirSync(folder));
  for (const [id, { used, label }] of Object.entries(state.volumes)) {
    const name = id.slice(id.indexOf(':') + 1);
    const file = join(folder, name);
    const written = used > 0 || label !== undefined;
    if (!there.delete(name)) fs.writeFileSync(file, '');
    const size = written ? 2 * MIB + 1 : 2 * MIB;
    if (fs.statSync(file).size === size) continue;
    fs.writeFileSync(file, written ? 'something' : '');
    fs.truncateSync(file, size);
  }
  for (const name of there) fs.rmSync(join(folder, name));
}

export function free(state: State, id: string): Volume | undefined {
  const volume = state.volumes[id];
  Reflect.deleteProperty(state.volumes, id);
  return volume;
}

/** Bytes as Proxmox prints them in a drive. */
export function formatSize(bytes: number): string {
  for (const [unit, size] of [
    ['T', 2 ** 40],
    ['G', 2 ** 30],
    ['M', 2 ** 20],
    ['K', 2 ** 10],
  ] as const)
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  return String(bytes);
}

/** Bytes of a size with a unit; without one they are what `unit` says. */
export function parseSize(text: string, unit = 1): number {
  const [, number, letter] = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text)!;
  return Math.floor(Number(number) * (letter ? 1024 ** ('KMGT'.indexOf(letter) + 1) : unit));
}
