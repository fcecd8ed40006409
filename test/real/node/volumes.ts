import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { runQuietly } from './processes';

type Json = any;
/** Files of a ConfigMap or a Secret by key. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

const MIB = 1024 ** 2;
const DISK_MIB = 4096;

/** Claims of a node: each a file system of its own in a file, as a disk has it, mounted once for all pods that use it. */
export class Claims {
  /** Claims whose disk is not mounted: their pods get an empty folder of the system disk, as Talos leaves it there. */
  readonly missing = new Set<string>();
  private readonly users = new Map<string, number>();

  constructor(private readonly folder: string) {}

  /** The file that is the disk. It stays when pods go. */
  disk(namespace: string, claim: string): string {
    return join(this.folder, `${namespace}-${claim}.disk`);
  }

  /** Lays a claim over a folder of a pod. */
  mount(namespace: string, claim: string, folder: string, group: number): void {
    const disk = this.disk(namespace, claim);
    const place = `${disk}.mount`;
    if (this.missing.has(claim)) fs.mkdirSync(place, { recursive: true });
    else if (!this.users.get(place)) this.attach(disk, place, group);
    this.users.set(place, (this.users.get(place) ?? 0) + 1);
    execFileSync('mount', ['--bind', place, folder]);
  }

  unmount(namespace: string, claim: string, folder: string): void {
    const place = `${this.disk(namespace, claim)}.mount`;
    const left = this.users.get(place)! - 1;
    this.users.set(place, left);
    runQuietly('umount', folder);
    if (left === 0) runQuietly('umount', place);
  }

  private attach(disk: string, place: string, group: number): void {
    if (!fs.existsSync(disk)) {
      fs.writeFileSync(disk, '');
      fs.truncateSync(disk, DISK_MIB * MIB);
      execFileSync('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=1,lazy_journal_init=1', disk]);
    }
    fs.mkdirSync(place, { recursive: true });
    execFileSync('mount', ['-o', 'loop', disk, place]);
    fs.rmSync(join(place, 'lost+found'), { recursive: true, force: true });
    fs.chownSync(place, 0, group);
    fs.chmodSync(place, 0o2775);
  }
}

/** Makes an emptyDir as the kubelet does. */
export function emptyDir(folder: string, { medium, sizeLimit }: Json, group: number): void {
  if (medium === 'Memory') execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytesOf(sizeLimit)}`, 'tmpfs', folder]);
  fs.chownSync(folder, 0, group);
  fs.chmodSync(folder, 0o2777);
}

/**
 * Writes the files of a ConfigMap or a Secret.
 * @param source of the volume: `items` chooses keys and names their files, `defaultMode` says who reads them
 * @param mode where the source has none
 */
export function files(folder: string, data: Files, source: Json, group: number, mode: number): void {
  fs.chownSync(folder, 0, group);
  fs.chmodSync(folder, 0o2755);
  const chosen: [path: string, content: string | Uint8Array][] = source.items
    ? source.items.map(({ key, path }: Json) => [path, data[key]!])
    : Object.entries(data);
  for (const [path, content] of chosen) {
    fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
    fs.writeFileSync(join(folder, path), content);
    fs.chownSync(join(folder, path), 0, group);
    fs.chmodSync(join(folder, path), withGroup(source.defaultMode, group) ?? mode);
  }
}

/** fsGroup lets the group read what the owner reads. */
function withGroup(mode: number | undefined, group: number): number | undefined {
  return mode === undefined || group === 0 ? mode : mode | ((mode & 0o400) >> 3);
}

/** A folder of a volume that a container mounts by subPath: the kubelet makes it, with the mode and the group of the volume. */
export function subFolder(volume: string, subPath: string | undefined): string {
  const folder = join(volume, subPath ?? '');
  if (fs.existsSync(folder)) return folder;
  fs.mkdirSync(folder, { recursive: true });
  const { mode, gid } = fs.statSync(volume);
  fs.chownSync(folder, 0, gid);
  fs.chmodSync(folder, mode & 0o7777);
  return folder;
}

export function bytesOf(quantity: string | undefined): number {
  const [, number, unit] = /^(\d+)(Mi|Gi|Ki)?$/.exec(quantity ?? '')!;
  return Number(number) * { Ki: 1024, Mi: MIB, Gi: 1024 * MIB, '': 1 }[unit ?? '']!;
}
