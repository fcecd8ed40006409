import type { Manifest } from '../objects';

/** Why the server refuses a change. */
export interface Refusal {
  /** Path of the field. */
  readonly path: string;
  readonly reason: string;
  /** The workaround. */
  readonly way: string;
}

/** An object before and after, as stored and as written. */
export interface Sides {
  readonly live: Manifest;
  readonly next: Manifest;
  readonly before: Manifest;
  readonly after: Manifest;
  /** After the merge, before the server fills anything in. */
  readonly merged: Manifest;
  readonly classes?: Classes;
}

/** StorageClasses by name: they define whether claims may grow. */
export type Classes = ReadonlyMap<string, Manifest>;

/** Kinds that pods or claims depend on while they run. */
const WAYS: Readonly<Record<string, (name: string, place: string) => string>> = {
  StatefulSet: (name, place) =>
    `delete the StatefulSet alone (kubectl delete statefulset ${name}${place} --cascade=orphan): its pods keep running, and the next sync recreates it and adopts them`,
  Job: () => 'give the Job another name: the new Job runs, and the results of the old one stay',
  PersistentVolume: () => 'create a volume with another name, and move its claim and its data there',
  PersistentVolumeClaim: () => 'create a claim with another name, and copy the data there',
  StorageClass: (name) =>
    `delete the class (kubectl delete storageclass ${name}): volumes and claims stay, and the next sync recreates it`,
  Deployment: (name, place) =>
    `delete the Deployment (kubectl delete deployment ${name}${place}): its pods end, and the next sync recreates it; or give it another name`,
};

/** Workaround for a field that cannot change. */
export function wayOf({ kind, metadata }: Manifest): string {
  const place = metadata.namespace === undefined ? '' : ` -n ${metadata.namespace}`;
  const way = WAYS[kind]?.(metadata.name, place);
  return (
    way ??
    `delete it (kubectl delete ${String(kind).toLowerCase()} ${metadata.name}${place}), and the next sync recreates it; or give it another name`
  );
}
