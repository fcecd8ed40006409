import { isObject } from './json';
import { entryShape, keyShape, type ServerRules, type Shape } from './rules';

/**
 * Server-side apply by one manager that owns what it applied before: `after` is merged into `live`, and what `before` had and
 * `after` lacks is removed, with the defaults below it. Fields that nobody applied stay.
 */
export function applied(rules: ServerRules, shape: Shape, live: any, before: any, after: any): any {
  if (live === undefined || shape.atomic) return after;
  if (shape.form === 'set' && Array.isArray(live) && Array.isArray(after)) return set(live, before, after);
  if (shape.form === 'keyed' && Array.isArray(live) && Array.isArray(after))
    return keyed(rules, shape, live, Array.isArray(before) ? before : [], after);
  if (!isObject(live) || !isObject(after)) return after;
  const owned = isObject(before) ? before : {};
  const next: Record<string, any> = {};
  for (const [key, value] of Object.entries(live))
    if (key in after) next[key] = applied(rules, keyShape(rules, shape, key), value, owned[key], after[key]);
    else if (!(key in owned)) next[key] = value;
  for (const key of Object.keys(after)) if (!(key in live)) next[key] = after[key];
  // If every key of a map is removed, the server continues with null, which a custom object may not have.
  return Object.keys(next).length === 0 && Object.keys(live).length > 0 ? null : next;
}

function set(live: readonly unknown[], before: unknown, after: readonly unknown[]): unknown[] {
  const owned = new Set(Array.isArray(before) ? before : []);
  const mine = new Set(after);
  return inOrder(
    live.filter((entry) => mine.has(entry) || !owned.has(entry)),
    after,
    String,
    (_, entry) => entry,
  );
}

function keyed(
  rules: ServerRules,
  shape: Shape,
  live: readonly any[],
  before: readonly any[],
  after: readonly any[],
): any[] {
  const key = (entry: any) => entryKey(rules, shape, entry);
  const owned = new Map(before.map((entry) => [key(entry), entry]));
  const mine = new Set(after.map(key));
  const stays = live.filter((entry) => mine.has(key(entry)) || !owned.has(key(entry)));
  const entries = entryShape(shape);
  return inOrder(stays, after, key, (was, is) => applied(rules, entries, was, owned.get(key(is)), is));
}

/** The identity of a list entry, with the defaults of its keys. */
export function entryKey(rules: ServerRules, { keys, type }: Shape, entry: any): string {
  return keys.map((key) => String(entry?.[key] ?? rules.defaults[type!]?.[key] ?? '')).join('/');
}

/** The order of `after`; entries that only `live` has keep their place between those that both have. */
function inOrder<T>(
  live: readonly T[],
  after: readonly T[],
  key: (entry: T) => string,
  both: (was: T, is: T) => T,
): T[] {
  const was = new Map(live.map((entry) => [key(entry), entry]));
  const mine = new Set(after.map(key));
  const shared = after.map(key).filter((each) => was.has(each));
  const next: T[] = [];
  let [l, r, s] = [0, 0, 0];
  while (l < live.length || r < after.length) {
    const left = l < live.length ? key(live[l]!) : undefined;
    const right = r < after.length ? key(after[r]!) : undefined;
    if (left !== undefined && left !== right && mine.has(left) && left !== shared[s]) l++;
    else if (left !== undefined && !mine.has(left)) next.push(live[l++]!);
    else if (right !== undefined) {
      next.push(was.has(right) ? both(was.get(right)!, after[r]!) : after[r]!);
      if (right === shared[s]) s++;
      if (left === right) l++;
      r++;
    } else l++;
  }
  return next;
}
