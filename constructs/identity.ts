/**
 * Annotation of a database's NetworkPolicy, which stays when the database retires: what stands on its disks. So the plan sees
 * a change that is made while no pod shows it.
 */
export const IDENTITY = 'collab-homelab/identity';

/** What the disks of a database hold of it: names that may never change, how many members there are, and who wrote the files. */
export function identityAnnotation(identity: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return { [IDENTITY]: JSON.stringify(identity) };
}
