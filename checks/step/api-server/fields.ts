import type { Manifest } from '../objects';
import type { FieldChange } from '../plan';
import { isObject, same } from './json';
import { entryKey } from './merge';
import type { Refusal } from './refusal';
import { ANY, entryShape, keyShape, kindRules, type ServerRules, type Shape } from './rules';

/** A step down into an object: a key, or a list entry by its identity or index. */
type Step = (value: any) => any;

interface Difference {
  readonly path: string;
  readonly steps: readonly Step[];
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Input for the comparison of two values or lists. */
interface Sides {
  readonly before: any;
  readonly after: any;
}

/** One entry per field that differs in the manifests, with the value that the server stores. */
export function fieldChanges(
  rules: ServerRules,
  { before, after }: Sides,
  { live, next }: { live: Manifest; next: Manifest },
  refusals: readonly Refusal[],
): FieldChange[] {
  const kind = kindRules(rules, after);
  const shape: Shape = kind ? { form: 'struct', type: kind.type, atomic: false, keys: [] } : ANY;
  return differences(rules, shape, { before, after }, '', []).map(({ path, steps, before: was, after: is }) => {
    const change = { path, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) };
    const refusal = refusals.find((each) => isBelow(path, each.path) || isBelow(each.path, path));
    if (refusal) return { ...change, verdict: 'refused', reason: refusal.reason };
    const [held, holds] = [live, next].map((object) => steps.reduce((value, step) => step(value), object as any));
    if (!same(held, holds)) return { ...change, verdict: 'live', reason: 'the API server updates it in place' };
    return { ...change, verdict: 'nothing', reason: unchanged(was, is, held) };
  });
}

function unchanged(was: unknown, is: unknown, held: unknown): string {
  if (held === undefined) return 'the API server drops empty values';
  if (was === undefined) return 'it equals the default of the API server';
  if (is === undefined) return 'the API server keeps its value';
  return 'the API server stores the same value for both';
}

/** Whether a path equals another path or lies inside it. */
export function isBelow(path: string, other: string): boolean {
  return path === other || (path.startsWith(other) && /^[.[]/.test(path.slice(other.length)));
}

function differences(
  rules: ServerRules,
  shape: Shape,
  { before, after }: Sides,
  path: string,
  steps: readonly Step[],
): Difference[] {
  if (same(before, after)) return [];
  const whole = [{ path, steps, before, after }];
  if (Array.isArray(before) && Array.isArray(after)) return entries(rules, shape, { before, after }, path, steps);
  if (!isObject(before) || !isObject(after)) return whole;
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) =>
    differences(rules, keyShape(rules, shape, key), { before: before[key], after: after[key] }, below(path, key), [
      ...steps,
      (value) => value?.[key],
    ]),
  );
}

function entries(rules: ServerRules, shape: Shape, { before, after }: Sides, path: string, steps: readonly Step[]) {
  const whole = [{ path, steps, before, after }];
  const one = entryShape(shape);
  if (shape.form !== 'keyed') {
    if (before.length !== after.length || !before.every(isObject) || !after.every(isObject)) return whole;
    return before.flatMap((was: unknown, index: number) =>
      differences(rules, one, { before: was, after: after[index] }, `${path}[${index}]`, [
        ...steps,
        (value) => value?.[index],
      ]),
    );
  }
  const key = (entry: unknown) => entryKey(rules, shape, entry);
  const [was, is] = [before, after].map((list: unknown[]) => new Map(list.map((entry) => [key(entry), entry])));
  const inBoth = [...was!.keys()].filter((each) => is!.has(each));
  const order = [...is!.keys()].filter((each) => was!.has(each));
  const changed = [...new Set([...was!.keys(), ...is!.keys()])].flatMap((each) =>
    differences(rules, one, { before: was!.get(each), after: is!.get(each) }, `${path}[${each}]`, [
      ...steps,
      (value) => (Array.isArray(value) ? value.find((entry) => key(entry) === each) : undefined),
    ]),
  );
  const keys = (value: any) => (Array.isArray(value) ? value.map(key) : value);
  if (!same(inBoth, order) || changed.length === 0)
    changed.unshift({ path, steps: [...steps, keys], before: keys(before), after: keys(after) });
  return changed;
}

function below(path: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}
