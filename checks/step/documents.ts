import { parseAllDocuments } from 'yaml';
import type { Manifest } from './objects';

/** Objects of a YAML or JSON file, with the items of a List; undefined if it holds something else. */
export function documents(text: string): Manifest[] | undefined {
  try {
    return read(text);
  } catch {
    return undefined; // an alias without an anchor, or one that expands without end
  }
}

function read(text: string): Manifest[] | undefined {
  const found: Manifest[] = [];
  for (const document of [parseAllDocuments(text, { merge: true })].flat()) {
    if (document.errors.length > 0) return undefined;
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    if (typeof value !== 'object' || Array.isArray(value)) return undefined;
    found.push(...listed(value));
  }
  return found;
}

function listed(value: Manifest): Manifest[] {
  return String(value.kind).endsWith('List') && Array.isArray(value.items) ? value.items : [value];
}
