/** Power of ten of each decimal suffix. */
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

interface Quantity {
  /** In billionths, the smallest unit that the API server stores. */
  readonly nanos: bigint;
  readonly format: 'decimal' | 'binary' | 'exponent';
}

/** A quantity as the API server writes it: 1024Mi is 1Gi, 0.5 is 500m. Returns a value that is not a quantity unchanged. */
export function canonicalQuantity(value: unknown): unknown {
  const quantity = parse(value);
  if (!quantity) return value;
  const { nanos, format } = quantity;
  // Writes a binary quantity below 1024 as a decimal one, unless it has a fraction.
  if (format === 'binary') return binary(nanos);
  return format === 'decimal' ? decimal(nanos) : exponent(nanos);
}

/** Whether two quantities are the same amount, however they are written. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  const [first, second] = [parse(a), parse(b)];
  return first && second ? first.nanos === second.nanos : a === b;
}

/** Amount of a quantity in billionths. Undefined if the value is not a quantity. */
export function amountOf(value: unknown): bigint | undefined {
  return parse(value)?.nanos;
}

function parse(value: unknown): Quantity | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE])([+-]?\d+)|([A-Za-z]*))$/.exec(String(value));
  if (!match || `${match[2]}${match[3] ?? ''}` === '') return undefined;
  const [, sign, whole = '', fraction = '', e, power, suffix = ''] = match;
  const index = BINARY.indexOf(suffix);
  const isBinary = suffix !== '' && index > 0;
  const ten = e ? Number(power) : isBinary ? 0 : DECIMAL[suffix];
  if (ten === undefined) return undefined;
  const shift = 9 + ten - fraction.length;
  const digits = BigInt(`${whole}${fraction}`) * (isBinary ? 1024n ** BigInt(index) : 1n);
  const magnitude = shift >= 0 ? digits * 10n ** BigInt(shift) : roundUp(digits, 10n ** BigInt(-shift));
  return { nanos: sign === '-' ? -magnitude : magnitude, format: isBinary ? 'binary' : e ? 'exponent' : 'decimal' };
}

function roundUp(amount: bigint, by: bigint): bigint {
  return (amount + by - 1n) / by;
}

const UNIT = 10n ** 9n;

function binary(nanos: bigint): string {
  const size = nanos < 0n ? -nanos : nanos;
  if (size < 1024n * UNIT || nanos % UNIT !== 0n) return decimal(nanos);
  let amount = nanos / UNIT;
  let step = 0;
  while (amount % 1024n === 0n && step < BINARY.length - 1) {
    amount /= 1024n;
    step++;
  }
  return `${amount}${BINARY[step]}`;
}

/** With the largest suffix that needs no fraction. */
function decimal(nanos: bigint): string {
  if (nanos === 0n) return '0';
  const suffix = Object.entries(DECIMAL)
    .reverse()
    .find(([, power]) => nanos % 10n ** BigInt(power + 9) === 0n)!;
  return `${nanos / 10n ** BigInt(suffix[1] + 9)}${suffix[0]}`;
}

function exponent(nanos: bigint): string {
  if (nanos === 0n) return '0';
  const power = Object.values(DECIMAL)
    .reverse()
    .find((each) => nanos % 10n ** BigInt(each + 9) === 0n)!;
  const amount = nanos / 10n ** BigInt(power + 9);
  return power === 0 ? String(amount) : `${amount}e${power}`;
}
