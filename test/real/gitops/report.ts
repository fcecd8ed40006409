import type { Tally } from '../tally';

/** Where a part of this suite notes what it found. */
export interface Report {
  readonly tally: Tally;
  /** Prints what was done, with the seconds since the last one. */
  readonly lap: (what: string) => void;
}
