import { groupOf } from '../../../constructs/kinds';
import { compared, type ApiChange } from '../../../checks/step/api-server';
import { same } from '../../../checks/step/api-server/json';
import type { ServerRules } from '../../../checks/step/api-server/rules';
import type { Client, Json } from '../cluster/client';
import { CLASSES, create, type Base } from './bases';
import { content, created, differs, dryRun, inParallel } from './derive';
import { copy, Donors, edits, places, type Edit, type Place } from './mutations';
import { OpenApi } from './open-api';
import { pairCases } from './pair-cases';
import { Random } from './random';

type Verdict = ApiChange['verdict'];

/** A pair of objects and what the API server said to the second over the first. */
export interface Asked {
  readonly base: Base;
  readonly after: Json;
  readonly edits: readonly Edit[];
  readonly verdict: Verdict;
  /** The server's message, where it refuses. */
  readonly message: string;
  /** What it would store, where it does not. */
  readonly stored?: Json;
}

/** Asks one API server about pairs. */
export class Pairs {
  static async on(client: Client, all: readonly Base[]): Promise<Pairs> {
    const api = await OpenApi.of(client);
    const donors = new Donors();
    for (const { object } of all) donors.add(places(api, object));
    const lives = new Map(await inParallel(all, async (base) => [base, await create(client, base)] as const));
    return new Pairs(client, api, donors, lives);
  }

  private readonly places = new Map<Base, readonly Place[]>();
  private readonly byKind: readonly (readonly Base[])[];
  /** How many edited objects could not be created by themselves. */
  invalid = 0;

  private constructor(
    private readonly client: Client,
    private readonly api: OpenApi,
    private readonly donors: Donors,
    private readonly lives: ReadonlyMap<Base, Json>,
  ) {
    const byKind = new Map<string, Base[]>();
    for (const base of lives.keys())
      byKind.set(kindOf(base.object), [...(byKind.get(kindOf(base.object)) ?? []), base]);
    this.byKind = [...byKind.values()];
  }

  /** As many pairs as wanted, each kind as often as the others. */
  async many(count: number, random: Random): Promise<Asked[]> {
    const found: Asked[] = [];
    for (let round = 0; found.length < count && round < 50; round++) {
      const wanted = Array.from({ length: Math.min(count - found.length, 200) * 2 }, () => this.drawn(random));
      const asked = await inParallel(wanted, ({ base, edits: chosen }) => this.ask(base, chosen));
      found.push(...asked.filter((each) => each !== undefined));
    }
    return found.slice(0, count);
  }

  /** The changes that are written down. @throws where one of them could not be made by itself, and says nothing */
  async written(): Promise<Asked[]> {
    const cases = pairCases([...this.lives.keys()]);
    const asked = await inParallel(cases, ({ base, edits: chosen }) => this.ask(base, chosen));
    const invalid = cases.filter((_, index) => asked[index] === undefined);
    const named = invalid.map(({ base, edits: [edit] }) => `${edit!.what}: ${edit!.pattern} of ${base.from}`);
    if (named.length > 0)
      throw new Error(`refused by itself, or no change, so that it says nothing: ${named.join('; ')}`);
    return asked.filter((each) => each !== undefined);
  }

  /** Each sort of edit at each field of a kind, as often as said: what must show that a rule is wrong. */
  async every(times: number): Promise<Asked[]> {
    if (times === 0) return [];
    const sorts = new Map<string, { base: Base; edit: Edit }[]>();
    for (const base of this.lives.keys())
      for (const place of places(this.api, base.object))
        for (const edit of edits(place, this.donors)) {
          const key = sortOf(base, edit);
          const known = sorts.get(key);
          if (known) known.push({ base, edit });
          else sorts.set(key, [{ base, edit }]);
        }
    const asked = await inParallel([...sorts.values()], (sort) => this.first(times, sort));
    return asked.flat();
  }

  /** The first edits of a sort of which the result could be created by itself. */
  private async first(times: number, sort: readonly { base: Base; edit: Edit }[]): Promise<Asked[]> {
    const found: Asked[] = [];
    for (const { base, edit } of sort.slice(0, times + 5)) {
      if (found.length === times) break;
      const asked = await this.ask(base, [edit]);
      if (asked) found.push(asked);
    }
    return found;
  }

  private drawn(random: Random): { base: Base; edits: Edit[] } {
    // Workloads have most of the fields.
    const base = random.pick(random.pick(this.byKind));
    const known = this.places.get(base) ?? places(this.api, base.object);
    this.places.set(base, known);
    const times = random.pick([1, 1, 1, 1, 2, 3, 4]);
    const chosen: Edit[] = [];
    for (let tries = 0; chosen.length < times && tries < 30; tries++) {
      // Fields that are there more often than those that could be.
      const place = random.pick(known);
      if (place.value === undefined && random.below(3) > 0) continue;
      const possible = edits(place, this.donors);
      if (possible.length > 0) chosen.push(random.pick(possible));
    }
    return { base, edits: chosen };
  }

