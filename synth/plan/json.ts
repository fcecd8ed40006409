import type { ChangeVerdict, Plan } from '../../checks/step/plan';
import { exitCode, summary, verdictOf } from './summary';

/**
 * A plan for programs. `version` grows when a field changes its meaning or is removed; a version may get new fields.
 *
 *   version    1
 *   verdict    the worst that is not accepted, one of the words of VERDICTS
 *   exitCode   0, 10, 15, 20 or 30
 *   headline   as the first line of the terminal
 *   counts     how many objects of each verdict
 *   plan       the whole plan, as its types say: base, changes with their fields and rollouts, risks, machines, next, notes
 */
export interface JsonPlan {
  readonly version: 1;
  readonly verdict: ChangeVerdict;
  readonly exitCode: number;
  readonly headline: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly plan: Plan;
}

/** A plan as JSON, with a newline at its end. */
export function json(plan: Plan): string {
  const counts: Record<string, number> = {};
  for (const { verdict } of plan.changes) counts[verdict] = (counts[verdict] ?? 0) + 1;
  const { headline } = summary(plan);
  const all: JsonPlan = { version: 1, verdict: verdictOf(plan), exitCode: exitCode(plan), headline, counts, plan };
  return `${JSON.stringify(all, null, 2)}\n`;
}
