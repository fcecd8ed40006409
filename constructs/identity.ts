/**
 * Annotation on a database's NetworkPolicy, which stays when the database is retired: values that its disks hold. By it the plan
 * sees a change of these values while no pod exists.
 */
export const IDENTITY = 'collab-homelab/identity';

/** Values that the disks of a database hold: names that may never change, the number of members, and the version that wrote the files. */
export function identityAnnotation(identity: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return { [IDENTITY]: JSON.stringify(identity) };
}
