import type { Manifest } from '../objects';

/** Why the server refuses a change. */
export interface Refusal {
  /** As in the paths of fields. */
  readonly path: string;
  readonly reason: string;
  /** The way round. */
  readonly way: string;
}

/** An object before and after, as the server holds it and as it was written. */
export interface Sides {
  readonly live: Manifest;
  readonly next: Manifest;
  readonly before: Manifest;
  readonly after: Manifest;
  /** After the merge, before the server fills anything in. */
  readonly merged: Manifest;
  readonly classes?: Classes;
}

/** StorageClasses by name: they say whether claims may grow. */
export type Classes = ReadonlyMap<string, Manifest>;

/** Kinds that pods or claims depend on while they run. */
const WAYS: Readonly<Record<string, (name: string, place: string) => string>> = {
  StatefulSet: (name, place) =>
    `delete the StatefulSet alone (kubectl delete statefulset ${name}${place} --cascade=orphan): its pods run on, and the next sync makes it anew over them`,
  Job: () => 'give the Job another name: the new one runs beside what the old one left',
  PersistentVolume: () => 'make a volume of another name, and move its claim and its data there',
  PersistentVolumeClaim: () => 'make a claim of another name, and copy the data there',
  StorageClass: (name) =>
    `delete the class (kubectl delete storageclass ${name}): volumes and claims stay, and the next sync makes it anew`,
  Deployment: (name, place) =>
    `delete the Deployment (kubectl delete deployment ${name}${place}): its pods end, and the next sync makes it anew; or give it another name`,
};

/** How one comes to an object whose fields do not change. */
export function wayOf({ kind, metadata }: Manifest): string {
  const place = metadata.namespace === undefined ? '' : ` -n ${metadata.namespace}`;
  const way = WAYS[kind]?.(metadata.name, place);
  return (
    way ??
    `delete it (kubectl delete ${String(kind).toLowerCase()} ${metadata.name}${place}), and the next sync makes it anew; or give it another name`
  );
}