  /** @returns undefined where the second object could not be created by itself, or is the same */
  async ask(base: Base, chosen: readonly Edit[]): Promise<Asked | undefined> {
    const after = copy(base.object);
    for (const each of chosen) each.apply(after);
    if (same(after, base.object)) return undefined;
    if ((await created(this.client, after)).status >= 300) {
      this.invalid++;
      return undefined;
    }
    const { status, body } = await dryRun(this.client, after);
    // A port of the nodes that another base has.
    if (/provided port is already allocated/.test(body.message ?? '')) return undefined;
    const live = this.lives.get(base)!;
    const verdict = status >= 300 ? 'refused' : differs(body, live) ? 'live' : 'nothing';
    const common = { base, after, edits: chosen, verdict } as const;
    return status >= 300 ? { ...common, message: body.message } : { ...common, message: '', stored: body };
  }

  /** The fewest of a pair's edits that still disagree. */
  async shrunk(asked: Asked, rules: ServerRules): Promise<Asked> {
    for (const left of asked.edits) {
      const fewer = asked.edits.filter((each) => each !== left);
      const smaller = fewer.length > 0 ? await this.ask(asked.base, fewer) : undefined;
      if (smaller && disagreement(rules, smaller) !== undefined) return this.shrunk(smaller, rules);
    }
    return asked;
  }
}

/** What is done to which field of a kind; to say an empty value is a sort of its own. */
function sortOf({ object }: Base, edit: Edit): string {
  const after = copy(object);
  edit.apply(after);
  const value = edit.path.reduce<any>((found, key) => found?.[key], after);
  const isEmpty = ['""', '0', 'false', '{}', '[]'].includes(JSON.stringify(value));
  const state = object.kind === 'Job' && object.spec.suspend ? 'suspended' : '';
  return `${object.kind} ${state} ${edit.what} ${isEmpty ? 'empty' : ''} ${edit.pattern}`;
}

export function kindOf({ apiVersion, kind }: Json): string {
  return `${groupOf(apiVersion)}/${kind}`.replace(/^\//, '');
}

/** In what our verdict differs from the server's; undefined where it does not. */
export function disagreement(rules: ServerRules, { base, after, verdict, message, stored }: Asked): string | undefined {
  const ours = compared(rules, base.object, after, CLASSES);
  if (ours.verdict !== verdict) return `${ours.verdict} (${ours.reason}), the API server: ${verdict} ${message}`;
  if (ours.verdict === 'refused' && ours.fields.every(({ verdict: each }) => each !== 'refused'))
    return `no field is named that is refused: ${ours.reason}; the API server: ${message}`;
  if (stored === undefined) return undefined;
  const theirs = comparable(stored);
  const expected = comparable(ours.next);
  return same(theirs, expected) ? undefined : `it stores something else: ${firstDifference(expected, theirs, '')}`;
}

/** What an API server chooses by itself, or has no meaning: taken out of both sides. */
function comparable(object: Json): Json {
  const kept = content(object);
  const { annotations } = kept.metadata;
  if (annotations) delete annotations['deprecated.daemonset.template.generation'];
  for (const map of ['annotations', 'labels'] as const)
    if (kept.metadata[map] && Object.keys(kept.metadata[map]).length === 0) Reflect.deleteProperty(kept.metadata, map);
  delete kept.metadata.finalizers;
  delete kept.metadata.deletionGracePeriodSeconds;
  if (kept.kind === 'Service')
    for (const field of ['clusterIP', 'clusterIPs', 'healthCheckNodePort'])
      if (kept.spec[field] !== 'None') Reflect.deleteProperty(kept.spec, field);
  if (kept.kind === 'Service') for (const port of kept.spec.ports ?? []) delete port.nodePort;
  if (kept.kind === 'Job') {
    delete kept.spec.selector;
    for (const metadata of [kept.metadata, kept.spec.template.metadata ?? {}]) {
      for (const name of Object.keys(metadata.labels ?? {}))
        if (/^(batch\.kubernetes\.io\/)?(controller-uid|job-name)$/.test(name))
          Reflect.deleteProperty(metadata.labels, name);
      if (Object.keys(metadata.labels ?? {}).length === 0) delete metadata.labels;
    }
  }
  return withoutEmpty(kept);
}

function withoutEmpty(value: any): any {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null && !(Array.isArray(each) && each.length === 0))
      .map(([key, each]) => [key, withoutEmpty(each)]),
  );
}

function firstDifference(ours: any, theirs: any, path: string): string {
  if (typeof ours === 'object' && typeof theirs === 'object' && ours !== null && theirs !== null)
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)]))
      if (!same(ours[key], theirs[key])) return firstDifference(ours[key], theirs[key], `${path}.${key}`);
  return `${path} is ${JSON.stringify(theirs)} and not ${JSON.stringify(ours)}`;
}
