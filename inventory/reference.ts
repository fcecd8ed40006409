import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';

/** Validates that each value is used once; the first of each pair is its place. */
export function twice(entries: readonly (readonly [string, unknown])[]): string[] {
  const owners = new Map<unknown, string>();
  return entries.flatMap(([place, value]) => {
    const other = owners.get(value);
    owners.set(value, place);
    return other === undefined
      ? []
      : [
          sentence({
            what: `${place} must be used once`,
            got: `${String(value)}, which ${other} has`,
            fix: 'change one of the two',
          }),
        ];
  });
}

/** Validates that a name is one of the existing names. */
export function oneOf(
  what: string,
  name: string,
  names: readonly string[],
  fix = 'correct the name, or add it',
): string[] {
  if (names.includes(name)) return [];
  return [sentence({ what, got: name, allowed: names.join(', ') || 'none exists', fix: suggested(name, names, fix) })];
}
