import { groupOf } from '../../../constructs/kinds';
import type { ServerRules } from '../../../checks/step/api-server/rules';
import type { Client, Json } from '../cluster/client';
import { create, type Base } from './bases';
import { copy, Donors, edits, places, type Edit } from './mutations';
import { OpenApi, type Type } from './open-api';

/** How often an edit of the same kind is tried at the same field of a kind. */
const TIMES = 4;

/** Asks an API server for the rules that are kept in checks/step/api-server/kubernetes-*.json. */
export async function derive(
  client: Client,
  version: string,
  all: readonly Base[],
  only: (base: Base) => boolean = () => true,
): Promise<{ rules: ServerRules; conditional: string[] }> {
  const api = await OpenApi.of(client);
  const seen = new Observed(api);
  const changes = new Changes();
  const donors = new Donors();
  for (const { object } of all) donors.add(places(api, object));
  const tried = new Map<string, number>();
  const lives = await inParallel(all, (base) => create(client, base));
  for (const [index, base] of all.entries()) {
    if (!only(base)) continue;
    const live = lives[index]!;
    seen.created(base.object, live);
    const wanted = places(api, base.object)
      .flatMap((place) => edits(place, donors))
      .filter(({ what, pattern }) => {
        const state = base.object.kind === 'Job' && base.object.spec.suspend ? 'suspended' : '';
        const key = `${base.object.kind} ${state} ${what} ${pattern}`;
        const times = (tried.get(key) ?? 0) + 1;
        tried.set(key, times);
        return times <= TIMES;
      });
    await inParallel(wanted, (edit) => tryEdit(client, base, live, edit, seen, changes));
  }
  return { rules: rulesFrom(api, version, all, seen, changes), conditional: seen.conditional() };
}

/** Tries an edit by itself, and over the object that is there if the result could be created. */
async function tryEdit(
  client: Client,
  { object }: Base,
  live: Json,
  edit: Edit,
  seen: Observed,
  changes: Changes,
): Promise<void> {
  const edited = copy(object);
  edit.apply(edited);
  const alone = await created(client, edited);
  if (alone.status >= 300) return;
  seen.created(edited, alone.body);
  const over = await dryRun(client, edited);
  // Such a list, or a port that another base has, is refused in any object, and says nothing of the field.
  if (/duplicate entries|omits all key fields|provided port is already allocated/.test(over.body.message ?? '')) return;
  changes.add(object, edit, over.status < 300, over.status < 300 && differs(over.body, live));
}

