import type { App } from 'cdk8s';
import type { AcceptedChange } from '../inventory';
import type { Plan } from './step/plan';

/** What a plan of an app reckons with. */
export interface PlanOptions {
  /** Risks that are let through. @default none */
  readonly accept?: readonly AcceptedChange[];
  /** Version that the cluster runs, as v1.36.3. @default the newest whose rules are known here */
  readonly kubernetes?: string;
}

/**
 * What an app would change against manifests that are deployed: every object with its verdict, the risks (to data, access,
 * quotas), what comes next. Nothing is written; call it before `app.synth()`, which may replace that folder.
 * @param baseFolder with YAML or JSON files of any layout, several documents in a file included, as `cdk8s synth` wrote them
 * @throws what the constructs' own validations found, and where the folder or a file of it cannot be read
 */
export async function planApp(app: App, baseFolder: string, options: PlanOptions = {}): Promise<Plan> {
  // Loaded here, so that a synth without a plan does not pay for it.
  const { planOfApp } = await import('./step/app');
  return planOfApp(app, baseFolder, options);
}
