import { sentence, shown } from '../values/problem';
import { at, isRecord } from './shape';

/** Entries of one object or list that are read, at most: more are a mistake of a program that makes them. */
const MAX_ENTRIES = 10_000;

/** Levels of objects in objects; a homelab has six. */
const MAX_DEPTH = 12;

/**
 * A copy of what was written, as plain objects, lists without holes and single values, so that whatever judges or renders
 * it meets no surprise. Instances of classes (sizes, durations) are single values. What cannot be copied is a problem.
 */
export function plain(written: unknown, problems: string[]): unknown {
  return copy(() => written, '', []);

  function copy(read: () => unknown, path: string, above: readonly unknown[]): unknown {
    try {
      const value = read();
      const inside = [...above, value];
      if (above.includes(value) && typeof value === 'object' && value !== null)
        return problem(path, 'written out', 'an object that it stands in itself', 'write a value there');
      if (above.length > MAX_DEPTH)
        return problem(path, 'a plain value', 'too many objects in objects', 'write a value there');
      if (Array.isArray(value)) return list(value, path, inside);
      return isRecord(value) ? record(value, path, inside) : value;
    } catch (error) {
      const got = `something that fails when it is read (${shown((error as Error | undefined)?.message)})`;
      return problem(path, 'a plain value', got, 'write the value itself');
    }
  }

  function list(entries: readonly unknown[], path: string, above: readonly unknown[]): unknown {
    if (entries.length > MAX_ENTRIES)
      return problem(path, `a list of at most ${MAX_ENTRIES}`, `${entries.length} entries`, 'shorten it');
    return Array.from({ length: entries.length }, (_, index) => {
      const place = `${path}[${index}]`;
      if (index in entries) return copy(() => entries[index], place, above);
      return problem(place, 'a value', 'a hole in the list', 'remove the comma too many');
    });
  }

  function record(fields: Record<string, unknown>, path: string, above: readonly unknown[]): unknown {
    const keys = Reflect.ownKeys(fields);
    const symbol = keys.find((key) => typeof key === 'symbol');
    if (symbol !== undefined)
      return problem(path, 'an object whose properties have names', symbol, 'write the name as text');
    if (keys.length > MAX_ENTRIES)
      return problem(path, `an object of at most ${MAX_ENTRIES} properties`, `${keys.length}`, 'shorten it');
    return Object.fromEntries(
      (keys as string[]).map((key) => [key, copy(() => fields[key], at(path, key), above)] as const),
    );
  }

  function problem(path: string, what: string, got: unknown, fix: string): undefined {
    problems.push(sentence({ what: `${path || 'the homelab'} must be ${what}`, got, fix }));
  }
}
