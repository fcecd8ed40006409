import type { Manifest } from '../objects';
import { containersOf, type Workload } from './view';
import { accountOf } from './subjects';

/** An object that pods refer to. They do not start without it, unless it is optional. */
export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap' | 'PersistentVolumeClaim' | 'ServiceAccount' | 'PriorityClass';
  readonly name: string;
  /** Keys of a Secret or ConfigMap. @default all of them */
  readonly key?: string;
  readonly optional: boolean;
  /** Whether processes in the pod see its content. */
  readonly read: boolean;
}

/** The references of a workload's pods, in the order of their spec. */
export function referencesOf(workload: Workload): Reference[] {
  const { pod } = workload;
  const priority = pod.priorityClassName as string | undefined;
  return [
    ...containersOf(pod).flatMap(inEnvironment),
    ...(pod.volumes ?? []).flatMap(inVolume),
    needed('ServiceAccount', accountOf(workload)),
    ...(priority ? [needed('PriorityClass', priority)] : []),
  ];
}

function needed(kind: Reference['kind'], name: string): Reference {
  return { kind, name, optional: false, read: false };
}

function inEnvironment({ env = [], envFrom = [] }: Manifest): Reference[] {
  return [
    ...env.flatMap(({ valueFrom = {} }: Manifest) => [
      ...keyOf('Secret', valueFrom.secretKeyRef),
      ...keyOf('ConfigMap', valueFrom.configMapKeyRef),
    ]),
    ...envFrom.flatMap(({ secretRef, configMapRef }: Manifest) => [
      ...whole('Secret', secretRef),
      ...whole('ConfigMap', configMapRef),
    ]),
  ];
}

function keyOf(kind: 'Secret' | 'ConfigMap', reference: Manifest | undefined): Reference[] {
  if (!reference) return [];
  const { name, key, optional = false } = reference;
  return [{ kind, name, key, optional, read: true }];
}

function whole(kind: 'Secret' | 'ConfigMap', reference: Manifest | undefined): Reference[] {
  if (!reference) return [];
  const { name, items, optional = false } = reference;
  const keys: readonly (string | undefined)[] = items ? items.map(({ key }: Manifest) => key) : [undefined];
  return keys.map((key) => ({ kind, name, ...(key !== undefined && { key }), optional, read: true }));
}

function inVolume({ secret, configMap, projected, persistentVolumeClaim, csi }: Manifest): Reference[] {
  const claim = persistentVolumeClaim?.claimName;
  return [
    ...whole('Secret', secret && { ...secret, name: secret.secretName }),
    ...whole('ConfigMap', configMap),
    ...(projected?.sources ?? []).flatMap((source: Manifest) => [
      ...whole('Secret', source.secret),
      ...whole('ConfigMap', source.configMap),
    ]),
    ...whole('Secret', csi?.nodePublishSecretRef),
    ...(claim ? [needed('PersistentVolumeClaim', claim)] : []),
  ];
}
