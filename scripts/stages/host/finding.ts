import type { Homelab } from '../../../inventory';
import type { Finding } from '../../engine/check';
import type { HostFacts } from './facts';

/** What a judgement is about. */
export interface Subject {
  readonly homelab: Homelab;
  readonly name: string;
  readonly facts: HostFacts;
}

export const GIB = 1024 ** 3;

export function good(what: string, saw: string): Finding {
  return { what, state: 'good', saw };
}

export function warning(what: string, saw: string, fix: string): Finding {
  return { what, state: 'warning', saw, fix };
}

export function bad(what: string, saw: string, fix: string): Finding {
  return { what, state: 'bad', saw, fix };
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export function gib(count: number): string {
  return `${(count / GIB).toFixed(1).replace(/\.0$/, '')} GiB`;
}
