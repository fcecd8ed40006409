import { isFault } from './problem';

/** What one look at the running homelab found. */
export interface Finding {
  /** What was looked at, as `talos-worker-01 is Ready`. */
  readonly what: string;
  readonly state: 'good' | 'warning' | 'bad';
  /** What was seen. */
  readonly saw: string;
  /** What to do when it is not good. */
  readonly fix?: string;
}

/** Looks at one thing, or several of a kind. A fault while looking is a finding too: the others are still made. */
export type Look = () => Promise<readonly Finding[]>;

export async function findings(looks: Readonly<Record<string, Look>>): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [what, look] of Object.entries(looks)) {
    try {
      found.push(...(await look()));
    } catch (error) {
      if (!isFault(error)) throw error;
      found.push({ what, state: 'bad', saw: error.message });
    }
  }
  return found;
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
