import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import type { MachineFiles } from '../machines';
import { ROOT } from './context';
import { Stop } from './problem';
import { writeWhole } from './sops';

const FOLDER = join(ROOT, 'scripts', 'rendered');

/** Writes what machines are told to scripts/rendered/, for review. A file that nobody renders any more goes. */
export function writeRendered(files: MachineFiles): void {
  for (const path of present()) if (!files.has(path)) fs.rmSync(join(FOLDER, path));
  for (const [path, text] of files) if (on(path) !== text) writeWhole(join(FOLDER, path), text);
}

/** @throws Stop when scripts/rendered/ is not what homelab.ts says: nothing is sent that could not be reviewed */
export function assertReviewable(files: MachineFiles): void {
  const other = [...new Set([...present(), ...files.keys()])].filter((path) => on(path) !== files.get(path));
  if (other.length > 0)
    throw new Stop(
      `scripts/rendered/ must be what homelab.ts says, and is not: ${other.sort().join(', ')}; npm run synth, review the difference, commit it`,
    );
}

function on(path: string): string | undefined {
  const file = join(FOLDER, path);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

function present(): string[] {
  if (!fs.existsSync(FOLDER)) return [];
  return filesBelow(FOLDER);
}

/** Paths of the files in a folder; without those that the Finder leaves where it was opened. */
export function filesBelow(folder: string): string[] {
  return (fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[]).filter(
    (path) => basename(path) !== '.DS_Store' && fs.statSync(join(folder, path)).isFile(),
  );
}
