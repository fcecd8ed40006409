import type { Tally } from '../tally';
import type { Lab } from './lab';

/** What must stop the bootstrap with a clear sentence, and nothing changed. */
export async function refusals(_lab: Lab, _tally: Tally): Promise<void> {
  // Filled below.
}
