import { backups } from './backups';
import { budget } from './budget';
import { containerResources } from './container-resources';
import { customResources } from './custom-resources';
import { deployed } from './deployed';
import { duplicateObjects } from './duplicate-objects';
import { foreignCharts } from './foreign-charts';
import type { Check } from './finding';
import { missingSecrets } from './missing-secrets';
import { mongodLinux } from './mongod-linux';
import { openNetwork } from './open-network';
import { plainCredentials } from './plain-credentials';
import { podSecurity } from './pod-security';
import { shutdown } from './shutdown';
import { talosKubernetes } from './talos-kubernetes';

/** Every check that runs before a rendering is published. */
export const checks: readonly Check[] = [
  duplicateObjects,
  deployed,
  customResources,
  foreignCharts,
  budget,
  shutdown,
  missingSecrets,
  mongodLinux,
  talosKubernetes,
  openNetwork,
  plainCredentials,
  podSecurity,
  containerResources,
  backups,
];

export { backups } from './backups';
export { budget, budgetRows, budgetSum, type BudgetRow } from './budget';
export { containerResources } from './container-resources';
export { customResources } from './custom-resources';
export { deployed } from './deployed';
export { duplicateObjects } from './duplicate-objects';
export { foreignCharts } from './foreign-charts';
export { verdict, type Check, type Checked, type Finding, type NamedSecret, type Verdict } from './finding';
export { missingSecrets } from './missing-secrets';
export { mongodLinux } from './mongod-linux';
export { openNetwork } from './open-network';
export { planApp, type PlanOptions } from './plan-app';
export { plainCredentials } from './plain-credentials';
export { podSecurity, podSecurityFaults } from './pod-security';
export { shutdown } from './shutdown';
export { talosKubernetes } from './talos-kubernetes';
export type {
  ChangeVerdict,
  FieldChange,
  MachineChange,
  NextCommit,
  ObjectChange,
  Plan,
  Risk,
  Rollout,
} from './step/plan';
export type { Manifest } from './step/objects';
export { render, type RenderedObject, type Rendering } from './rendering';
export { waysOf, type Way } from './ways';
