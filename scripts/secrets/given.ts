import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { SecretSource } from '../../values/secrets';
import { Blocked } from '../engine/problem';
import { kindOfKey } from './key-pair';
import { publicHalf } from './ssh-key';

/** Linux takes no variable longer than 128 KiB (MAX_ARG_STRLEN); the name of the variable needs room too. */
const LONGEST = 100_000;

/**
 * The value that the owner gave, or the content of the file that the answer names. White space around one line is a slip of the
 * keyboard, or the end of the file, and would make a password wrong. @throws Blocked without showing the value
 */
export function givenValue(answer: string, name: string): string {
  const isFile = answer.trim().startsWith('file:');
  const text = isFile ? contentOf(answer.trim().slice('file:'.length), name) : answer;
  const value = text.trim();
  if (value === '') throw new Blocked(`${name} must not be empty; run this again`);
  if (!isFile && /^-----BEGIN [A-Z ]+-----/.test(value) && !value.includes('\n'))
    throw new Blocked(
      `${name} must be given as a whole, and only its first line arrived; save it outside of this folder, run this again, and answer file:PATH`,
    );
  // Programs that read a key or a certificate expect a line to end.
  return value.includes('\n') ? `${value}\n` : value;
}

function contentOf(path: string, name: string): string {
  const file = resolve(path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path);
  const bad = (what: string) => new Blocked(`${name} must be in ${file}, which ${what}; run this again`);
  let content: Buffer;
  try {
    content = fs.readFileSync(file);
  } catch (error) {
    throw bad(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (content.length > LONGEST)
    throw bad(`has ${content.length} bytes (allowed: ${LONGEST}, because a variable of Linux cannot be longer)`);
  const text = content.toString('utf8');
  if (!Buffer.from(text).equals(content) || text.includes('\0')) throw bad('is not text in UTF-8');
  return text.replace(/\r\n/g, '\n');
}

/** What a kept value must be and what it is instead, for the words of an error; undefined where nothing is wrong. */
export function keptProblem(
  source: SecretSource,
  value: string,
): { readonly wanted: string; readonly found: string } | undefined {
  if ('value' in source) return undefined;
  if (value.trim() === '') return { wanted: 'a value', found: 'an empty one' };
  if (!('generate' in source)) return undefined;
  const { generate } = source;
  if (generate === 'ssh-ed25519' && publicHalf(value, '') === undefined)
    return { wanted: 'an SSH key in OpenSSH format, without a passphrase', found: 'something else' };
  if (generate !== 'rsa-key' && generate !== 'ed25519-key') return undefined;
  const [wanted] = generate.split('-') as [string];
  const found = kindOfKey(value);
  if (found === wanted) return undefined;
  return {
    wanted: `a private key of kind ${wanted} as PEM, without a passphrase`,
    found: found === undefined ? 'something else' : `one of kind ${found}`,
  };
}
