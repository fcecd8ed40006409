import { join } from 'node:path';
import { ROOT } from '../engine/root';

/** Everything that is made here and not committed: weights, checkpoints, the Python environment. */
export const WORK = join(ROOT, '.homelab', 'models');

/** Virtual environment that trains and exports. */
export const PYTHON_FOLDER = join(WORK, 'python');

/** Scripts that run in it. */
export const SCRIPTS = join(__dirname, 'python');

/** Working files of one training: config.yaml, checkpoints, progress.jsonl, and training.json once it has ended. */
export function trainFolder(name: string): string {
  return join(WORK, name, 'train');
}

/** Working files of one export: fused weights, and export.json once they were checked. */
export function exportFolder(name: string): string {
  return join(WORK, name, 'export');
}

/** What of a version is committed: card.json, card.md and loss.svg. */
export function cardFolder(name: string, version: number): string {
  return join(ROOT, 'models', name, `v${version}`);
}
