import { identity, isKept, permits, SECRETS_FILE, secretsIn, type Manifest } from '../checks/step/objects';
import { groupOf, isClusterScoped } from '../constructs';
import type { Files } from './publish';

/** What `npm run synth` and `npm run homelab -- leftovers` print before the commands. */
export const LEFTOVERS =
  'Only you can remove these, and their data with them. Run the commands in this order; repeat a command that was interrupted:';

/**
 * Commands that remove what left dist/ and nothing else deletes: objects that Argo CD was told to keep, objects whose kind or
 * namespace its project does not permit any more, and secrets that the bootstrap made. The YAML parser is loaded only if
 * something left.
 */
export async function leftovers(before: Files, after: Files): Promise<string[]> {
  const gone = [...before].filter(([path]) => !after.has(path) && path.includes('/'));
  if (gone.length === 0 && before.get(SECRETS_FILE) === after.get(SECRETS_FILE)) return [];
  const { parse } = await import('yaml');
  const manifests = (files: Iterable<readonly [string, string]>): Manifest[] =>
    [...files].map(([, text]) => parse(text));
  const now = manifests([...after].filter(([path]) => path.includes('/')));
  const declared = (files: Files) => secretsIn(parse(files.get(SECRETS_FILE) ?? '{}'));
  // An object that another chart renders now did not leave.
  const still = new Set([...now, ...declared(after)].map(identity));
  const projects = now.filter(({ kind }) => kind === 'AppProject');
  const stays = (object: Manifest) => isKept(object) || projects.some((project) => !permits(project, object));
  return removalCommands(
    [...manifests(gone).filter(stays), ...declared(before)].filter((object) => !still.has(identity(object))),
  );
}

/**
 * Applications first, or they would recreate the objects; then claims and their volumes, which end only when no pod uses
 * them, so kubectl does not wait for them; namespaces last, with everything that is left in them.
 */
const ORDER: readonly string[] = ['Application', 'AppProject', '', 'PersistentVolume', 'StorageClass', 'Namespace'];

/** Commands that remove objects, in an order that works with and without running pods. */
export function removalCommands(objects: readonly Manifest[]): string[] {
  const namespaces = new Set(objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name));
  const place = ({ kind }: Manifest) => ORDER.indexOf(ORDER.includes(kind) ? kind : '');
  const sorted = objects
    // It is deleted with its namespace.
    .filter(({ kind, metadata }) => isClusterScoped(kind) || !namespaces.has(metadata.namespace))
    .sort((a, b) => place(a) - place(b) || (identity(a) < identity(b) ? -1 : 1));
  const commands = sorted.flatMap(({ apiVersion, kind, metadata, spec }) => {
    const group = groupOf(apiVersion);
    const resource = `${kind.toLowerCase()}${group === 'argoproj.io' ? `.${group}` : ''}`;
    const where = isClusterScoped(kind) ? '' : ` -n ${metadata.namespace}`;
    const command = `kubectl delete ${resource} ${metadata.name}${where}`;
    if (kind === 'PersistentVolumeClaim') return [`${command} --wait=false`];
    if (kind !== 'PersistentVolume') return [command];
    const claim =
      spec.claimRef && `kubectl delete persistentvolumeclaim ${spec.claimRef.name} -n ${spec.claimRef.namespace}`;
    return [claim, command].filter(Boolean).map((each) => `${each} --wait=false`);
  });
  // A claim that dist/ held, and the one that its volume names.
  return [...new Set(commands)];
}
