import { groupOf, isClusterScoped } from '../constructs';
import type { Check, Finding } from './finding';
import type { Rendering } from './rendering';

/** Two objects of one kind, namespace and name: the second would silently overwrite the first in the cluster. */
export const duplicateObjects: Check = { name: 'duplicate objects', find: ({ rendering }) => duplicates(rendering) };

function duplicates(rendering: Rendering): Finding[] {
  const owners = new Map<string, string>();
  return rendering.flatMap(({ object, construct }) => {
    const { apiVersion, kind, metadata } = object;
    const group = groupOf(String(apiVersion));
    const place = isClusterScoped(kind) ? metadata.name : `${metadata.namespace}/${metadata.name}`;
    const key = `${group} ${kind} ${place}`;
    const other = owners.get(key);
    owners.set(key, construct);
    if (other === undefined) return [];
    const message = `${kind} ${place} is rendered twice: by ${other} and by ${construct}; give one of the two another name`;
    return [{ severity: 'error' as const, message }];
  });
}
