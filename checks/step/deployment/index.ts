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

/** What Argo CD leaves out, orphans, deletes or does in another order from this step on. */
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

/** What the check of the state finds and did not find before; synth refuses it, other renderings may not. */
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
