import { nearest, suggested } from './nearest';
import { missing, sentence } from './problem';

/** What is wrong with one value, as a sentence that starts with its place, or undefined. */
export type Validator = (value: unknown, what: string) => string | undefined;

/** A validator for each field of T: a field without one does not compile. Each gets a value that is given. */
export type Fields<T> = { readonly [K in keyof Required<T>]: Validator };

/** What is wrong with an object of known fields, as a sentence, or undefined. Fields may be left out unless `required` names them. */
export function fieldsProblem<T>(
  value: unknown,
  what: string,
  fields: Fields<T>,
  required: readonly (keyof T & string)[] = [],
): string | undefined {
  const names = Object.keys(fields);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return sentence({
      what: `${what} must be an object`,
      got: value,
      allowed: names.join(', '),
      fix: 'write it as { ... }',
    });
  const given = value as Record<string, unknown>;
  const unknown = Object.keys(given).find((key) => !names.includes(key));
  if (unknown !== undefined)
    return sentence({
      what: `${what}.${unknown} must be a known property`,
      got: given[unknown],
      allowed: names.join(', '),
      fix: suggested(unknown, names, 'correct the name or remove it'),
    });
  for (const [name, validate] of Object.entries<Validator>(fields)) {
    const isMissing = given[name] === undefined;
    if (isMissing && !required.includes(name as keyof T & string)) continue;
    const problem = validate(given[name], `${what}.${name}`);
    if (problem !== undefined) return isMissing ? missing(problem) : problem;
  }
  return undefined;
}

/** Accepts one of several words. */
export function wordOf(...words: readonly string[]): Validator {
  return (value, what) => {
    if (words.includes(value as string)) return undefined;
    const near = typeof value === 'string' ? nearest(value, words) : undefined;
    return sentence({
      what: `${what} must be one of ${words.join(', ')}`,
      got: value,
      fix: near === undefined ? 'choose one of them' : `did you mean ${near}?`,
    });
  };
}

/** Accepts a whole number. */
export function wholeNumber(minimum: number, maximum: number, fix = 'change the number'): Validator {
  return (value, what) =>
    Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      ? undefined
      : sentence({ what: `${what} must be a whole number from ${minimum} to ${maximum}`, got: value, fix });
}

/** Accepts a Duration of whole seconds. */
export function seconds(minimum: number, maximum: number, example: string): Validator {
  return (value, what) => {
    const given = secondsOf(value);
    if (Number.isInteger(given) && given >= minimum && given <= maximum) return undefined;
    return sentence({
      what: `${what} must be a Duration of ${minimum} to ${maximum} whole seconds`,
      got: Number.isFinite(given) ? `${given} s` : value,
      fix: `write ${example}`,
    });
  };
}

/** Seconds of a Duration; NaN for anything else. */
function secondsOf(value: unknown): number {
  const duration = value as { toSeconds?: (options: { integral: boolean }) => number } | null | undefined;
  return typeof duration?.toSeconds === 'function' ? duration.toSeconds({ integral: false }) : NaN;
}
