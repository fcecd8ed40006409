import { X509Certificate } from 'node:crypto';
import { sentence } from './problem';

const BLOCK = /-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----/g;

/** Why a value is not PEM certificates, as a sentence that never prints the value; undefined when it is valid. */
export function certificatesProblem(value: unknown, what: string): string | undefined {
  const problem = (got: string, fix: string) =>
    sentence({ what: `${what} must be certificates in PEM`, got, allowed: 'BEGIN CERTIFICATE blocks alone', fix });
  if (typeof value !== 'string') return problem(typeof value, "write the file's text between backticks");
  if (/PRIVATE KEY/.test(value))
    return problem(
      'a private key',
      'remove it now and create a new authority: anyone who saw this file can impersonate the old one',
    );
  const blocks = value.match(BLOCK) ?? [];
  if (blocks.length === 0 || value.replace(BLOCK, '').trim() !== '')
    return problem(
      'something else',
      'write the text of the certificate file of your own authority (ca.crt, root_ca.crt)',
    );
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      return problem(`number ${index + 1} of ${blocks.length}, which is cut off or changed`, 'copy the whole file');
    }
  }
  return undefined;
}
