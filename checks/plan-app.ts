import type { App } from 'cdk8s';
import type { AcceptedChange } from '../inventory';
import type { Plan } from './step/plan';

/** Options of the plan of an app. */
export interface PlanOptions {
  /** Accepted risks. @default none */
  readonly accept?: readonly AcceptedChange[];
  /** Version that the cluster runs, as v1.36.3. @default the newest whose rules are known here */
  readonly kubernetes?: string;
}

/**
 * What an app changes, compared with deployed manifests: every object with its verdict, the risks (to data, access,
 * quotas), and the next commits. Writes nothing. Call it before `app.synth()`, which may replace that folder.
 * @param baseFolder with YAML or JSON files of any layout, several documents in a file included, as `cdk8s synth` wrote them
 * @throws the errors of the constructs' validations, or if the folder or one of its files cannot be read
 */
export async function planApp(app: App, baseFolder: string, options: PlanOptions = {}): Promise<Plan> {
  // Loaded here, so that a synth without a plan does not load it.
  const { planOfApp } = await import('./step/app');
  return planOfApp(app, baseFolder, options);
}
