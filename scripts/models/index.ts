import type { ModelCommand } from './command';
import { doctor } from './doctor';

/** The commands by name, one file each. */
export const COMMANDS: Readonly<Record<string, ModelCommand>> = {
  doctor: { usage: '', what: 'everything that stands in the way, at once, and what to do about it', run: doctor },
};
