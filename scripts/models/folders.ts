import { join } from 'node:path';
import { ROOT } from '../engine/root';

/** Files that are made here and not committed: weights, checkpoints, the Python environment. */
export const WORK = join(ROOT, '.homelab', 'models');

/** Virtual environment that trains and exports. */
export const PYTHON_FOLDER = join(WORK, 'python');

/** Python scripts that run in that environment. */
export const SCRIPTS = join(__dirname, 'python');

/** Working files of one training: config.yaml, checkpoints, progress.jsonl, and training.json after its end. */
export function trainFolder(name: string): string {
  return join(WORK, name, 'train');
}

/** Working files of one export: fused weights, and export.json after all checks passed. */
export function exportFolder(name: string): string {
  return join(WORK, name, 'export');
}

/** Committed files of a version: card.json, card.md and loss.svg. */
export function cardFolder(name: string, version: number): string {
  return join(ROOT, 'models', name, `v${version}`);
}
