import type { Risk } from './plan';
import type { Pair, Step } from './step';

/** TODO */
export function limitRisks(_step: Step, _pairs: readonly Pair[]): Risk[] {
  return [];
}
