/** What is wrong with a value: the sentence that every refusal in this package is made of. */
export interface Problem {
  /** What is wrong, with its place: `machines.talos-cp-01.address must be an IPv4 address`. */
  readonly what: string;
  /** The value that was given. */
  readonly got: unknown;
  /** What would be accepted, when `what` does not say it already. */
  readonly allowed?: string;
  /** What the reader can do about it. */
  readonly fix: string;
}

/** The sentence: what, the value got, what is allowed, the fix. */
export function sentence({ what, got, allowed, fix }: Problem): string {
  return `${what}, got ${shown(got)}${allowed === undefined ? '' : ` (allowed: ${allowed})`}; ${fix}`;
}

/** A value as a person would write it, cut where it grows long. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value === 'function') return 'a function';
  const quantity = value as { asString?: unknown; amount?: unknown } | null;
  if (typeof value === 'object' && typeof quantity?.asString === 'function') return String(quantity.asString());
  if (typeof value === 'object' && typeof quantity?.amount === 'string') return quantity.amount;
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
