import { INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL } from '../values/labels';

/** Labels as https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ recommends them. */
export type Labels = Readonly<Record<string, string>>;

export interface Identity {
  /** Application, such as `cassandra` or `microservice`. */
  readonly app: string;
  /** Instance: the object's name. */
  readonly instance: string;
  /** Component, such as `database`. Not part of any selector. */
  readonly component: string;
}

/** Labels that select pods: only name and instance, because the selector of a Deployment is immutable. */
export function selectorLabels({ app, instance }: Pick<Identity, 'app' | 'instance'>): Labels {
  return { [NAME_LABEL]: app, [INSTANCE_LABEL]: instance };
}

/** Labels of objects and pods: those of the selector and the other recommended ones. */
export function labels(identity: Identity): Labels {
  return {
    ...selectorLabels(identity),
    'app.kubernetes.io/component': identity.component,
    [MANAGED_BY_LABEL]: MANAGED_BY,
  };
}

/** The label with the namespace's name, which the API server sets on every namespace. */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';
