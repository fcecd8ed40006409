import type { NextCommit } from './plan';
import type { Pair, Step } from './step';

/** TODO */
export function nextCommits(_step: Step, _pairs: readonly Pair[]): NextCommit[] {
  return [];
}
