import type { Context } from '../../clients/context';
import type { Step } from '../../engine/step';
import { firstBackups } from './backups';

/**
 * What must run once after Argo CD has brought everything up for the first time, in order: stage gitops ends with these
 * steps. Each looks first whether it is done, as every step does.
 */
export function afterFirstSync(context: Context): readonly Step[] {
  return firstBackups(context);
}
