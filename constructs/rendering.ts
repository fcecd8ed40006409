import { createHash } from 'node:crypto';
import { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';

/** An object as plain JSON, after the typed class filtered it. */
export type Json = Record<string, any>;

/** Changes one rendered object, selected by `kind` and `metadata.name`, and returns the object to write. */
export type ManifestOverride = (object: Json) => Json;

/** Passes what an object renders through one more step, after the typed class dropped what it does not know. */
export function onRender(object: ApiObject, step: ManifestOverride): void {
  const previous = object.toJson.bind(object);
  object.toJson = () => step(previous());
}

let rendered: Map<ApiObject, Json> | undefined;

/** The rendered JSON of an object. Within `renderOnce` each object is rendered once, for any number of callers. */
export function jsonOf(object: ApiObject): Json {
  const known = rendered?.get(object);
  if (known) return known;
  const json = object.toJson();
  rendered?.set(object, json);
  return json;
}

/** Runs one rendering of a tree that does not change meanwhile. */
export function renderOnce<T>(render: () => T): T {
  rendered = new Map();
  try {
    return render();
  } finally {
    rendered = undefined;
  }
}

/** Removes the namespace, which a chart adds to every object, including cluster-scoped ones. */
export function clusterScoped<T extends ApiObject>(object: T): T {
  onRender(object, (json) => {
    const { namespace: _, ...metadata } = json.metadata;
    return { ...json, metadata };
  });
  return object;
}

/** Applies a construct's `overrideManifest` function to every object that it made. */
export function overrideManifests(scope: IConstruct, hook: ManifestOverride | undefined): void {
  if (!hook) return;
  for (const child of scope.node.findAll()) if (ApiObject.isApiObject(child)) onRender(child, hook);
}

/** Ten hexadecimal digits that change whenever the value does; the order of keys does not count. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex').slice(0, 10);
}

/**
 * Ends the rendered name of a Job in a hash over its spec and what it reads: its pod template is immutable, so a changed job must be
 * another one. Argo CD creates the new one and prunes the old one.
 */
export function nameByHash(job: ApiObject, name: string, read: () => unknown): void {
  onRender(job, (json) => ({
    ...json,
    metadata: { ...json.metadata, name: `${name}-${contentHash([json.spec, read()])}` },
  }));
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const CLUSTER_SCOPED: ReadonlySet<string> = new Set([
  'APIService',
  'CSIDriver',
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'FlowSchema',
  'GatewayClass',
  'IngressClass',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
  'MutatingWebhookConfiguration',
  'Namespace',
  'PersistentVolume',
  'PriorityClass',
  'PriorityLevelConfiguration',
  'RuntimeClass',
  'StorageClass',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'ValidatingWebhookConfiguration',
  'VolumeAttributesClass',
]);

/** Whether a kind of Kubernetes itself is cluster-scoped. */
export function isClusterScoped(kind: string): boolean {
  return CLUSTER_SCOPED.has(kind);
}

/** A list, or undefined if it is empty: the API server drops an empty one, so a comparison would always show a difference. */
export function filled<T>(list: readonly T[] = []): T[] | undefined {
  return list.length > 0 ? [...list] : undefined;
}
