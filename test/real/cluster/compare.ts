import type { Json } from './client';

/**
 * Where an object that was read back differs from what was sent, field by field; what the server added does not count.
 * Quantities are equal when they mean the same.
 */
export function differences(sent: unknown, read: unknown, path = ''): string[] {
  if (Array.isArray(sent)) {
    if (!Array.isArray(read) || read.length !== sent.length) return [`${path}: sent ${show(sent)}, read ${show(read)}`];
    return sent.flatMap((entry, index) => differences(entry, read[index], `${path}[${index}]`));
  }
  if (typeof sent === 'object' && sent !== null) {
    if (typeof read !== 'object' || read === null) {
      // An empty object says nothing, and the server may store nothing.
      return Object.keys(sent).length === 0 ? [] : [`${path}: sent ${show(sent)}, read ${show(read)}`];
    }
    return Object.entries(sent).flatMap(([key, value]) => differences(value, (read as Json)[key], `${path}.${key}`));
  }
  if (sent === read || (quantity(sent) !== undefined && quantity(sent) === quantity(read))) return [];
  return [`${path}: sent ${show(sent)}, read ${show(read)}`];
}

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

function quantity(value: unknown): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(m|k|M|G|Ki|Mi|Gi|Ti)?$/.exec(String(value));
  return match ? Number(match[1]) * FACTORS[match[2] ?? '']! : undefined;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
