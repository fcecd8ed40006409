/** Kubernetes' default of `terminationGracePeriodSeconds`. */
const DEFAULT_GRACE = 30;

/** The longest `terminationGracePeriodSeconds` of the pods of rendered objects. */
export function longestGrace(objects: readonly unknown[]): number {
  return Math.max(DEFAULT_GRACE, ...objects.flatMap(graces));
}

function graces(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'terminationGracePeriodSeconds' ? [Number(inner)] : graces(inner),
  );
}
