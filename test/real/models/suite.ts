import type { Processes } from '../cluster/processes';
import type { Laps } from '../proofs';
import type { Tally } from '../tally';

/** What a part of the suite gets. */
export interface ModelSuite {
  readonly tally: Tally;
  readonly laps: Laps;
  /** Whether all cases run, or a sample of them. */
  readonly full: boolean;
  /** Its folder is removed at the end, and all that was started is stopped. */
  readonly processes: Processes;
  /** Whether a case that takes so long may begin: always with --full, otherwise within the clock of the sample. Says what it leaves out. */
  readonly mayBegin: (what: string, seconds: number) => boolean;
}

/** A part of the suite: `--only=NAME` runs it alone. */
export interface ModelPart {
  readonly name: string;
  /** About how long its sample takes on two free cores, warm, in seconds: the sample begins no part that would end too late. */
  readonly seconds: number;
  readonly run: (suite: ModelSuite) => Promise<void>;
}
