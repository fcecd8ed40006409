import type { Duration } from 'cdk8s';
import { sentence } from './problem';

const HOUR = 3600;
const LONGEST = 5 * 24 * HOUR;

/** What is wrong with the time between two repairs of a keyspace, as a sentence, or undefined. */
export function repairIntervalProblem(value: unknown, what: string): string | undefined {
  const seconds =
    typeof (value as Partial<Duration> | null | undefined)?.toSeconds === 'function'
      ? (value as Duration).toSeconds({ integral: false })
      : NaN;
  if (Number.isInteger(seconds) && seconds >= HOUR && seconds <= LONGEST) return undefined;
  return sentence({
    what: `${what} must be a Duration from 1 hour to 5 days`,
    got: Number.isFinite(seconds) ? `${seconds} s` : value,
    allowed: 'whole seconds; 5 days are half of gc_grace_seconds, after which deleted rows may reappear',
    fix: 'leave it out for 5 days, or write Duration.days(2)',
  });
}
