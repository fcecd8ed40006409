import { podSpecOf } from '../../../constructs';
import { workers } from '../../../inventory';
import type { Risk } from '../plan';
import type { Pair, Step } from '../step';
import { touchedNamespaces } from './namespace';
import { nodeRisks } from './nodes';
import { quotaRisks } from './quota';
import { rangeRisks } from './ranges';

/** Quotas, LimitRanges and node capacity that a step reaches, if the step changes anything there. */
export function limitRisks(step: Step, pairs: readonly Pair[]): Risk[] {
  const nodes = step.homelab ? workers(step.homelab).length : 1;
  const spaces = touchedNamespaces(step, pairs);
  const runs = pairs.some(
    ({ before, after }) =>
      JSON.stringify(before?.object) !== JSON.stringify(after?.object) &&
      [before, after].some((each) => each && podSpecOf(each.object as Record<string, any>)),
  );
  return [
    ...spaces.flatMap((space) => [...quotaRisks(space, nodes, step), ...rangeRisks(space)]),
    ...(runs ? nodeRisks(step, pairs) : []),
  ];
}
