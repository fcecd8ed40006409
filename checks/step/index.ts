import { isDeepStrictEqual } from 'node:util';
import { acceptRisks, staleNote } from './accept';
import { apiServerChange } from './api-server';
import { accessRisks } from './access';
import { lessAccess } from './access/less';
import { dataRisks } from './data';
import { deploymentRisks } from './deployment';
import { createdBecause, effectOf, prunedBecause } from './effect';
import { leaving } from './leaving';
import { limitRisks } from './limits';
import { machineChanges } from './machines';
import { nextCommits } from './next-commits';
import type { Manifest } from './objects';
import { worst, type ChangeVerdict, type ObjectChange, type Plan, type Risk } from './plan';
import { pairs, type Pair, type Step } from './step';
import { synced } from './synced';

/** Plans a step: its effect on each object, data, access, quotas and machines. @param base name of the base, for people */
export function planStep(step: Step, base: string): Plan {
  const all = pairs(step);
  const found = [dataRisks, deploymentRisks, limitRisks, accessRisks].flatMap((find) => find(step, all));
  const { risks, stale } = acceptRisks(step, found);
  const atRisk = verdictsOf(risks);
  const classes = storageClasses(step);
  const different = all.filter(({ before, after }) => differs(before?.object, after?.object));
  const changes = synced(
    different.map((pair) => objectChange(pair, step, classes)),
    step,
  ).map((change) => withRisks(change, atRisk));
  return {
    base,
    changes,
    risks,
    machines: machineChanges(step),
    next: nextCommits(step, all),
    notes: [...stale.map(staleNote), ...lessAccess(step)],
  };
}

/** Whether two objects differ; ignores the order of keys. */
function differs(before: Manifest | undefined, after: Manifest | undefined): boolean {
  if (before === after || JSON.stringify(before) === JSON.stringify(after)) return false;
  return !isDeepStrictEqual(before, after);
}

/** StorageClasses by name: they define whether claims may grow. */
function storageClasses({ before, after }: Step): Map<string, Manifest> {
  const objects = [...before.objects, ...after.objects].map(({ object }) => object);
  return new Map(objects.filter(({ kind }) => kind === 'StorageClass').map((object) => [object.metadata.name, object]));
}

function objectChange(pair: Pair, step: Step, classes: ReadonlyMap<string, Manifest>): ObjectChange {
  const { id, before, after } = pair;
  const common = { id, folder: (after ?? before)!.folder, before: before?.object, after: after?.object, fields: [] };
  if (!before) return { ...common, verdict: 'created', reason: createdBecause(pair, step) ?? 'new' };
  if (!after) {
    const { verdict, reason } = leaving(pair, step);
    return { ...common, verdict, reason: reason ?? prunedBecause(pair) ?? 'it left Git' };
  }
  const change = apiServerChange(before.object, after.object, step.kubernetes, classes);
  return { ...common, ...effectOf(pair, change, step) };
}

/** The risks of each object, by its id. */
function verdictsOf(risks: readonly Risk[]): Map<string, ChangeVerdict> {
  const found = new Map<string, ChangeVerdict>();
  for (const { verdict, objects } of risks)
    for (const id of objects) found.set(id, worst([verdict, found.get(id) ?? 'nothing']));
  return found;
}

function withRisks(change: ObjectChange, atRisk: ReadonlyMap<string, ChangeVerdict>): ObjectChange {
  const verdict = worst([change.verdict, atRisk.get(change.id) ?? 'nothing']);
  return { ...change, itself: change.verdict, verdict };
}
