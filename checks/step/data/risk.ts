import type { Risk } from '../plan';

/** Sections of docs/change.md, one for each kind of danger to data. */
export type Section = 'identity' | 'racks' | 'members' | 'disks' | 'delete' | 'versions' | 'copies' | 'storage';

/** A risk to data as a rule finds it. */
export interface Found extends Omit<Risk, 'verdict' | 'docs' | 'from' | 'to'> {
  readonly section: Section;
  /** Undefined is printed as none. */
  readonly from: unknown;
  /** Undefined is printed as none. */
  readonly to: unknown;
}

/** The risk that a rule found, with its section of the documentation. */
export function dataRisk({ section, from, to, ...rest }: Found): Risk {
  return { verdict: 'data', ...rest, from: shownAs(from), to: shownAs(to), docs: `docs/change.md#${section}` };
}

/** A value as written in an accepted change: one line. */
export function shownAs(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(shownAs).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Whether two values are equal; ignores the order of keys. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  const other = b as Record<string, unknown>;
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame((a as Record<string, unknown>)[key], other[key]))
  );
}
