import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import type { MachineFiles } from '../../machines/files';
import { ROOT } from '../engine/root';
import { Blocked } from '../engine/problem';
import { writeWhole } from '../engine/sops';

const FOLDER = join(ROOT, 'scripts', 'rendered');

/**
 * Writes files and settings of machines to scripts/rendered/, for review, and removes files that are no longer rendered.
 * @returns what changed, for a terminal, or undefined
 */
export function writeRendered(files: MachineFiles, folder = FOLDER): string | undefined {
  const before = present(folder);
  const removed = before.filter((path) => !files.has(path));
  const written = [...files.keys()].filter((path) => on(path, folder) !== files.get(path));
  const kinds = {
    added: written.filter((path) => !before.includes(path)),
    changed: written.filter((path) => before.includes(path)),
    removed,
  };
  for (const path of removed) fs.rmSync(join(folder, path));
  for (const path of written) writeWhole(join(folder, path), files.get(path)!);
  const parts = Object.entries(kinds)
    .filter(([, paths]) => paths.length > 0)
    .map(([kind, paths]) => `${paths.length} ${kind} (${paths.sort().join(', ')})`);
  return parts.length === 0 ? undefined : `scripts/rendered/: ${parts.join(', ')}`;
}

/** @throws Blocked when scripts/rendered/ differs from homelab.ts: no machine gets what could not be reviewed */
export function assertReviewable(files: MachineFiles): void {
  const other = [...new Set([...present(), ...files.keys()])].filter((path) => on(path) !== files.get(path));
  if (other.length > 0)
    throw new Blocked(
      `scripts/rendered/ differs from homelab.ts in: ${other.sort().join(', ')}. Render the files, review the difference and commit it:\n  npm run synth`,
    );
}

function on(path: string, folder = FOLDER): string | undefined {
  const file = join(folder, path);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

function present(folder = FOLDER): string[] {
  return fs.existsSync(folder) ? filesBelow(folder) : [];
}

/** Paths of the files in a folder; without those that the Finder leaves where it was opened. */
export function filesBelow(folder: string): string[] {
  return (fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[]).filter(
    (path) => basename(path) !== '.DS_Store' && fs.statSync(join(folder, path)).isFile(),
  );
}
