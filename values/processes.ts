import { sentence } from './problem';
import { textProblem } from './text';

/** Longest argument or variable in bytes, below Linux' MAX_ARG_STRLEN (32 pages of 4 KiB) with room for the name of the variable. */
const LONGEST = 127 * 1024;

/** What is wrong with an argument or variable of a process, as a sentence, or undefined. */
export function stringProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'string' || Buffer.byteLength(value) <= LONGEST) return textProblem(value, what);
  return sentence({
    what: `${what} must have at most 127 KiB: Linux starts no process with a longer one`,
    got: `${Buffer.byteLength(value)} bytes`,
    fix: 'put it into `files`, and give the path',
  });
}

/** What is wrong with a command and its arguments, as a sentence, or undefined. */
export function commandProblem(
  value: unknown,
  what: string,
  words = 'a command and its arguments',
): string | undefined {
  if (Array.isArray(value) && value.length > 0 && (value[0] !== '' || words === 'arguments'))
    return value
      .map((part, index) => stringProblem(part, `${what}[${index}]`))
      .find((problem) => problem !== undefined);
  return sentence({
    what: `${what} must be ${words}`,
    got: value,
    allowed: 'a list of at least one text; no shell splits it',
    fix: "write it like ['node', 'migrate.js'], or ['sh', '-c', 'a && b'] for a shell of the image",
  });
}

/** What is wrong with arguments, as a sentence, or undefined. */
export function argsProblem(value: unknown, what: string): string | undefined {
  return Array.isArray(value) && value.length === 0 ? undefined : commandProblem(value, what, 'arguments');
}

/** Default user and group of the pods of a service: above 10000, so that no user of the node has the same number. */
export const USER = 10001;

/** What is wrong with a numeric user, as a sentence, or undefined. */
export function userProblem(value: unknown, what: string): string | undefined {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) < 2 ** 31 - 1) return undefined;
  return sentence({
    what: `${what} must be the number of a user`,
    got: value,
    allowed: '1 to 2147483646',
    fix: value === 0 ? "for root write allow: { root: 'why the image needs it' }" : "write the image's, as 1000",
  });
}
