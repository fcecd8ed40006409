import { INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL } from '../values/labels';

/** Labels as https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ recommends them. */
export type Labels = Readonly<Record<string, string>>;

export interface Identity {
  /** What it is: `cassandra`, `microservice`. */
  readonly app: string;
  /** Which one: the object's own name. */
  readonly instance: string;
  /** Its role within the whole, as `database`. Not part of any selector. */
  readonly component: string;
}

/** What selects pods: name and instance only. A Deployment's selector can never change, so nothing that might belongs here. */
export function selectorLabels({ app, instance }: Pick<Identity, 'app' | 'instance'>): Labels {
  return { [NAME_LABEL]: app, [INSTANCE_LABEL]: instance };
}

/** What stands on objects and pods: the selector's labels and the other recommended ones. */
export function labels(identity: Identity): Labels {
  return {
    ...selectorLabels(identity),
    'app.kubernetes.io/component': identity.component,
    [MANAGED_BY_LABEL]: MANAGED_BY,
  };
}

/** The label that every namespace carries with its own name (set by the API server). */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';
