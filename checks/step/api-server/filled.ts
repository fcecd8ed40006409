import type { Manifest } from '../objects';
import { conditions } from './conditional-defaults';
import { isObject } from './json';
import { canonicalQuantity } from './quantity';
import { entryShape, fieldShape, kindRules, keyShape, type ServerRules, type Shape } from './rules';

/** Settings for reading one object. */
interface Reading {
  readonly rules: ServerRules;
  /** Whether the object is stored as written, including empty values. */
  readonly custom: boolean;
}

/** An object as the server stores it: empty values left out, defaults filled in, quantities in their shortest form. */
export function filled(rules: ServerRules, object: Manifest): Manifest {
  const kind = kindRules(rules, object);
  const { status: _, ...rest } = object;
  if (!kind) return rest;
  const reading = { rules, custom: kind.custom === true };
  const shape: Shape = { form: 'struct', type: kind.type, atomic: false, keys: [] };
  const stored = value(reading, shape, rest);
  conditions[kind.type]?.(stored);
  return stored;
}

function value(reading: Reading, shape: Shape, given: any, root?: any): any {
  if (shape.form === 'quantity') return reading.custom ? given : canonicalQuantity(given);
  if (Array.isArray(given)) return given.map((entry) => value(reading, entryShape(shape), entry, root));
  if (!isObject(given)) return given;
  const stored: Record<string, any> = {};
  for (const [key, each] of Object.entries(given)) {
    const inner = keyShape(reading.rules, shape, key);
    if (
      each === null ||
      ((!reading.custom || shape.type === 'ObjectMeta') && isDropped(reading.rules, shape, inner, key, each))
    )
      continue;
    stored[key] = value(reading, inner, each, root ?? stored);
  }
  return shape.form === 'struct' ? withDefaults(reading, shape.type!, stored, root ?? stored) : stored;
}

/** The server drops empty lists and maps, and other empty values where measurements show it. */
function isDropped(rules: ServerRules, shape: Shape, inner: Shape, key: string, given: unknown): boolean {
  const lists = (table: ServerRules['zeros']) =>
    shape.form === 'struct' && (table[shape.type!]?.includes(key) ?? false);
  if (lists(rules.ignored)) return true;
  if (Array.isArray(given)) return given.length === 0;
  if (isObject(given)) {
    if (Object.keys(given).length > 0) return false;
    if (inner.form === 'map') return true;
  } else if (given !== '' && given !== 0 && given !== false) return false;
  return lists(rules.zeros);
}

function withDefaults(reading: Reading, type: string, stored: Record<string, any>, root: any): Record<string, any> {
  if (root !== stored) conditions[type]?.(stored);
  for (const [field, standard] of Object.entries(reading.rules.defaults[type] ?? {}))
    if (stored[field] === undefined)
      // A default may itself need defaults.
      stored[field] = value(reading, fieldShape(reading.rules, type, field), structuredClone(standard), root);
  return stored;
}
