import { limitRangesOf, podSpecOf, withDefaults } from '../constructs';
import { parseQuantity } from '../values/quantity';
import type { Check, Finding } from './finding';
import type { RenderedObject, Rendering } from './rendering';

/**
 * Containers that request more than their limit. The API server refuses them, also where only the request is written and the
 * LimitRange of the namespace adds the limit, as with many Helm charts.
 */
export const containerResources: Check = {
  name: 'container resources',
  find: ({ rendering }) => rendering.flatMap((each) => refused(each, rendering)),
};

function refused({ object, construct }: RenderedObject, rendering: Rendering): Finding[] {
  const pod = podSpecOf(object);
  if (pod === undefined) return [];
  const others = rendering.map((each) => each.object);
  const { initContainers = [], containers } = withDefaults(pod, limitRangesOf(object, others));
  return [...initContainers, ...containers].flatMap(({ name, resources: { requests, limits } }) =>
    Object.keys(limits)
      .filter((resource) => parseQuantity(requests[resource] ?? 0) > parseQuantity(limits[resource]))
      .map((resource): Finding => {
        const { kind, metadata } = object;
        const message = `the API server would refuse the pods of ${kind} ${metadata.namespace}/${metadata.name} (${construct}): container ${name} requests ${requests[resource]} of ${resource}, and its limit is ${limits[resource]} (its own, or the default of the namespace); set resources.limits.${resource} of the container to at least ${requests[resource]}`;
        return { severity: 'error', message };
      }),
  );
}
