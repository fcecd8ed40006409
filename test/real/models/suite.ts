import type { Processes } from '../cluster/processes';
import type { Laps } from '../proofs';
import type { Tally } from '../tally';

/** Context of a part of the suite. */
export interface ModelSuite {
  readonly tally: Tally;
  readonly laps: Laps;
  /** Whether to run all cases, or a sample of them. */
  readonly full: boolean;
  /** Processes of the suite. At the end they are stopped and their folder is removed. */
  readonly processes: Processes;
  /** Whether a case that takes so many seconds may start: always with --full, otherwise within the time of the sample. Prints what it leaves out. */
  readonly mayBegin: (what: string, seconds: number) => boolean;
}

/** A part of the suite: `--only=NAME` runs it alone. */
export interface ModelPart {
  readonly name: string;
  /** Estimated seconds of its sample on two free cores with warm caches. The sample starts no part that would end too late. */
  readonly seconds: number;
  readonly run: (suite: ModelSuite) => Promise<void>;
}
