import type { Json } from '../cluster/client';
import type { OpenApi, Type } from './open-api';

/** A place in an object. */
export interface Place {
  /** Keys and indices. */
  readonly path: readonly (string | number)[];
  /** The same with [] for an index and {} for a key of a map: spec.containers[].image. */
  readonly pattern: string;
  readonly type: Type;
  /** Type and field that it is of, as Container.image; of a map or list, that of the whole. */
  readonly field: string;
  readonly value: unknown;
}

/** What is done to an object: one edit. */
export interface Edit {
  readonly what: string;
  readonly pattern: string;
  readonly path: readonly (string | number)[];
  readonly apply: (object: Json) => void;
}

/** Names and places of an object are no edits: it would be another one. */
const FIXED = [
  /^(apiVersion|kind|status|metadata\.(name|namespace)|spec\.volumeClaimTemplates\[\]\.status)$/,
  /(^|\.)metadata\.(managedFields|uid|resourceVersion|creationTimestamp|generation|selfLink|deletion\w+|generateName|ownerReferences)$/,
  // Behind gates that some version closes: what the server drops there depends on the old object.
  /(^|\.)(managedBy|volumeAttributesClassName|dataSource|dataSourceRef|procMount)$|\.volumes\[\]\.image$/,
];

/** Every place in an object that may be edited, missing fields of its structs included. */
export function places(api: OpenApi, object: Json): Place[] {
  const found: Place[] = [];
  const walk = (value: any, type: Type, path: readonly (string | number)[], pattern: string, field: string): void => {
    if (FIXED.some((each) => each.test(pattern))) return;
    if (path.length > 0 && pattern !== 'metadata') found.push({ path, pattern, type, field, value });
    if (Array.isArray(value)) {
      const entry = api.entries(type);
      if (entry) value.forEach((each, index) => walk(each, entry, [...path, index], `${pattern}[]`, `${field}[]`));
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    const fields = api.fields(type);
    for (const [name, inner] of fields)
      if (name in value || value !== undefined)
        walk(value[name], inner, [...path, name], pattern === '' ? name : `${pattern}.${name}`, `${type.name}.${name}`);
    const entry = api.entries(type);
    if (fields.size === 0 && entry)
      for (const [key, each] of Object.entries(value)) walk(each, entry, [...path, key], `${pattern}{}`, `${field}{}`);
  };
  walk(object, api.root(object), [], '', '');
  return found;
}

/** Values seen at each field anywhere, so that an edit can be what somebody would write. */
export class Donors {
  private readonly byField = new Map<string, Map<string, unknown>>();

  add(all: readonly Place[]): void {
    for (const { field, value } of all) {
      if (value === undefined || value === null) continue;
      const values = this.byField.get(field) ?? new Map<string, unknown>();
      if (values.size < 12) values.set(JSON.stringify(value), value);
      this.byField.set(field, values);
    }
  }

  of({ field, value }: Place): unknown[] {
    const same = JSON.stringify(value);
    return [...(this.byField.get(field) ?? [])].filter(([text]) => text !== same).map(([, donor]) => copy(donor));
  }
}

/** Every edit of a place that is tried. */
export function edits(place: Place, donors: Donors): Edit[] {
  const { value } = place;
  const set = (what: string, next: unknown): Edit => edit(place, what, (holder, key) => (holder[key] = copy(next)));
  const all = donors.of(place).map((donor) => set(value === undefined ? 'set' : 'change', donor));
  if (value === undefined) return [...all, ...invented(place).map((next) => set('set', next))];
  all.push(
    edit(place, 'unset', (holder, key) =>
      Array.isArray(holder) ? holder.splice(key as number, 1) : Reflect.deleteProperty(holder, key),
    ),
  );
  if (Array.isArray(value)) return [...all, ...lists(place, value)];
  if (typeof value === 'object' && value !== null) return [...all, ...maps(place, value as Json)];
  return [
    ...all,
    ...invented(place)
      .filter((next) => next !== value)
      .map((next) => set(isZero(next) ? 'zero' : 'change', next)),
  ];
}

function lists(place: Place, value: readonly unknown[]): Edit[] {
  const set = (what: string, next: unknown): Edit => edit(place, what, (holder, key) => (holder[key] = copy(next)));
  return [
    set('empty', []),
    ...(value.length > 0 ? [set('duplicate', [...value, value[0]])] : []),
    ...(value.length > 1 ? [set('reorder', [...value].reverse()), set('reorder', [...value.slice(1), value[0]])] : []),
    ...(value.length > 0 && typeof value[0] === 'string'
      ? [set('add', [...value, 'added']), set('add', ['first', ...value])]
      : []),
    ...(value.length > 0 && typeof value[0] === 'object'
      ? [set('add', [...value, renamed(value[0] as Json)]), set('add', [renamed(value[0] as Json), ...value])]
      : []),
  ];
}

/** A copy of an entry under other names and numbers. */
function renamed(entry: Json): Json {
  const next = copy(entry);
  for (const key of ['name', 'containerPort', 'port', 'mountPath', 'ip', 'host', 'path', 'key'])
    if (typeof next[key] === 'string') next[key] = `${next[key]}-2`;
    else if (typeof next[key] === 'number') next[key] += 1;
  return next;
}

function maps(place: Place, value: Json): Edit[] {
  const set = (what: string, next: unknown): Edit => edit(place, what, (holder, key) => (holder[key] = copy(next)));
  const isMap = place.type.schema.additionalProperties !== undefined;
  const keys = Object.keys(value);
  return [
    set('empty', {}),
    set('order of keys', Object.fromEntries(Object.entries(value).reverse())),
    ...(isMap ? [set('add', { ...value, added: keys.length > 0 ? value[keys[0]!] : 'x' })] : []),
  ];
}

/** Values that a type allows, whether anybody uses them or not. */
function invented({ type: { schema, name }, value }: Place): unknown[] {
  if (schema.enum) return [...schema.enum];
  if (name === 'Quantity' || (typeof value === 'string' && /^\d+(\.\d+)?(m|[KMG]i?)?$/.test(value)))
    return quantities(value);
  if (name === 'IntOrString') return [1, 2, '25%', '50%', 0, 'http'];
  switch (schema.type) {
    case 'boolean':
      return [true, false];
    case 'integer':
      return [0, 1, 2, Number(value ?? 5) + 1, 600];
    case 'string':
      return ['', typeof value === 'string' ? `${value}x` : 'x'];
    case 'array':
      return [[]];
    case 'object':
      return [{}];
    default:
      return [];
  }
}

function quantities(value: unknown): unknown[] {
  const binary = /^(\d+)Gi$/.exec(String(value));
  const unit = /^(\d+)$/.exec(String(value));
  return [
    ...(binary ? [`${Number(binary[1]) * 1024}Mi`, String(Number(binary[1]) * 2 ** 30)] : []),
    ...(unit ? [`${unit[1]}000m`, `${unit[1]}.0`] : []),
    ...['1', '0.5', '100m', '1Gi', '1.5Gi', '2048Mi', '5G', '1e3', '0'],
  ];
}

function edit(place: Place, what: string, change: (holder: any, key: string | number) => void): Edit {
  const { path, pattern } = place;
  return {
    what,
    pattern,
    path,
    apply: (object) => {
      const holder = path.slice(0, -1).reduce<any>((found, key) => found?.[key], object);
      if (typeof holder === 'object' && holder !== null) change(holder, path.at(-1)!);
    },
  };
}

function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false;
}

export function copy<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
