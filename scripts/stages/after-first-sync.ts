import type { Context } from '../engine/context';
import type { Step } from '../engine/step';

/**
 * What must run once after Argo CD has brought everything up for the first time, in order: stage gitops ends with these
 * steps. Each looks first whether it is done, as every step does. Nothing yet: first backups and repairs come here.
 */
export function afterFirstSync(_context: Context): readonly Step[] {
  return [];
}
