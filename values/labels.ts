/** Recommended labels of Kubernetes that select pods: the application, such as `cassandra`, and the name of the instance. */
export const NAME_LABEL = 'app.kubernetes.io/name';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';

/** Recommended label for the tool that manages an object. */
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';

/** The value of `managed-by` on every object that a construct renders. */
export const MANAGED_BY = 'collab-homelab';

/** Selects the pods of one instance, as `kubectl -l` takes it. */
export function labelSelector(app: string, instance: string): string {
  return `${NAME_LABEL}=${app},${INSTANCE_LABEL}=${instance}`;
}

/** Name label of Jobs that run before a rollout. They have ended when anything else changes, so a new secret restarts none. */
export const BEFORE_ROLLOUT = 'before-rollout';
