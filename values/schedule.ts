import type { Duration } from 'cdk8s';
import { cronProblem } from './cron';
import { fieldsProblem, seconds, wholeNumber, wordOf, type Fields } from './fields';
import { nearest } from './nearest';
import { sentence } from './problem';

/** When a job runs, and what happens to its runs. */
export interface ScheduleOptions {
  /** Cron schedule of five fields, as '30 3 * * *': each day at 3:30. Required for a job. */
  readonly schedule?: string;
  /**
   * Time zone of the schedule, as Europe/Berlin. A time that the change to summer time skips does not come that day.
   * @default Etc/UTC
   */
  readonly timeZone?: string;
  /** What happens if a run is due while one runs: it is skipped, replaces it, or runs beside it. @default Forbid */
  readonly concurrency?: 'Forbid' | 'Replace' | 'Allow';
  /** Ended runs that stay, with their logs. @default 1 that succeeded, 3 that failed: a failed one is what one looks for */
  readonly history?: { readonly succeeded?: number; readonly failed?: number };
  /** A run that takes longer is ended and has failed, 10 seconds to 7 days. @default 1 hour: with Forbid, a run that hangs stops all later ones */
  readonly deadline?: Duration;
  /** How often a failed run is tried again, 0 to 10. @default 2 */
  readonly retries?: number;
}

const runs = wholeNumber(0, 20, 'keep at most 20: each stays as an object with its pods');

/** What is wrong with each field. */
export const SCHEDULE_FIELDS: Fields<ScheduleOptions> = {
  schedule: cronProblem,
  timeZone: timeZoneProblem,
  concurrency: wordOf('Forbid', 'Replace', 'Allow'),
  history: (value, what) =>
    fieldsProblem<NonNullable<ScheduleOptions['history']>>(value, what, { succeeded: runs, failed: runs }),
  deadline: seconds(10, 7 * 86_400, 'Duration.hours(1)'),
  retries: wholeNumber(0, 10),
};

/** What is wrong with a time zone, as a sentence, or undefined. The API server reads its own copy of the same database. */
export function timeZoneProblem(value: unknown, what: string): string | undefined {
  const known = Intl.supportedValuesOf('timeZone');
  if (typeof value === 'string' && isZone(value)) return undefined;
  const near = typeof value === 'string' ? (nearest(value, known) ?? sameLetters(value, known)) : undefined;
  return sentence({
    what: `${what} must be a time zone`,
    got: value,
    allowed: 'AREA/CITY of the IANA database, or UTC',
    fix: near === undefined ? 'write it like Europe/Berlin' : `did you mean ${near}?`,
  });
}

/** Node accepts any case and offsets like +01:00, the API server neither. */
function isZone(name: string): boolean {
  if (name !== 'UTC' && !/^[A-Z][A-Za-z]+(\/[A-Z][A-Za-z0-9_+-]*)+$/.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}

function sameLetters(name: string, known: readonly string[]): string | undefined {
  return known.find((each) => each.toLowerCase() === name.toLowerCase());
}
