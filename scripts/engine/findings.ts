import { CommandFailed } from './commands';
import { Blocked, isFault, type Problem } from './problem';

/** The result of one check of the running homelab. */
export interface Finding {
  /** What was looked at, as `talos-worker-01 is Ready`. */
  readonly what: string;
  readonly state: 'good' | 'warning' | 'bad';
  /** What was seen. */
  readonly saw: string;
  /** What to do when it is not good. */
  readonly fix?: string;
  /** Findings with the same cause are printed as one. */
  readonly cause?: string;
}

/** Checks one thing, or several of a kind. A fault of a check is a finding too: the other checks still run. */
export type Check = () => Promise<readonly Finding[]>;

export async function findings(looks: Readonly<Record<string, Check>>): Promise<readonly Finding[]> {
  const found: { -readonly [K in keyof Finding]: Finding[K] }[] = [];
  const told = new Map<string, (typeof found)[number]>();
  for (const [what, look] of Object.entries(looks))
    for (const { cause, ...finding } of await orFault(what, look)) {
      const same = cause === undefined ? undefined : told.get(cause);
      if (same !== undefined) {
        same.what += `, ${finding.what}`;
        continue;
      }
      found.push(finding);
      if (cause !== undefined) told.set(cause, finding);
    }
  return found;
}

async function orFault(what: string, look: Check): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!isFault(error)) throw error;
    return [{ what, state: 'bad', saw: error.message, cause: causeOf(error) }];
  }
}

/** The output of a program without the request: if the API server is down, every request gets the same answer. */
export function causeOf(error: Problem): string {
  if (!(error instanceof CommandFailed)) return error.message;
  // kubectl's libraries log each attempt, with time and process.
  const said = error.output.stderr.replace(/^[IWEF]\d{4} .*\n?/gm, '').trim();
  return said === '' ? error.message : said;
}

/** @throws Blocked with everything that is bad, and with `more` */
export function assertNoneBad(found: readonly Finding[], more: readonly string[] = []): void {
  const wrong = found.filter(({ state }) => state === 'bad');
  if (wrong.length === 0) return;
  throw new Blocked([...wrong.map(({ what, saw, fix }) => `${what}: ${saw}; ${fix}`), ...more].join('\n'));
}

/** A table that a person can read. */
export function table(found: readonly Finding[]): string {
  const sign = { good: 'ok  ', warning: 'WARN', bad: 'BAD ' } as const;
  return found
    .flatMap(({ what, state, saw, fix }) => [
      `${sign[state]}  ${what}: ${saw}`,
      ...(state === 'good' || fix === undefined ? [] : [`      ${fix}`]),
    ])
    .join('\n');
}

export function good(what: string, saw: string): Finding {
  return { what, state: 'good', saw };
}

export function warning(what: string, saw: string, fix: string): Finding {
  return { what, state: 'warning', saw, fix };
}

export function bad(what: string, saw: string, fix: string): Finding {
  return { what, state: 'bad', saw, fix };
}
