import { sentence, shown } from '../values/problem';
import { at, isRecord } from './shape';

/** Maximum number of entries of an object or list: more are a mistake in generated data. */
const MAX_ENTRIES = 10_000;

/** Maximum nesting of objects; a homelab has six levels. */
const MAX_DEPTH = 12;

/**
 * Copies a value to plain objects, dense lists and single values, so that validation and rendering never see getters, proxies
 * or holes. Instances of classes (sizes, durations) are single values. Reports a problem for everything that it cannot copy.
 */
export function plain(written: unknown, problems: string[]): unknown {
  return copy(() => written, '', []);

  function copy(read: () => unknown, path: string, above: readonly unknown[]): unknown {
    try {
      const value = read();
      const inside = [...above, value];
      if (above.includes(value) && typeof value === 'object' && value !== null)
        return problem(
          path,
          'a value without a circular reference',
          'a reference to an object that contains it',
          'write a value there',
        );
      if (above.length > MAX_DEPTH)
        return problem(path, 'a plain value', 'objects nested too deeply', 'write a value there');
      if (Array.isArray(value)) return list(value, path, inside);
      return isRecord(value) ? record(value, path, inside) : value;
    } catch (error) {
      const got = `something that throws when it is read (${shown((error as Error | undefined)?.message)})`;
      return problem(path, 'a plain value', got, 'write the value itself');
    }
  }

  function list(entries: readonly unknown[], path: string, above: readonly unknown[]): unknown {
    if (entries.length > MAX_ENTRIES)
      return problem(path, `a list of at most ${MAX_ENTRIES}`, `${entries.length} entries`, 'shorten it');
    return Array.from({ length: entries.length }, (_, index) => {
      const place = `${path}[${index}]`;
      if (index in entries) return copy(() => entries[index], place, above);
      return problem(place, 'a value', 'a hole in the list', 'remove the extra comma');
    });
  }

  function record(fields: Record<string, unknown>, path: string, above: readonly unknown[]): unknown {
    const keys = Reflect.ownKeys(fields);
    const symbol = keys.find((key) => typeof key === 'symbol');
    if (symbol !== undefined)
      return problem(path, 'an object without symbols as keys', symbol, 'write the key as text');
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
