import { parseQuantity } from '../../values/quantity';

/**
 * Where an object of the API server differs from what is wanted, field by field, as `spec.replicas: 2 -> 3`. Fields that
 * are not wanted are ignored: the server and controllers add theirs. Compares quantities by their amount.
 */
export function differences(wanted: unknown, live: unknown, path = ''): string[] {
  if (Array.isArray(wanted)) {
    if (wanted.length === 0 && (live === undefined || live === null)) return [];
    if (!Array.isArray(live) || live.length !== wanted.length) return [line(path, live, wanted)];
    return wanted.flatMap((each, index) => differences(each, live[index], `${path}[${index}]`));
  }
  if (typeof wanted === 'object' && wanted !== null) {
    // The server may drop an empty object.
    if (Object.keys(wanted).length === 0 && (live === undefined || live === null)) return [];
    if (typeof live !== 'object' || live === null) return [line(path, live, wanted)];
    return Object.entries(wanted).flatMap(([key, value]) =>
      differences(value, (live as any)[key], path === '' ? key : `${path}.${key}`),
    );
  }
  if (wanted === live || (wanted === null && live === undefined)) return [];
  if (typeof wanted === 'string' && typeof live === 'string' && `${wanted}${live}`.includes('\n'))
    return lineChanges(path, live.split('\n'), wanted.split('\n'));
  return isQuantity(wanted) && isQuantity(live) && parseQuantity(wanted) === parseQuantity(live)
    ? []
    : [line(path, live, wanted)];
}

/** Added and removed lines of a text. */
function lineChanges(path: string, live: readonly string[], wanted: readonly string[]): string[] {
  const gone = live.filter((each) => !wanted.includes(each));
  const added = wanted.filter((each) => !live.includes(each));
  if (gone.length + added.length === 0) return [`${path}: the same lines in another order, or another number of times`];
  return [...gone.map((each) => line(path, each, undefined)), ...added.map((each) => line(path, undefined, each))];
}

function isQuantity(value: unknown): value is string | number {
  return /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(String(value));
}

function line(path: string, live: unknown, wanted: unknown): string {
  const short = (value: unknown) => {
    const text = JSON.stringify(value) ?? 'nothing';
    return text.length > 120 ? `${text.slice(0, 120)}…` : text;
  };
  return `${path}: ${short(live)} -> ${short(wanted)}`;
}
