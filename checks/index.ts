import { budget } from './budget';
import { duplicateObjects } from './duplicate-objects';
import type { Check } from './finding';
import { missingSecrets } from './missing-secrets';

/** Every proof that is made before anything is published. */
export const checks: readonly Check[] = [duplicateObjects, budget, missingSecrets];

export * from './finding';
export * from './rendering';
export { budgetRows, type BudgetRow } from './budget';
export { duplicateObjects, missingSecrets, budget };
