import { parseQuantity } from '../../values/quantity';

/** Fields whose values, or the values in them, are quantities: 1Gi and 1024Mi are the same to the API server. */
const QUANTITIES: ReadonlySet<string> = new Set(['requests', 'limits', 'sizeLimit', 'divisor', 'storage']);

/** The hash that the Deployment controller adds to its ReplicaSets; it leaves it out when it compares. */
const HASH_LABEL = 'pod-template-hash';

/**
 * Whether controllers treat two pod templates as equal. They compare what the API server stores. The order of keys and the
 * notation of quantities do not matter. The order of lists matters, and so do labels and annotations of the template.
 */
export function sameTemplate(a: unknown, b: unknown): boolean {
  return a === b || text(a) === text(b);
}

function text(template: unknown): string {
  return JSON.stringify(stored('', template)) ?? '';
}

function stored(key: string, value: any): unknown {
  if (Array.isArray(value)) return value.map((each) => stored('', each));
  if (typeof value === 'object' && value !== null) {
    const inner = QUANTITIES.has(key) ? (each: string) => `${key}.${each}` : (each: string) => each;
    return Object.fromEntries(
      Object.keys(value)
        .filter((each) => value[each] !== null && value[each] !== undefined && each !== HASH_LABEL)
        .sort()
        .map((each) => [each, stored(inner(each), value[each])]),
    );
  }
  return QUANTITIES.has(key.split('.')[0]!) ? amount(value) : value;
}

/** In thousandths, the smallest unit that the API server distinguishes. */
function amount(quantity: unknown): unknown {
  try {
    return Math.round(parseQuantity(quantity as string) * 1000);
  } catch {
    return quantity;
  }
}