/** A few at a time: the server has more than one core. */
export async function inParallel<T, R>(all: readonly T[], each: (item: T) => Promise<R>, width = 12): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < all.length) {
      const index = next++;
      results[index] = await each(all[index]!);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** The same object under a name that is free, without what only one object can have. */
export function elsewhere(object: Json): Json {
  const next = copy(object);
  next.metadata.name = `${next.metadata.name}-x`;
  if (next.kind === 'Service') {
    if (next.spec?.clusterIP?.startsWith('10.96.')) next.spec.clusterIP = '10.96.200.200';
    for (const port of next.spec?.ports ?? []) if (port.nodePort >= 30_000) port.nodePort += 1_000;
    if (next.spec?.healthCheckNodePort >= 30_000) next.spec.healthCheckNodePort += 1_000;
  }
  return next;
}

/** What the server would make of an object if it were new. */
export async function created(client: Client, object: Json): Promise<{ status: number; body: Json }> {
  const next = elsewhere(object);
  const path = (await client.pathOf(next)).replace(/\/[^/]+$/, '');
  return client.request('POST', `${path}?fieldValidation=Strict&dryRun=All`, next);
}

export async function dryRun(client: Client, object: Json): Promise<{ status: number; body: Json }> {
  const query = '?fieldManager=collab-homelab-test&force=true&fieldValidation=Strict&dryRun=All';
  return client.request('PATCH', `${await client.pathOf(object)}${query}`, object, 'application/apply-patch+yaml');
}

/** Whether the server would store something else; who applied what, and when, does not count. */
export function differs(a: Json, b: Json): boolean {
  return sorted(content(a)) !== sorted(content(b));
}

export function content(object: Json): Json {
  const { status: _, ...rest } = copy(object);
  for (const field of ['managedFields', 'resourceVersion', 'generation', 'uid', 'creationTimestamp'])
    Reflect.deleteProperty(rest.metadata, field);
  return rest;
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, each) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** What the server made of objects that were created: defaults, and empty values that it leaves out. */
class Observed {
  /** By type and field: each value that was filled in, "missing" where none was. */
  private readonly filled = new Map<string, Map<string, number>>();
  private readonly said = new Map<string, { dropped: number; kept: number }>();
  private readonly zeros = new Map<string, { dropped: number; kept: number }>();

  constructor(private readonly api: OpenApi) {}

  created(sent: Json, got: Json): void {
    this.compare(sent, got, this.api.root(sent));
  }

  private compare(sent: any, got: any, type: Type): void {
    if (Array.isArray(sent) && Array.isArray(got)) {
      const entry = this.api.entries(type);
      // A list that the server changed has no entries to compare.
      if (entry && sent.length === got.length) sent.forEach((each, index) => this.compare(each, got[index], entry));
      return;
    }
    if (!isObject(sent) || !isObject(got)) return;
    const fields = this.api.fields(type);
    for (const [name, inner] of fields) {
      if (/^(apiVersion|kind|status)$/.test(name) && fields.has('metadata')) continue;
      if (type.name === 'ObjectMeta' && /^(managedFields|uid|resourceVersion|creationTimestamp|generation)$/.test(name))
        continue;
      const [was, is] = [sent[name], got[name]];
      const isZero =
        was === '' ||
        was === 0 ||
        was === false ||
        (inner.schema.properties && isObject(was) && Object.keys(was).length === 0);
      const field = `${type.name}.${name}`;
      if (isZero) {
        const count = this.zeros.get(field) ?? { dropped: 0, kept: 0 };
        // What is filled in instead was left out before.
        if (is === was || isObject(is)) count.kept++;
        else count.dropped++;
        this.zeros.set(field, count);
      }
      if (was !== undefined && was !== null && !isZero && !isEmpty(was)) {
        const count = this.said.get(field) ?? { dropped: 0, kept: 0 };
        if (is === undefined) count.dropped++;
        else count.kept++;
        this.said.set(field, count);
      }
      if (was === undefined || was === null) {
        if (type.name === 'ObjectMeta') continue;
        const values = this.filled.get(field) ?? new Map<string, number>();
        const text = is === undefined || is === null ? 'missing' : sorted(is);
        values.set(text, (values.get(text) ?? 0) + 1);
        this.filled.set(field, values);
      } else this.compare(was, is, inner);
    }
    const entry = this.api.entries(type);
    if (fields.size === 0 && entry) for (const key of Object.keys(sent)) this.compare(sent[key], got[key], entry);
  }

  defaults(): Record<string, Record<string, unknown>> {
    const all: Record<string, Record<string, unknown>> = {};
    for (const [field, values] of this.filled) {
      const [value, ...others] = values.keys();
      if (others.length > 0 || value === 'missing') continue;
      const [type, name] = cut(field);
      (all[type] ??= {})[name] = JSON.parse(value!);
    }
    return all;
  }

  conditional(): string[] {
    return [...this.filled]
      .filter(([, values]) => values.size > 1)
      .map(
        ([field, values]) =>
          `${field}: ${[...values]
            .map(([value, times]) => `${value.slice(0, 80)} (${times})`)
            .slice(0, 6)
            .join(', ')}`,
      );
  }

  emptied(): Record<string, string[]> {
    return neverKept(this.zeros);
  }

  /** Fields behind a gate that is closed. What is written in one field and kept in another is no such field. */
  ignored(): Record<string, string[]> {
    return neverKept(new Map([...this.said].filter(([field]) => field !== 'Secret.stringData')));
  }
}

function neverKept(counts: ReadonlyMap<string, { dropped: number; kept: number }>): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [field, { dropped, kept }] of counts) {
    if (kept > 0 || dropped === 0) continue;
    const [type, name] = cut(field);
    (all[type] ??= []).push(name);
  }
  for (const names of Object.values(all)) names.sort();
  return all;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function cut(field: string): [string, string] {
  const at = field.lastIndexOf('.');
  return [field.slice(0, at), field.slice(at + 1)];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the server made of changes, by kind and field. */
class Changes {
  private readonly all = new Map<string, Map<string, { refused: number; taken: number }>>();

  add({ apiVersion, kind, spec }: Json, { pattern }: Edit, taken: boolean, changed: boolean): void {
    const key = `${groupOf(apiVersion)}/${kind}${kind === 'Job' && spec.suspend ? ' suspended' : ''}`;
    const fields = this.all.get(key) ?? new Map<string, { refused: number; taken: number }>();
    const count = fields.get(pattern) ?? { refused: 0, taken: 0 };
    if (!taken) count.refused++;
    else if (changed) count.taken++;
    fields.set(pattern, count);
    this.all.set(key, fields);
  }

  /** The topmost fields of which, and below which, no change was taken and some were refused. */
  immutable(kind: string): string[] {
    const totals = new Map<string, { refused: number; taken: number }>();
    for (const [pattern, { refused, taken }] of this.all.get(kind) ?? []) {
      const parts = pattern.replace(/(\[\]|\{\})+/g, '').split('.');
      parts.forEach((_, index) => {
        const prefix = parts.slice(0, index + 1).join('.');
        const total = totals.get(prefix) ?? { refused: 0, taken: 0 };
        totals.set(prefix, { refused: total.refused + refused, taken: total.taken + taken });
      });
    }
    const frozen = [...totals].filter(([, { refused, taken }]) => refused > 0 && taken === 0).map(([path]) => path);
    return frozen.filter((path) => !frozen.some((other) => path.startsWith(`${other}.`))).sort();
  }

  /** Fields of a suspended Job's template that were taken. */
  whileSuspended(kind: string): string[] {
    const open = [...(this.all.get(`${kind} suspended`) ?? [])].filter(
      ([pattern, { taken, refused }]) =>
        taken > 0 && refused === 0 && /^spec\.template\.(metadata|spec)\./.test(pattern),
    );
    const paths = new Set(open.map(([pattern]) => pattern.replace(/\[\]|\{\}/g, '')));
    return [...paths].filter((path) => ![...paths].some((other) => path.startsWith(`${other}.`))).sort();
  }

  mixed(kind: string): string[] {
    return [...(this.all.get(kind) ?? [])]
      .filter(([, { refused, taken }]) => refused > 0 && taken > 0)
      .map(([pattern, { refused, taken }]) => `${kind} ${pattern}: ${refused} refused, ${taken} taken`);
  }
}

function rulesFrom(api: OpenApi, version: string, all: readonly Base[], seen: Observed, changes: Changes): ServerRules {
  const kinds: Record<string, any> = {};
  const types: Record<string, Record<string, string>> = {};
  for (const { object } of all) {
    const key = `${groupOf(object.apiVersion)}/${object.kind}`;
    if (kinds[key]) continue;
    const root = api.root(object);
    const custom = !/(^|\.)k8s\.io$/.test(groupOf(object.apiVersion)) && groupOf(object.apiVersion).includes('.');
    kinds[key] = {
      type: root.name,
      immutable: changes.immutable(key),
      ...(key === 'batch/Job' && { whileSuspended: changes.whileSuspended(key) }),
      ...((custom || key.startsWith('gateway.')) && { custom: true }),
    };
    collect(api, root, types);
    for (const line of changes.mixed(key)) console.log(`mixed: ${line}`);
  }
  const known = (table: Record<string, any>) =>
    Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    kubernetes: version,
    kinds: known(kinds),
    types: known(types),
    defaults: known(seen.defaults()),
    zeros: known(seen.emptied()),
    ignored: known(seen.ignored()),
  } as ServerRules;
}

