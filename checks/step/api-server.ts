import { carried } from './api-server/carried';
import { fieldChanges } from './api-server/fields';
import { filled } from './api-server/filled';
import { same } from './api-server/json';
import { applied } from './api-server/merge';
import { refusalsOf } from './api-server/refusals';
import type { Classes } from './api-server/refusal';
import { ANY, kindRules, rulesOf, type ServerRules } from './api-server/rules';
import type { Manifest } from './objects';
import type { FieldChange } from './plan';

/** The effect of applying an object over the existing one. */
export interface ApiChange {
  readonly verdict: 'nothing' | 'live' | 'refused';
  /** Why, in one sentence. */
  readonly reason: string;
  /** The workaround if the server rejects the change. */
  readonly way?: string;
  readonly fields: readonly FieldChange[];
  /** The object as the server stores it before, with its defaults. */
  readonly live: Manifest;
  /** The object as the server stores it after. */
  readonly next: Manifest;
}

/**
 * Simulates server-side apply of one object, as Argo CD does it.
 * @param kubernetes version, as v1.36.3
 * @param classes StorageClasses by name; claims of an unknown class may grow
 */
export function apiServerChange(before: Manifest, after: Manifest, kubernetes?: string, classes?: Classes): ApiChange {
  if (same(before, after))
    return { verdict: 'nothing', reason: 'the manifest is the same', fields: [], live: before, next: after };
  return compared(rulesOf(kubernetes), before, after, classes);
}

/** Like `apiServer`, with given rules. */
export function compared(rules: ServerRules, before: Manifest, after: Manifest, classes?: Classes): ApiChange {
  const kind = kindRules(rules, after);
  const live = filled(rules, before);
  const shape = kind ? ({ form: 'struct', type: kind.type, atomic: false, keys: [] } as const) : ANY;
  const merged = applied(rules, shape, live, before, after);
  const next = filled(rules, kind ? carried(live, merged) : merged);
  const refusals = refusalsOf(rules, { live, next, before, after, merged, classes });
  const fields = fieldChanges(rules, { before, after }, { live, next }, refusals);
  const [refusal] = refusals;
  if (refusal) return { verdict: 'refused', reason: refusal.reason, way: refusal.way, fields, live, next };
  if (same(live, next)) return { verdict: 'nothing', reason: unchanged(fields), fields, live, next };
  return { verdict: 'live', reason: 'the API server updates it in place', fields, live, next };
}

function unchanged(fields: readonly FieldChange[]): string {
  const reasons = new Set(fields.map(({ reason }) => reason));
  return reasons.size === 1 ? [...reasons][0]! : 'the API server stores the same as before';
}
