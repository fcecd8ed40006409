/** Whether a value is an object with keys. */
export function isObject(value: unknown): value is Record<string, any> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether two values are equal. Ignores the order of keys, but not of lists. */
export function same(a: any, b: any): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((entry, index) => same(entry, b[index]));
  if (!isObject(a) || !isObject(b)) return Object.is(a, b);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

/** The value at a path of keys. */
export function at(value: any, path: readonly string[]): any {
  return path.reduce((found, name) => found?.[name], value);
}
