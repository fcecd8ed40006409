import { VERDICTS, type ChangeVerdict, type ObjectChange, type Plan } from '../../../checks/step/plan';
import type { Happened, Outcome } from './happened';

/** What a step came to, for the comparison with its plan. */
export interface Result extends Happened {
  /** What the API server or Argo CD said, by object that was refused. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Whether an application synced again brings no object about that the plan must name. */
const FREE = (id: string) =>
  // Claims of a StatefulSet are made by its controller and bring no risk; those that go or change do.
  id.startsWith('/PersistentVolumeClaim ');

/** Where a plan and what happened differ: a sentence each. */
export function disagreements(plan: Plan, result: Result): string[] {
  return [...inObjects(plan, result), ...inPods(plan, result)];
}

function inObjects(plan: Plan, { objects, refused }: Result): string[] {
  const wanted = new Map<string, Outcome>();
  const refusals = new Set<string>();
  for (const change of plan.changes) {
    const happens = mechanism(change, plan);
    if (happens === 'refused') refusals.add(change.id);
    // A hook that runs once more has been there before.
    const outcome = happens === 'created' && change.before ? 'recreated' : OUTCOMES[happens];
    if (outcome) wanted.set(change.id, outcome);
  }
  const said: string[] = [];
  for (const id of new Set([...wanted.keys(), ...objects.keys()])) {
    const [plans, was] = [wanted.get(id), objects.get(id)];
    if (plans === was || (plans === undefined && was === 'created' && FREE(id))) continue;
    const verdict = plan.changes.find((change) => change.id === id)?.verdict ?? 'no change';
    said.push(`${id}: the plan says ${plans ?? 'untouched'} (${verdict}), and it was ${was ?? 'untouched'}`);
  }
  const isBehind = (id: string) => {
    const folder = plan.changes.find((change) => change.id === id)!.folder;
    return plan.changes.some((change) => change.folder === folder && refused.has(change.id));
  };
  // What comes in a wave after one that failed is not even tried.
  for (const id of refusals)
    if (!refused.has(id) && !isBehind(id)) said.push(`${id}: the plan says refused, and nobody refused it`);
  for (const [id, why] of refused)
    if (!refusals.has(id) && !isNotDeployed(plan, id)) said.push(`${id}: the plan does not say refused: ${why}`);
  return said;
}

const OUTCOMES: Readonly<Partial<Record<ChangeVerdict, Outcome>>> = {
  live: 'changed',
  restart: 'changed',
  created: 'created',
  pruned: 'gone',
  recreate: 'recreated',
};

/** What Argo CD and the API server do, whatever is risky about it. */
function mechanism(change: ObjectChange, plan: Plan): ChangeVerdict {
  if (isNotDeployed(plan, change.id)) return 'not-deployed';
  return change.itself ?? change.verdict;
}

function isNotDeployed({ risks, changes }: Plan, id: string): boolean {
  return (
    changes.some((change) => change.id === id && change.itself === 'not-deployed') ||
    risks.some(({ verdict, objects }) => verdict === 'not-deployed' && objects.includes(id))
  );
}

function inPods(plan: Plan, { restarted, order }: Result): string[] {
  const rolls = plan.changes.filter((change) => change.rollout && mechanism(change, plan) === 'restart');
  const said: string[] = [];
  for (const { id, rollout } of rolls) {
    const pods = restarted.get(id) ?? [];
    // On how many machines a DaemonSet runs is not in the objects.
    if (id.startsWith('apps/DaemonSet') ? pods.length === 0 : pods.length !== rollout!.count)
      said.push(`${id}: the plan says that ${rollout!.count} pods restart, and ${pods.length} did: ${pods.join(', ')}`);
    else if (id.startsWith('apps/StatefulSet') && pods.join() !== rollout!.pods.join())
      said.push(`${id}: the plan says ${rollout!.pods.join(', ')}, and it was ${pods.join(', ')}`);
  }
  for (const [id, pods] of restarted)
    if (!rolls.some((change) => change.id === id))
      said.push(`${id}: restarted ${pods.join(', ')}, and the plan says nothing of it`);
  return [...said, ...outOfWaves(rolls, order)];
}

/** Workloads of one application that restarted before those of an earlier wave. */
function outOfWaves(rolls: readonly ObjectChange[], order: readonly string[]): string[] {
  const wave = (id: string) => {
    const found = rolls.find((change) => change.id === id);
    return found && { folder: found.folder, number: Number(found.rollout!.wave.split('/')[1]) };
  };
  return order.flatMap((id, index) => {
    const earlier = order.slice(0, index).find((each) => {
      const [a, b] = [wave(each), wave(id)];
      return a && b && a.folder === b.folder && a.number > b.number;
    });
    return earlier ? [`${id} restarted after ${earlier}, which is of a later wave`] : [];
  });
}

/** The verdicts of a plan, counted: for people. */
export function counted({ changes }: Plan): string {
  const counts = VERDICTS.map(
    (verdict) => [verdict, changes.filter((change) => change.verdict === verdict).length] as const,
  );
  return (
    counts
      .filter(([, count]) => count > 0)
      .map(([verdict, count]) => `${count} ${verdict}`)
      .join(', ') || 'nothing'
  );
}
