import type { Risk } from './plan';
import type { Pair, Step } from './step';

/** TODO */
export function accessRisks(_step: Step, _pairs: readonly Pair[]): Risk[] {
  return [];
}
