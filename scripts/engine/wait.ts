import { isFault, Problem, TimedOut } from './problem';

/** How long a second is: tests let time run faster. */
export const SECOND = 1000 * Number(process.env.HOMELAB_PACE ?? 1);

/** For `until` while inspecting, where no step shows what it waits for: prints the first wait, on standard error because of --json. */
export function sayOnce(): (what: string) => void {
  let said = false;
  return (what) => {
    if (!said) console.error(`waiting for ${what}`);
    said = true;
  };
}

/** Thrown in a look of `until`: ends the wait with this problem, while after any other it looks again. */
export class Final extends Error {
  constructor(readonly problem: unknown) {
    super();
  }
}

interface Wait {
  readonly seconds: number;
  /** Seconds between two looks. @default 3 */
  readonly every?: number;
}

/**
 * Asks until there is an answer. Every wait has an end, and says what it waited for.
 * @throws TimedOut after `seconds`, with what was seen last
 */
export async function until<T>(
  what: string,
  { seconds, every = 3 }: Wait,
  progress: (what: string) => void,
  look: () => Promise<T | false | undefined>,
): Promise<T> {
  const begin = Date.now();
  let last: string;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = '';
    } catch (error) {
      if (error instanceof Final) throw error.problem;
      if (!isFault(error)) throw error;
      last = `; last result: ${error.message}`;
    }
    const passed = Math.round((Date.now() - begin) / SECOND);
    if (passed >= seconds) throw new TimedOut(`waited ${seconds} s for ${what}${last}`);
    progress(`${what} (${passed} of at most ${seconds} s)`);
    await new Promise((resolve) => setTimeout(resolve, every * SECOND));
  }
}

/** Waits until a look finds nothing more. @param look what is still in the way */
export async function untilNone(
  what: string,
  wait: Wait,
  progress: (what: string) => void,
  look: () => Promise<readonly string[]>,
): Promise<void> {
  await until(what, wait, progress, async () => {
    const left = await look();
    if (left.length > 0) throw new Problem(left.join('; '));
    return true;
  });
}
