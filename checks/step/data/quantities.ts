const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
};

/** A Kubernetes quantity as a number, in every form of the API; undefined if it is not a quantity. */
export function bytesOf(quantity: unknown): number | undefined {
  const match = /^(\d*\.?\d+(?:[eE][+-]?\d+)?)([KMGTPE]i|[numkMGTPE])?$/.exec(String(quantity));
  if (!match) return undefined;
  const unit = match[2] ?? '';
  return Number(match[1]) * (BINARY.includes(unit) ? 1024 ** (BINARY.indexOf(unit) + 1) : (DECIMAL[unit] ?? 1));
}
