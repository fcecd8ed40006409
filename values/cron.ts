import { sentence } from './problem';

/** A field of a cron schedule as Kubernetes reads it (github.com/robfig/cron v3, ParseStandard). */
interface CronField {
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  /** Names of values, from the minimum on. */
  readonly names: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS: readonly CronField[] = [
  { name: 'minute', minimum: 0, maximum: 59, names: [] },
  { name: 'hour', minimum: 0, maximum: 23, names: [] },
  { name: 'day of the month', minimum: 1, maximum: 31, names: [] },
  { name: 'month', minimum: 1, maximum: 12, names: MONTHS },
  { name: 'day of the week', minimum: 0, maximum: 6, names: WEEKDAYS },
];
const WORDS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
/** Days of each month, in a leap year. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** What is wrong with a cron schedule, as a sentence, or undefined. Also refuses one that never comes. */
export function cronProblem(value: unknown, what: string): string | undefined {
  const problem = (fix: string) =>
    sentence({
      what: `${what} must be a cron schedule`,
      got: value,
      allowed: `minute, hour, day of the month, month and day of the week; or ${WORDS.join(', ')}`,
      fix,
    });
  if (typeof value !== 'string') return problem("write it like '30 3 * * *', each day at 3:30");
  if (WORDS.includes(value)) return undefined;
  if (/TZ=/.test(value)) return problem('put the time zone into timeZone: the API server refuses it here');
  if (value.startsWith('@')) return problem("write the interval as fields, like '*/15 * * * *'");
  if (value !== value.trim() || /\s{2,}|[\t\n]/.test(value)) return problem('put one space between two fields');
  const parts = value.split(' ');
  if (parts.length !== FIELDS.length) return problem(`write five fields: it has ${parts.length}`);
  const sets: (ReadonlySet<number> | string)[] = FIELDS.map((field, index) => valuesOf(parts[index]!, field));
  const wrong = sets.find((set) => typeof set === 'string');
  if (wrong !== undefined) return problem(wrong as string);
  return isNever(parts, sets as ReadonlySet<number>[])
    ? problem('choose a day that exists: no month of it has that day, so it would never run')
    : undefined;
}

/** The values of a field, or what to change in it. */
function valuesOf(text: string, field: CronField): ReadonlySet<number> | string {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\*|\?|([A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?)(?:\/(\d+))?$/.exec(part);
    if (!match) return `correct ${JSON.stringify(part)} in the ${field.name}`;
    const [, all, from, to, step] = match;
    const isAll = all === '*' || all === '?';
    const first = isAll ? field.minimum : numberOf(from!, field);
    const last = isAll || (to === undefined && step !== undefined) ? field.maximum : numberOf(to ?? from!, field);
    if (first === undefined || last === undefined) return outside(part, field);
    if (first > last) return `turn ${part} in the ${field.name} round: it must not begin after its end`;
    if (step !== undefined && Number(step) === 0) return `write a step of at least 1 in the ${field.name}`;
    for (let each = first; each <= last; each += Number(step ?? 1)) found.add(each);
  }
  return found;
}

function numberOf(text: string, { minimum, maximum, names }: CronField): number | undefined {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return minimum + named;
  return /^\d{1,2}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum ? Number(text) : undefined;
}

function outside(part: string, { name, minimum, maximum, names }: CronField): string {
  const sunday = name === 'day of the week' && /7/.test(part) ? ': Sunday is 0' : '';
  const words = names.length > 0 ? `, or ${names[0]} to ${names.at(-1)}` : '';
  return `write ${minimum} to ${maximum}${words} for the ${name}, not ${part}${sunday}`;
}

/** Whether no month has the day. A restricted day of the week counts as an alternative to the day of the month. */
function isNever(parts: readonly string[], [, , days, months]: readonly ReadonlySet<number>[]): boolean {
  if (!/^[*?]/.test(parts[4]!)) return false;
  const first = Math.min(...days!);
  return [...months!].every((month) => first > DAYS[month - 1]!);
}
