import { groupOf } from '../../../constructs';
import type { Manifest } from '../objects';

/** The measured behaviour of one version of the API server, from data/. */
export interface ServerRules {
  readonly kubernetes: string;
  /** By group and name, as apps/Deployment; the core group has no name: /Service. */
  readonly kinds: Readonly<Record<string, KindRules>>;
  /** Fields of each type that are structs, maps or lists, in the notation of `shapeOf`. */
  readonly types: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Defaults that the server fills in for missing fields of a type. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Fields of each type that the server drops if they are empty: "", 0 or false. */
  readonly zeros: Readonly<Record<string, readonly string[]>>;
  /** Fields of each type that the server always drops. */
  readonly ignored: Readonly<Record<string, readonly string[]>>;
}

/** Rules for the objects of one kind. */
export interface KindRules {
  readonly type: string;
  /** Immutable fields. A list includes all its entries. */
  readonly immutable: readonly string[];
  /** For a Job: fields of its template that can change while it is suspended. @default none */
  readonly whileSuspended?: readonly string[];
  /** Whether a CustomResourceDefinition defines it. The server stores such objects as written. @default false */
  readonly custom?: boolean;
}

/** How the server merges a field. */
export interface Shape {
  readonly form: 'any' | 'quantity' | 'struct' | 'map' | 'list' | 'set' | 'keyed';
  /** Type of a struct, or of the entries of a map or list. */
  readonly type?: string;
  /** Whether it is replaced as a whole. */
  readonly atomic: boolean;
  /** Keys that identify an entry of a list. */
  readonly keys: readonly string[];
}

export const ANY: Shape = { form: 'any', atomic: false, keys: [] };

const VERSIONS: readonly (readonly [string, () => ServerRules])[] = [
  // Loaded only if something changed, so that a synth without a change does not load it.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  ['1.31', () => require('./data/kubernetes-1.31.json') as ServerRules],
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  ['1.36', () => require('./data/kubernetes-1.36.json') as ServerRules],
];

/** The rules of a version: those of the nearest known one that is not newer, else of the oldest. @param kubernetes as v1.36.3 */
export function rulesOf(kubernetes?: string): ServerRules {
  if (kubernetes === undefined) return VERSIONS.at(-1)![1]();
  const minor = (version: string) => Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? Infinity);
  const known = VERSIONS.filter(([version]) => minor(version) <= minor(kubernetes)).at(-1) ?? VERSIONS[0]!;
  return known[1]();
}

/** The rules for an object's kind. Undefined for a kind that was not measured. */
export function kindRules(rules: ServerRules, { apiVersion, kind }: Manifest): KindRules | undefined {
  return rules.kinds[`${groupOf(apiVersion)}/${kind}`];
}

const shapes = new Map<string, Shape>();

/** Shape of a field of a type. */
export function fieldShape(rules: ServerRules, type: string | undefined, field: string): Shape {
  const text = type === undefined ? undefined : rules.types[type]?.[field];
  return text === undefined ? ANY : shapeOf(text);
}

/** Shape of the entries of a map or list. */
export function entryShape({ type }: Shape): Shape {
  return type === undefined ? ANY : shapeOf(type);
}

/** Shape of a key of an object. */
export function keyShape(rules: ServerRules, shape: Shape, key: string): Shape {
  return shape.form === 'struct' ? fieldShape(rules, shape.type, key) : entryShape(shape);
}

/**
 * Reads a shape: `PodSpec` a struct, `{Quantity}` a map, `[Rule]` a list that is replaced as a whole, `[Rule by name,port]` a
 * list that is merged by those keys, `<>` a set; with = before it, an object that is replaced as a whole.
 */
export function shapeOf(text: string): Shape {
  const known = shapes.get(text) ?? parse(text);
  shapes.set(text, known);
  return known;
}

function parse(text: string): Shape {
  const atomic = text.startsWith('=');
  const bare = atomic ? text.slice(1) : text;
  const inner = bare.slice(1, -1);
  if (bare === 'Quantity') return { form: 'quantity', atomic: true, keys: [] };
  if (bare === '<>') return { form: 'set', atomic: false, keys: [] };
  if (bare.startsWith('{')) return { form: 'map', type: inner || undefined, atomic, keys: [] };
  if (!bare.startsWith('[')) return { form: 'struct', type: bare, atomic, keys: [] };
  const [type, keys] = inner.split(' by ');
  return keys === undefined
    ? { form: 'list', type: type || undefined, atomic: true, keys: [] }
    : { form: 'keyed', type, atomic: false, keys: keys.split(',') };
}
