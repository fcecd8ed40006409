/** What is wrong with a value. Every error of this package that rejects a value is built from it. */
export interface Problem {
  /** What is wrong, with its place: `machines.talos-cp-01.address must be an IPv4 address`. */
  readonly what: string;
  /** The value that was given. */
  readonly got: unknown;
  /** Accepted values, unless `what` already names them. */
  readonly allowed?: string;
  /** What the reader can do about it. */
  readonly fix: string;
}

/** The sentence: what, the value got, what is allowed, the fix. */
export function sentence({ what, got, allowed, fix }: Problem): string {
  return `${what}, got ${shown(got)}${allowed === undefined ? '' : ` (allowed: ${allowed})`}; ${fix}`;
}

/** A value as a person would write it, on one line, cut when it is long. Never throws. */
export function shown(value: unknown): string {
  try {
    return cut(visible(text(value)));
  } catch {
    return 'something that cannot be shown';
  }
}

function text(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol')
    return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'function') return 'a function';
  const quantity = value as { asString?: unknown; amount?: unknown } | null;
  if (typeof value === 'object' && typeof quantity?.asString === 'function') return String(quantity.asString());
  if (typeof value === 'object' && typeof quantity?.amount === 'string') return quantity.amount;
  return JSON.stringify(value) ?? String(value);
}

/** Replaces invisible and direction-changing characters by their code. */
export function visible(line: string): string {
  return line.replace(
    // eslint-disable-next-line no-control-regex
    /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function cut(line: string): string {
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}

/** The same sentence for a value that was left out. */
export function missing(problem: string): string {
  return problem.replace(', got nothing', ', but it is missing');
}

/**
 * The message of an error, with the line of the owner's file in front when the message does not name a place. For example
 * `Size.gibibytes(-1)` throws inside cdk8s while homelab.ts is loaded. Errors built by `sentence` name their place themselves.
 */
export function withPlace(error: Error): string {
  const frames = String(error.stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
  const own = frames.find((line) => !/node_modules|node:|\((internal|<anonymous>)/.test(line));
  const place = /([^/\\(\s]+\.[cm]?[jt]s:\d+:\d+)\)?$/.exec(own ?? '')?.[1];
  const isOurs = own === undefined || /[/\\](values|inventory|constructs|checks|synth|cli)[/\\][^/\\]+$/.test(own);
  return place === undefined || isOurs ? error.message : `${place}: ${error.message}`;
}
