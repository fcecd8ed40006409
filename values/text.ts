import { sentence } from './problem';

const HALF_PAIR = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** What is wrong with text of a person that goes to a process or into a file, as a sentence, or undefined. Empty text is text. */
export function textProblem(value: unknown, what: string): string | undefined {
  const problem = (fix: string) => sentence({ what: `${what} must be text`, got: value, fix });
  if (typeof value !== 'string')
    return problem(`write it in quotes${typeof value === 'object' ? '' : `: '${String(value)}'`}`);
  if (value.includes('\0')) return problem('take the NUL character out: no process can be given one');
  return HALF_PAIR.test(value) ? problem('take out the half of a surrogate pair, which is no character') : undefined;
}
