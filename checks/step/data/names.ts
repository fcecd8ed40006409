import { identity, type Manifest } from '../objects';
import { databaseOf, thingOf, type Index } from './databases';
import { claimTemplates, podNames } from './workloads';

/** The name of an object in an accepted change: its database, or its own name, unique among its kind. */
export function nameIn(object: Manifest, index: Index): string {
  const database = object.kind === 'StatefulSet' ? databaseOf(object) : undefined;
  const whole = database && index.databases.get(database.key);
  if (whole)
    return whole.sets.length > 1 && whole.name !== object.metadata.name ? object.metadata.name : thingOf(whole, index);
  const { kind, metadata } = object;
  const twin = [...index.byId.values()].some(
    (each) => each.kind === kind && each.metadata.name === metadata.name && identity(each) !== identity(object),
  );
  return twin && metadata.namespace !== undefined ? `${metadata.namespace}/${metadata.name}` : metadata.name;
}

/** The pod that a claim belongs to, by the StatefulSet that creates the claim. */
export interface Claimant {
  readonly set: Manifest;
  readonly pod: string;
}

/** Claims that StatefulSets create, as namespace/claim. */
export function claimants(index: Index): Map<string, Claimant> {
  const found = new Map<string, Claimant>();
  for (const object of index.byId.values())
    for (const { metadata } of claimTemplates(object))
      for (const pod of podNames(object))
        found.set(`${object.metadata.namespace ?? ''}/${metadata.name}-${pod}`, { set: object, pod });
  return found;
}