/** Shapes of every field that is more than one value. */
function collect(api: OpenApi, type: Type, types: Record<string, Record<string, string>>): void {
  if (types[type.name]) return;
  const fields: Record<string, string> = {};
  types[type.name] = fields;
  for (const [name, inner] of api.fields(type)) {
    if (name === 'status' && type.schema.properties.metadata) continue;
    const text = shape(api, inner, types);
    if (text !== undefined) fields[name] = text;
  }
  if (Object.keys(fields).length === 0) Reflect.deleteProperty(types, type.name);
}

function shape(api: OpenApi, type: Type, types: Record<string, Record<string, string>>): string | undefined {
  const { schema } = type;
  if (type.name === 'Quantity') return 'Quantity';
  const atomic = schema['x-kubernetes-map-type'] === 'atomic' ? '=' : '';
  const entry = api.entries(type);
  const inner = entry && (shape(api, entry, types) ?? '');
  if (schema.type === 'array') {
    const list = schema['x-kubernetes-list-type'];
    if (list === 'set') return '<>';
    const keys = list === 'map' ? ` by ${schema['x-kubernetes-list-map-keys'].join(',')}` : '';
    return `[${inner}${keys}]`;
  }
  if (entry) return `${atomic}{${inner}}`;
  if (!schema.properties) return undefined;
  collect(api, type, types);
  return `${atomic}${type.name}`;
}
