import type { Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import { sentence } from './problem';

/**
 * The one place that turns `Size` into bytes and `Cpu` into millicores. Both classes only hold a value: `Size` does no
 * arithmetic, and `Cpu` keeps a string. Without a type check, a plain number can take their place.
 */
const KIB = 1024;
const UNITS: readonly (readonly [string, number])[] = [
  ['Ti', KIB ** 4],
  ['Gi', KIB ** 3],
  ['Mi', KIB ** 2],
  ['Ki', KIB],
];

/** More cores than any machine has. The limit keeps the number free of an exponent. */
const MAX_MILLIS = 1_000_000;

/** What is wrong with a size, as a sentence, or undefined. @param zero whether it may be zero */
export function sizeProblem(value: unknown, what: string, zero = false): string | undefined {
  const problem = (fix: string) =>
    sentence({
      what: `${what} must be a Size of at least 1 KiB${zero ? ', or zero' : ''}`,
      got: value,
      allowed: 'Size.gibibytes(22), Size.mebibytes(384)',
      fix,
    });
  if (typeof value === 'number') return problem(`write Size.gibibytes(${value}) or Size.mebibytes(${value})`);
  if (typeof (value as Partial<Size> | null | undefined)?.asString !== 'function')
    return problem('write Size.gibibytes(N) or Size.mebibytes(N)');
  const bytes = rawBytes(value as Size);
  if (bytes === 0 && zero) return undefined;
  if (!Number.isFinite(bytes) || bytes < KIB) return problem('give a number greater than zero');
  if (bytes > Number.MAX_SAFE_INTEGER) return problem('give less than 8192 TiB');
  if (!Number.isInteger(bytes / KIB))
    return problem('write a fraction in the next smaller unit: Size.mebibytes(614) instead of Size.gibibytes(0.6)');
  return undefined;
}

/** What is wrong with a number of cores, as a sentence, or undefined. */
export function cpuProblem(value: unknown, what: string): string | undefined {
  const problem = (fix: string) =>
    sentence({
      what: `${what} must be a Cpu of at least 1 millicore`,
      got: value,
      allowed: 'Cpu.millis(250), Cpu.units(2)',
      fix,
    });
  if (typeof value === 'number') return problem(`write Cpu.millis(${value}) or Cpu.units(${value})`);
  const amount = (value as Partial<Cpu> | null | undefined)?.amount;
  if (typeof amount !== 'string') return problem('write Cpu.millis(N) or Cpu.units(N)');
  const millis = rawMillis(amount);
  if (!Number.isFinite(millis) || millis < 1) return problem('give a number greater than zero');
  if (millis > MAX_MILLIS) return problem('give at most 1000 cores');
  if (!Number.isInteger(millis)) return problem('round to whole millicores, the smallest unit');
  return undefined;
}

/** Bytes of a size. @throws if it is not a Size, negative, NaN, not a whole number of KiB, or zero without `zero` */
export function bytes(size: Size, what = 'size', zero = false): number {
  const problem = sizeProblem(size, what, zero);
  if (problem) throw new Error(problem);
  return rawBytes(size);
}

/** Millicores of a Cpu. @throws if it is not a Cpu, negative or NaN. */
export function millicores(cpu: Cpu, what = 'cpu'): number {
  const problem = cpuProblem(cpu, what);
  if (problem) throw new Error(problem);
  return rawMillis(cpu.amount);
}

/** Bytes as the API server prints the quantity: in the largest binary unit that divides them. */
export function memoryQuantity(byteCount: number): string {
  const unit = UNITS.find(([, factor]) => byteCount >= factor && byteCount % factor === 0);
  return unit ? `${byteCount / unit[1]}${unit[0]}` : String(byteCount);
}

/** Millicores as the API server prints the quantity: `250m`, `2`. */
export function cpuQuantity(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

/** Whole mebibytes, rounded down. */
export function mebibytes(byteCount: number): number {
  return Math.floor(byteCount / KIB ** 2);
}

/** Bytes or cores of a rendered quantity (`5Gi`, `250m`, `2`); cores as a fraction. @throws on anything else. */
export function parseQuantity(quantity: string | number): number {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|m|k|M|G|T)?$/.exec(String(quantity));
  if (!match)
    throw new Error(
      sentence({ what: 'a quantity must be a number with a unit', got: quantity, fix: 'write 5Gi, 384Mi, 250m or 2' }),
    );
  const decimal: Record<string, number> = { m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const suffix = match[2] ?? '';
  return Number(match[1]) * (UNITS.find(([unit]) => unit === suffix)?.[1] ?? decimal[suffix] ?? 1);
}

/** Reads `Size.asString()`, the only method of Size that never throws: `22Gi`, `NaNGi`, `0.5Gi`. */
function rawBytes(size: Size): number {
  const match = /^(.+?)(Ki|Mi|Gi|Ti|Pi)$/.exec(String(size.asString()));
  const factor = match?.[2] === 'Pi' ? KIB ** 5 : (UNITS.find(([unit]) => unit === match?.[2])?.[1] ?? NaN);
  return Number(match?.[1]) * factor;
}

function rawMillis(amount: string): number {
  return amount.endsWith('m') ? Number(amount.slice(0, -1)) : Math.round(Number(amount) * 1e6) / 1e3;
}

export const GIB = 1024 ** 3;
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export function gib(count: number): string {
  return `${(count / GIB).toFixed(1).replace(/\.0$/, '')} GiB`;
}
