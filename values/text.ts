import { sentence } from './problem';

const HALF_PAIR = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Characters that JSON leaves as they are and YAML 1.1 does not: DEL, the C1 controls with NEL, and two that are none. */

export const UNWRITABLE = /[\x7f-\x9f\ufffe\uffff]/;

/** What is wrong with text that is passed to a process or written to a file, as a sentence, or undefined. Empty text is valid. */
export function textProblem(value: unknown, what: string): string | undefined {
  const problem = (fix: string) => sentence({ what: `${what} must be text`, got: value, fix });
  if (typeof value !== 'string')
    return problem(`write it in quotes${typeof value === 'object' ? '' : `: '${String(value)}'`}`);
  if (value.includes('\0'))
    return problem('remove the NUL character: arguments and variables of a process cannot contain it');
  if (UNWRITABLE.test(value))
    return problem(
      'remove the control character: the API server reads an apply as YAML 1.1, which refuses or replaces it',
    );
  return HALF_PAIR.test(value) ? problem('remove the unpaired surrogate, which is not a character') : undefined;
}
