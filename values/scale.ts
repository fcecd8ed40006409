import { fieldsProblem, wholeNumber } from './fields';
import { sentence } from './problem';

/** Number of pods by load. Requires a metrics server in the cluster: CPU use is compared with the request. */
export interface Autoscaling {
  /** Minimum number of pods, from 1. From 2 on a PodDisruptionBudget is rendered. */
  readonly minReplicas: number;
  /** Maximum number of pods: more than `minReplicas`, up to 50. The budget and the quota count them all. */
  readonly maxReplicas: number;
  /** Target average use of the requested CPU, in percent. @default 70: leaves a reserve for the minute that a new pod needs */
  readonly cpuPercent?: number;
}

/** What is wrong with a number of pods, as a sentence, or undefined. */
export const replicasProblem = wholeNumber(1, 50, 'change the number, or remove the service to stop it');

/** What is wrong with autoscaling, as a sentence, or undefined. */
export function autoscalingProblem(value: unknown, what: string): string | undefined {
  const fields = {
    minReplicas: wholeNumber(1, 50),
    maxReplicas: wholeNumber(1, 50),
    cpuPercent: wholeNumber(1, 100, 'leave it out for 70'),
  };
  const problem = fieldsProblem<Autoscaling>(value, what, fields, ['minReplicas', 'maxReplicas']);
  if (problem !== undefined) return problem;
  const { minReplicas, maxReplicas } = value as Autoscaling;
  if (minReplicas < maxReplicas) return undefined;
  return sentence({
    what: `${what} must have more maxReplicas than minReplicas`,
    got: { minReplicas, maxReplicas },
    fix: 'use `replicas` for a fixed number',
  });
}
