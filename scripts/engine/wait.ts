import { isFault, TimedOut } from './problem';

/** How long a second is: tests let time run faster. */
export const SECOND = 1000 * Number(process.env.HOMELAB_PACE ?? 1);

/** For `until` in a look, where nobody shows what it waits for: the first wait is said, on standard error because of --json. */
export function sayOnce(): (what: string) => void {
  let said = false;
  return (what) => {
    if (!said) console.error(`waiting for ${what}`);
    said = true;
  };
}

/**
 * Asks until there is an answer. Every wait has an end, and says what it waited for.
 * @throws TimedOut after `seconds`, with what was seen last
 */
export async function until<T>(
  what: string,
  { seconds, every = 3 }: { readonly seconds: number; readonly every?: number },
  progress: (what: string) => void,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const begin = Date.now();
  let last: string;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
      last = '';
    } catch (error) {
      if (!isFault(error)) throw error;
      last = `; last: ${error.message}`;
    }
    const passed = Math.round((Date.now() - begin) / SECOND);
    if (passed >= seconds) throw new TimedOut(`waited ${seconds} s for ${what}${last}`);
    progress(`${what} (${passed} of at most ${seconds} s)`);
    await new Promise((resolve) => setTimeout(resolve, every * SECOND));
  }
}
