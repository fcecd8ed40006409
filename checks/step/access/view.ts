import { isClusterScoped, podSpecOf } from '../../../constructs';
import { identity, type Manifest } from '../objects';
import type { State } from '../step';

/** Pods of one object, or pods that a NetworkPolicy selects and that are not rendered. */
export interface Workload {
  /** Id of the object that creates the pods. */
  readonly id: string;
  /** Name in messages: NAMESPACE/NAME. */
  readonly name: string;
  readonly namespace: string;
  /** Labels of its pods. */
  readonly labels: Labels;
  /** Spec of its pods; empty if they are not rendered. */
  readonly pod: Manifest;
  readonly object: Manifest;
}

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/** One state, indexed for access rules. */
export interface View {
  readonly byId: ReadonlyMap<string, Manifest>;
  readonly workloads: ReadonlyMap<string, Workload>;
  /** Jobs by namespace and labels of their pods, if they have labels. */
  readonly jobs: ReadonlyMap<string, Workload>;
  /** Names that secrets.yaml lists, as NAMESPACE/NAME. */
  readonly secrets: ReadonlySet<string>;
  /** Labels of a namespace; the API server adds its name. */
  namespaceLabels(namespace: string): Labels;
  /** Whether the state has an object in a namespace. */
  hasNamespace(namespace: string): boolean;
  ofKind(kind: string): readonly Manifest[];
}

/** The label of a namespace that the API server sets. */
export const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Indexes a state by identity and kind, in one pass. */
export function viewOf({ objects, secrets }: State): View {
  const byId = new Map<string, Manifest>();
  const kinds = new Map<string, Manifest[]>();
  const workloads = new Map<string, Workload>();
  const jobs = new Map<string, Workload>();
  const namespaces = new Set<string>();
  for (const { object } of objects) {
    const id = identity(object);
    byId.set(id, object);
    const same = kinds.get(object.kind);
    if (same) same.push(object);
    else kinds.set(object.kind, [object]);
    if (object.kind === 'Namespace') namespaces.add(object.metadata.name);
    else if (!isClusterScoped(object.kind)) namespaces.add(object.metadata.namespace ?? '');
    const workload = workloadOf(id, object);
    if (workload) workloads.set(id, workload);
    if (workload && object.kind === 'Job') jobs.set(jobKey(workload), workload);
  }
  return {
    byId,
    workloads,
    jobs,
    secrets: new Set(secrets.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)),
    namespaceLabels: (namespace) => ({
      ...byId.get(`/Namespace /${namespace}`)?.metadata.labels,
      [NAME_LABEL]: namespace,
    }),
    hasNamespace: (namespace) => namespaces.has(namespace),
    ofKind: (kind) => kinds.get(kind) ?? [],
  };
}

function workloadOf(id: string, object: Manifest): Workload | undefined {
  const pod = podSpecOf(object as Record<string, any>);
  if (pod === undefined) return undefined;
  const { kind, metadata, spec } = object;
  const template = kind === 'CronJob' ? spec.jobTemplate.spec.template : spec.template;
  const namespace = metadata.namespace ?? 'default';
  const labels = (kind === 'Pod' ? metadata.labels : template.metadata?.labels) ?? {};
  // The hash in a Job's name depends on its work, so it is not part of its identity.
  const name = kind === 'Job' ? metadata.name.replace(/-[0-9a-f]{10}$/, '') : metadata.name;
  return { id, name: `${namespace}/${name}`, namespace, labels, pod, object };
}

/** All containers of a pod, including init containers. */
export function containersOf({ initContainers = [], containers = [] }: Manifest): readonly Manifest[] {
  return [...initContainers, ...containers];
}

/**
 * The previous version of a workload: the same object, or a Job whose name holds a hash of its work and
 * whose pods have the same labels.
 */
export function earlier(workload: Workload, before: View): Workload | undefined {
  const same = before.workloads.get(workload.id);
  if (same || workload.object.kind !== 'Job') return same;
  return Object.keys(workload.labels).length > 0 ? before.jobs.get(jobKey(workload)) : undefined;
}

function jobKey({ namespace, labels }: Workload): string {
  return `${namespace} ${stable(labels)}`;
}

/** JSON with sorted keys. */
export function stable(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each !== 'object' || each === null || Array.isArray(each)
      ? each
      : Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
}

/** Text of a list, cut after a number of items. */
export function listed(names: readonly string[], most = 6): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
