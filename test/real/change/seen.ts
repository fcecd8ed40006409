import { identity } from '../../../checks/step/objects';
import type { State } from '../../../checks/step/step';
import type { Client, Json } from '../cluster/client';

/** A cluster at one moment. */
export interface Seen {
  /** By identity: what somebody wrote, without what controllers add. */
  readonly objects: ReadonlyMap<string, { readonly uid: string; readonly content: string }>;
  /** Pods of workloads, by namespace and name. */
  readonly pods: ReadonlyMap<string, SeenPod>;
  /** From which on the API server tells what became of pods. */
  readonly resourceVersion: string;
}

export interface SeenPod {
  readonly uid: string;
  /** As apps/StatefulSet cassandra/cassandra-r1. */
  readonly workload: string;
  /** On which node: pods of a DaemonSet have no other name that stays. */
  readonly node: string;
}

/** Kinds that nobody renders here, and that a step must not touch. */
const CLAIM = ['v1', 'PersistentVolumeClaim'] as const;

/** Everything of the kinds that some states render, and all claims and pods. */
export async function look(client: Client, states: readonly State[]): Promise<Seen> {
  const rendered = states.flatMap(({ objects }) => objects.map(({ object }) => object));
  const kinds = new Map(
    [CLAIM, ...rendered.map(({ apiVersion, kind }) => [apiVersion, kind])].map((k) => [k.join(), k]),
  );
  const objects = new Map<string, { uid: string; content: string }>();
  for (const [apiVersion, kind] of kinds.values())
    for (const found of await client.list(apiVersion, kind).catch(() => [] as Json[])) {
      const object: Json = { ...found, apiVersion, kind };
      if (!isOfTheCluster(object))
        objects.set(identity(object), { uid: object.metadata.uid, content: JSON.stringify(written(object)) });
    }
  const list = await client.ask('GET', '/api/v1/pods');
  const pods = new Map<string, SeenPod>();
  for (const pod of list.items) {
    const workload = workloadOf(pod);
    const { namespace, name, uid } = pod.metadata;
    if (workload !== undefined && !isOver(pod))
      pods.set(`${namespace}/${name}`, { uid, workload, node: pod.spec.nodeName });
  }
  return { objects, pods, resourceVersion: list.metadata.resourceVersion };
}

function isOver({ metadata, status }: Json): boolean {
  return metadata.deletionTimestamp !== undefined || ['Succeeded', 'Failed'].includes(status.phase);
}

/** What Kubernetes itself, its controllers and Argo CD's manifest bring. */
function isOfTheCluster({ kind, metadata }: Json): boolean {
  const { namespace = '', name, labels = {}, ownerReferences } = metadata;
  return (
    ['kube-system', 'kube-public', 'kube-node-lease', 'default'].includes(namespace) ||
    /^(kube-|system:|default$)/.test(kind === 'Namespace' ? name : '') ||
    labels['kubernetes.io/bootstrapping'] !== undefined ||
    (labels['app.kubernetes.io/part-of'] === 'argocd' && name !== 'argocd-cm') ||
    (kind === 'EndpointSlice' && ownerReferences !== undefined) ||
    (kind === 'ConfigMap' && name === 'kube-root-ca.crt') ||
    (kind === 'ServiceAccount' && name === 'default') ||
    (kind === 'PriorityClass' && name.startsWith('system-'))
  );
}

const BY_CONTROLLERS =
  /^(argocd\.argoproj\.io\/(tracking-id|refresh|hydrate)|deployment\.kubernetes\.io\/|deprecated\.|pv\.kubernetes\.io\/|volume\.|kubectl\.)/;

/** An object without what controllers write into it. */
function written(object: Json): Json {
  const { labels, annotations = {}, finalizers = [] } = object.metadata;
  const { status: _, operation: __, metadata: ___, ...rest } = structuredClone(object);
  const own = Object.entries(annotations).filter(([key]) => !BY_CONTROLLERS.test(key));
  if (rest.kind === 'PersistentVolume' && rest.spec.claimRef) {
    const { namespace, name } = rest.spec.claimRef;
    rest.spec.claimRef = { namespace, name };
  }
  if (rest.kind === 'PersistentVolumeClaim') delete rest.spec.volumeName;
  return sorted({
    ...rest,
    metadata: {
      labels,
      annotations: Object.fromEntries(own),
      finalizers: finalizers.filter((each: string) => !each.startsWith('kubernetes.io/')),
    },
  });
}

function sorted(value: any): any {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** Whose pod it is; undefined for those of jobs and for pods that nobody keeps. */
export function workloadOf({ metadata }: Json): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }: Json) => controller);
  if (owner?.kind === 'ReplicaSet')
    return `apps/Deployment ${metadata.namespace}/${owner.name.slice(0, owner.name.lastIndexOf('-'))}`;
  return owner && ['StatefulSet', 'DaemonSet'].includes(owner.kind)
    ? `apps/${owner.kind} ${metadata.namespace}/${owner.name}`
    : undefined;
}
