import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Files of dist/ by their path below it. */
export type Files = ReadonlyMap<string, string>;

/**
 * Replaces a folder by a new one, completely or not at all. Both states are folders beside it, with the process ID in the name:
 * `dist.next.PID` is being written, `dist.old.PID` is the previous one. The next synth reads from these names what to
 * finish or undo, so a process can be killed at any point.
 *
 *   write dist.next.PID, fsync it     not published yet: the next synth removes it
 *   dist      -> dist.old.PID         dist is gone, dist.next.PID is complete: the next synth renames it
 *   dist.next.PID -> dist             done
 *   dist.old.PID  -> dist.next.PID    so that dist.old is always complete; then it is removed
 */
export async function publish(folder: string, files: Files, before: Files = published(folder)): Promise<void> {
  const next = `${folder}.next.${process.pid}`;
  const old = `${folder}.old.${process.pid}`;
  await write(next, files, { folder, files: before });
  const replaces = fs.existsSync(folder);
  if (replaces) fs.renameSync(folder, old);
  try {
    syncFolder(dirname(folder));
    fs.renameSync(next, folder);
  } catch (error) {
    if (replaces && !fs.existsSync(folder)) fs.renameSync(old, folder);
    throw error;
  }
  syncFolder(dirname(folder));
  if (replaces) discard(old, next);
}

/** Finishes or undoes what a killed process left. @throws while another process publishes */
export function recover(folder: string): void {
  const parent = dirname(folder);
  const name = folder.slice(parent.length + 1);
  const left = fs.readdirSync(parent).flatMap((entry) => {
    const match = entry.startsWith(`${name}.`) ? /^(next|old)\.(\d+)$/.exec(entry.slice(name.length + 1)) : null;
    return match ? [{ path: join(parent, entry), role: match[1]!, pid: Number(match[2]) }] : [];
  });
  for (const { path, pid } of left) {
    if (pid !== process.pid && isAlive(pid)) {
      throw new Error(
        `another synth (process ${pid}) is publishing ${name}/; wait for it. If that process is no synth, remove ${path} and try again`,
      );
    }
  }
  for (const { path, pid } of left.filter(({ role }) => role === 'old')) {
    const next = `${folder}.next.${pid}`;
    if (!fs.existsSync(folder)) fs.renameSync(fs.existsSync(next) ? next : path, folder);
    if (fs.existsSync(path)) discard(path, next);
  }
  for (const { path } of left) fs.rmSync(path, { recursive: true, force: true });
  if (left.length > 0) syncFolder(parent);
}

/** The files of a published folder; empty if the folder does not exist. */
export function published(folder: string): Files {
  if (!fs.existsSync(folder)) return new Map();
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length + 1), fs.readFileSync(path, 'utf8')]));
}

/** The folder that is replaced, and its files: a file with the same text is linked instead of written. */
export interface Published {
  readonly folder: string;
  readonly files: Files;
}

/** Writes files into a new folder, and waits until they are on the disk. Files that `same` already holds are linked. */
export async function write(folder: string, files: Files, same?: Published): Promise<void> {
  const folders = new Set([folder, ...[...files.keys()].map((path) => dirname(join(folder, path)))]);
  for (const path of folders) fs.mkdirSync(path, { recursive: true });
  const changed = [...files].filter(
    ([path, text]) => same?.files.get(path) !== text || !linked(join(same.folder, path), join(folder, path)),
  );
  // A batch is written at once, because each fsync waits for the disk. A batch has fewer files than a process may open.
  for (let at = 0; at < changed.length; at += 100) await writeBatch(folder, changed.slice(at, at + 100));
  await Promise.all([...folders].map(async (path) => syncAndClose(fs.openSync(path, 'r'))));
}

async function writeBatch(folder: string, batch: readonly (readonly [path: string, text: string])[]): Promise<void> {
  const written = batch.map(([path, text]) => {
    const file = fs.openSync(join(folder, path), 'w');
    fs.writeFileSync(file, text);
    return file;
  });
  await Promise.all(written.map(syncAndClose));
}

async function syncAndClose(file: number): Promise<void> {
  try {
    await sync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** @returns false if the file system has no hard links */
function linked(from: string, to: string): boolean {
  try {
    fs.linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

const sync = promisify(fs.fsync);

/** Renames it first, so that a half removed folder never looks complete. */
function discard(path: string, garbage: string): void {
  fs.rmSync(garbage, { recursive: true, force: true });
  fs.renameSync(path, garbage);
  fs.rmSync(garbage, { recursive: true, force: true });
}

function syncFolder(path: string): void {
  const folder = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
