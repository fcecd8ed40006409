import { apiServerChange } from './api-server';
import { accessRisks } from './access';
import { dataRisks } from './data';
import { deploymentRisks } from './deployment';
import { createdBecause, effectOf, prunedBecause } from './effect';
import { limitRisks } from './limits';
import { machineChanges } from './machines';
import { nextCommits } from './next-commits';
import { isKept, permits } from './objects';
import { worst, type ObjectChange, type Plan, type Risk } from './plan';
import { pairs, type Pair, type Step } from './step';

/** Says what a step does: to each object, to data, to access, to quotas, to machines. @param base what it is compared with, for people */
export function planStep(step: Step, base: string): Plan {
  const all = pairs(step);
  const risks = [dataRisks, deploymentRisks, limitRisks, accessRisks].flatMap((find) => find(step, all));
  const changes = all
    .filter(({ before, after }) => JSON.stringify(before?.object) !== JSON.stringify(after?.object))
    .map((pair) => withRisks(objectChange(pair, step), risks));
  return { base, changes, risks, machines: machineChanges(step), next: nextCommits(step, all), notes: [] };
}

function objectChange(pair: Pair, step: Step): ObjectChange {
  const { id, before, after } = pair;
  const common = { id, folder: (after ?? before)!.folder, before: before?.object, after: after?.object, fields: [] };
  if (!before) return { ...common, verdict: 'created', reason: createdBecause(pair, step) ?? 'new' };
  if (!after) {
    const projects = step.after.objects.map(({ object }) => object).filter(({ kind }) => kind === 'AppProject');
    const stays = isKept(before.object) || projects.some((project) => !permits(project, before.object));
    return stays
      ? { ...common, verdict: 'kept', reason: 'Argo CD is told to keep it' }
      : { ...common, verdict: 'pruned', reason: prunedBecause(pair) ?? 'it left Git' };
  }
  const change = apiServerChange(before.object, after.object, step.kubernetes);
  return { ...common, ...effectOf(pair, change, step) };
}

function withRisks(change: ObjectChange, risks: readonly Risk[]): ObjectChange {
  const mine = risks.filter(({ objects }) => objects.includes(change.id));
  return { ...change, itself: change.verdict, verdict: worst([change.verdict, ...mine.map(({ verdict }) => verdict)]) };
}
