import type { Risk } from './plan';
import type { Pair, Step } from './step';

/** TODO */
export function dataRisks(_step: Step, _pairs: readonly Pair[]): Risk[] {
  return [];
}
