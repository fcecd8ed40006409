import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root';
import { Blocked } from './problem';
import { writeWhole } from './sops';

/** Digests of downloads whose publisher has none: the file records that of the first download, and later ones must equal it. */
export const DIGESTS = 'scripts/digests.json';

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

const DIGEST = /^[0-9a-f]{64}$/;

/** The SHA-256 that was seen first at an address, or undefined. */
export function knownDigest(url: string): string | undefined {
  return all()[url];
}

/** @throws Blocked when another one is known, or this is none */
export function rememberDigest(url: string, sha256: string): void {
  if (!DIGEST.test(sha256))
    throw new Blocked(`a SHA-256 of ${url} must have 64 hexadecimal digits, got ${JSON.stringify(sha256)}`);
  const known = all();
  if (known[url] === sha256) return;
  if (known[url] !== undefined) throw new Blocked(otherDigest(url, known[url], sha256));
  const sorted = Object.entries({ ...known, [url]: sha256 }).sort(([a], [b]) => (a < b ? -1 : 1));
  writeWhole(join(ROOT, DIGESTS), `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}

/** For a download that differs from the first one. */
export function otherDigest(url: string, known: string, got: string): string {
  return `${url} must have SHA-256\n  ${known} (${DIGESTS}), but the download has\n  ${got}. It was not used. Find out why; only if the new digest is correct, remove its line from ${DIGESTS}`;
}

function all(): Record<string, string> {
  const file = join(ROOT, DIGESTS);
  if (!fs.existsSync(file)) return {};
  try {
    const known: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    const isText = (value: unknown) => typeof value === 'string';
    if (typeof known === 'object' && known !== null && Object.values(known).every(isText))
      return known as Record<string, string>;
  } catch {
    // Said below.
  }
  throw new Blocked(`${DIGESTS} must be JSON with a digest by address; git checkout -- ${DIGESTS}`);
}
