import { groupOf } from '../../../constructs';
import { at, isObject, same } from './json';
import { canonicalQuantity, sameQuantity } from './quantity';
import { entryKey } from './merge';
import { wayOf, type Refusal, type Sides } from './refusal';
import { entryShape, keyShape, kindRules, type ServerRules, type Shape } from './rules';
import { transitionOf } from './transitions';

/** Every reason for which the server refuses to go from one object to the next. */
export function refusalsOf(rules: ServerRules, sides: Sides): Refusal[] {
  const kind = kindRules(rules, sides.next);
  if (!kind) return [];
  const { live, next, after } = sides;
  const type: Shape = { form: 'struct', type: kind.type, atomic: false, keys: [] };
  const differs = (path: string) => {
    const names = path.split('.');
    const holder = names.slice(0, -1);
    if (at(live, holder) === undefined || at(next, holder) === undefined) return false;
    const shape = names.reduce((found, name) => keyShape(rules, found, name), type);
    return !sameAmounts(rules, shape, at(live, names), at(next, names));
  };
  const frozen = kind.immutable.filter(differs).map((path): Refusal => ({
    path,
    reason: `${path} of a ${next.kind} cannot change after creation`,
    way: wayOf(next),
  }));
  const own = transitionOf(rules, `${groupOf(next.apiVersion)}/${next.kind}`);
  const nulls = kind.custom ? emptied(sides.merged, '') : [];
  return [...duplicates(rules, type, after, ''), ...nulls, ...(own ? own(frozen, sides, differs, kind) : frozen)];
}

/** Server-side apply identifies entries by their keys, and refuses duplicates. */
function duplicates(rules: ServerRules, shape: Shape, value: any, path: string): Refusal[] {
  if (Array.isArray(value)) {
    const inner = entryShape(shape);
    const key = (entry: unknown) => (shape.form === 'set' ? String(entry) : entryKey(rules, shape, entry));
    const below = value.flatMap((entry, index) =>
      duplicates(rules, inner, entry, `${path}[${shape.form === 'keyed' ? key(entry) : index}]`),
    );
    if (shape.form !== 'set' && shape.form !== 'keyed') return below;
    const keys = value.map(key);
    // In other lists a missing key is an empty name.
    if (inner.type === 'ObjectReference' && shape.form === 'keyed' && value.some(({ name }) => name === undefined)) {
      const reason = `${path} has an entry without ${shape.keys.join(' and ')}, which server-side apply needs to identify it`;
      return [{ path, reason, way: `give each entry of ${path} its ${shape.keys.join(' and ')}` }];
    }
    const twice = keys.find((each, index) => keys.indexOf(each) !== index);
    if (twice === undefined) return below;
    const reason = `${path} has two entries ${twice}, and server-side apply cannot distinguish them`;
    return [{ path, reason, way: 'keep one of the two' }, ...below];
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    isObject(each) || Array.isArray(each)
      ? duplicates(rules, keyShape(rules, shape, key), each, path === '' ? key : `${path}.${key}`)
      : [],
  );
}

/** Fields of a custom object that would become null, which its definition does not allow. */
function emptied(value: any, path: string): Refusal[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const below = path === '' ? key : `${path}.${key}`;
    if (below === 'metadata') return [];
    if (each !== null) return emptied(each, below);
    const reason = `server-side apply removes every field of ${below} and leaves null, which the definition does not allow`;
    return [{ path: below, reason, way: `remove ${below} completely instead of leaving it empty` }];
  });
}

/** Whether two values mean the same to the server, which compares quantities by their amount. */
export function sameAmounts(rules: ServerRules, shape: Shape, a: any, b: any): boolean {
  if (shape.form === 'quantity') return sameQuantity(canonicalQuantity(a), canonicalQuantity(b));
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((entry, index) => sameAmounts(rules, entryShape(shape), entry, b[index]));
  if (!isObject(a) || !isObject(b)) return same(a, b);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => key in b && sameAmounts(rules, keyShape(rules, shape, key), a[key], b[key]))
  );
}
