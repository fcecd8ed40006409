import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Blocked } from './problem';

/**
 * A folder in memory for secrets that a program reads only from a file, so that no secret is on a disk: /dev/shm on
 * Linux, a RAM disk on macOS. Removed with this process; the next process removes the folder of a killed one.
 */
export function memoryFolder(): string {
  if (made === undefined) {
    made = process.platform === 'darwin' ? ramDisk() : sharedMemory();
    process.once('exit', remove);
  }
  return made;
}

/** Writes a text to memory. @returns the path for a program */
export function memoryFile(name: string, text: string): string {
  const path = join(memoryFolder(), name);
  fs.writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Passes a text to a program as a file in memory, and removes the file after `use`. */
export async function withMemoryFile<T>(name: string, text: string, use: (file: string) => Promise<T>): Promise<T> {
  const file = memoryFile(name, text);
  try {
    return await use(file);
  } finally {
    fs.rmSync(file, { force: true });
  }
}

let made: string | undefined;
const PREFIX = 'collab-homelab.';

function sharedMemory(): string {
  const root = '/dev/shm';
  if (!fs.existsSync(root))
    throw new Blocked(`${root} does not exist. Programs get secrets through files in memory, never through a disk`);
  // Containers may share /dev/shm but number their processes independently: only ids of our own namespace can be checked.
  // A hyphen, not PREFIX: earlier versions would take the number of the namespace for the id of a dead process.
  const ours = `collab-homelab-${fs.readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}.`;
  for (const entry of fs.readdirSync(root).filter((name) => name.startsWith(ours)))
    if (!isAlive(Number(entry.slice(ours.length).split('.')[0])))
      fs.rmSync(join(root, entry), { recursive: true, force: true });
  return fs.mkdtempSync(join(root, `${ours}${process.pid}.`));
}

/** 8 MiB; /Volumes is where macOS mounts without root. */
function ramDisk(): string {
  const volume = `${PREFIX}${process.pid}`;
  for (const entry of fs.readdirSync('/Volumes').filter((name) => name.startsWith(PREFIX)))
    if (!isAlive(Number(entry.split('.')[1])))
      execFileSync('hdiutil', ['detach', '-force', join('/Volumes', entry)], { stdio: 'ignore' });
  const device = execFileSync('hdiutil', ['attach', '-nomount', 'ram://16384'], { encoding: 'utf8' }).trim();
  execFileSync('diskutil', ['erasevolume', 'HFS+', volume, device], { stdio: 'ignore' });
  const folder = join('/Volumes', volume, 'files');
  fs.mkdirSync(folder, { mode: 0o700 });
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function remove(): void {
  if (made === undefined) return;
  fs.rmSync(made, { recursive: true, force: true });
  if (process.platform === 'darwin')
    execFileSync('hdiutil', ['detach', '-force', join(made, '..')], { stdio: 'ignore' });
}
