import { Problem } from './problem';

/**
 * Asks until there is an answer. Every wait has an end, and says what it waited for.
 * @throws Problem after `seconds`, with what was seen last
 */
export async function until<T>(
  what: string,
  { seconds, every = 3 }: { readonly seconds: number; readonly every?: number },
  say: (what: string) => void,
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
      if (!(error instanceof Problem)) throw error;
      last = `; last: ${error.message}`;
    }
    const passed = Math.round((Date.now() - begin) / 1000);
    if (passed >= seconds) throw new Problem(`waited ${seconds} s for ${what}${last}`);
    say(`${what} (${passed} of at most ${seconds} s)`);
    await new Promise((resolve) => setTimeout(resolve, every * 1000 * PACE));
  }
}

/** Tests play time faster. */
const PACE = Number(process.env.HOMELAB_PACE ?? 1);
