import type { Manifest } from '../objects';

/** Whether a quota counts a pod: all of its scopes must match. Without scopes it counts every pod, and other objects, too. */
export function countsPod({ spec }: Manifest, pod: Manifest): boolean {
  return scopesOf(spec).every((scope) => fits(scope, pod));
}

/** Quotas with scopes count only pods. */
export function countsObjects({ spec }: Manifest): boolean {
  return scopesOf(spec).length === 0;
}

interface Scope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

function scopesOf({ scopes = [], scopeSelector }: Manifest): Scope[] {
  return [
    ...scopes.map((scopeName: string) => ({ scopeName, operator: 'Exists' })),
    ...(scopeSelector?.matchExpressions ?? []),
  ];
}

function fits({ scopeName, operator, values = [] }: Scope, pod: Manifest): boolean {
  switch (scopeName) {
    case 'Terminating':
      return pod.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return isBestEffort(pod);
    case 'NotBestEffort':
      return !isBestEffort(pod);
    case 'CrossNamespacePodAffinity':
      return reachesOut(pod);
    case 'PriorityClass':
      return chosen(operator, values, pod.priorityClassName);
    default:
      return true;
  }
}

function chosen(operator: string, values: readonly string[], name: string | undefined): boolean {
  const given = name !== undefined && name !== '';
  if (operator === 'Exists') return given;
  if (operator === 'DoesNotExist') return !given;
  const among = given && values.includes(name);
  return operator === 'In' ? among : !among;
}

/** No container has requests or limits of CPU or memory. */
function isBestEffort({ containers = [], initContainers = [] }: Manifest): boolean {
  return [...containers, ...initContainers].every(({ resources = {} }: Manifest) =>
    [resources.requests, resources.limits].every((each) => each?.cpu === undefined && each?.memory === undefined),
  );
}

/** Whether a pod's affinity names pods of other namespaces. */
function reachesOut({ affinity = {} }: Manifest): boolean {
  return [affinity.podAffinity, affinity.podAntiAffinity].some((each) =>
    [
      ...(each?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(each?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ podAffinityTerm }: Manifest) => podAffinityTerm,
      ),
    ].some((term: Manifest) => term.namespaces !== undefined || term.namespaceSelector !== undefined),
  );
}
