import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import type { Labels } from './labels';

/** Lets a drain take one pod at a time. */
export function disruptionBudget(
  scope: Construct,
  metadata: k8s.ObjectMeta,
  selector: Labels,
  more: Pick<k8s.PodDisruptionBudgetSpec, 'unhealthyPodEvictionPolicy'> = {},
): k8s.KubePodDisruptionBudget {
  return new k8s.KubePodDisruptionBudget(scope, 'budget', {
    metadata,
    spec: { selector: { matchLabels: { ...selector } }, maxUnavailable: k8s.IntOrString.fromNumber(1), ...more },
  });
}
