/** Kubernetes' own default for a pod that does not say its grace, in seconds. */
const DEFAULT_GRACE = 30;

/** The longest time that a pod of rendered objects may take to stop, in seconds. */
export function longestGrace(objects: readonly unknown[]): number {
  return Math.max(DEFAULT_GRACE, ...objects.flatMap(graces));
}

function graces(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'terminationGracePeriodSeconds' ? [Number(inner)] : graces(inner),
  );
}
