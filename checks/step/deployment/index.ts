import { undeployed } from '../../deployed';
import type { RenderedObject } from '../../rendering';
import { identity } from '../objects';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';
import { applicationRisks } from './applications';
import { exclusionRisks } from './exclusions';
import { movedRisks } from './moved';
import { orderRisks } from './order';
import { removedRisks } from './removed';

/** Objects that Argo CD ignores, orphans, deletes or syncs in another order after this step. */
export function deploymentRisks(step: Step, pairs: readonly Pair[]): Risk[] {
  return [
    ...applicationRisks(step, pairs),
    ...movedRisks(step, pairs),
    ...undeployedRisks(step),
    ...exclusionRisks(step, pairs),
    ...orderRisks(step, pairs),
    ...removedRisks(step),
  ];
}

/** New findings of the check `deployed`. synth fails on them; other renderings may not. */
function undeployedRisks({ before, after }: Step): Risk[] {
  const known = new Set(undeployed(rendering(before)).map(({ message }) => message));
  return undeployed(rendering(after))
    .filter(({ message }) => !known.has(message))
    .map(({ message, objects }) => ({
      verdict: 'not-deployed',
      what: `${objects[0]!.chart}.${objects[0]!.object.metadata.name}`,
      objects: objects.map(({ object }) => identity(object)),
      from: 'deployed',
      to: 'never deployed',
      problem: `${message}.`,
    }));
}

function rendering({ objects }: State): RenderedObject[] {
  return objects.map(({ folder, file, object }) => ({ chart: folder, construct: identity(object), file, object }));
}
