import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';
import { argoOf, cascades, foldersOf, isHook, isNeverDeleted, isNeverPruned, prunes } from './argo';

/** Kinds whose deletion also deletes their content. */
const HOLDS: ReadonlySet<string> = new Set(['CustomResourceDefinition', 'Namespace', 'PersistentVolumeClaim']);

/**
 * Objects that move from one application to another in one commit. An application owns the objects that have its name in
 * argocd.argoproj.io/tracking-id (GetManagedLiveObjs in controller/cache/cache.go and gitops-engine/pkg/cache/cluster.go). It
 * prunes those that are not in Git (controller/state.go). If the new application syncs first, it writes its own name there, with
 * only a SharedResourceWarning, and the old application no longer sees the object. If the old application syncs first, it deletes
 * the object by name without another check (pruneObject in gitops-engine/pkg/sync/sync_context.go), and the new one recreates it.
 * The order is undefined, because applications sync independently.
 */
export function movedRisks(step: Step, pairs: readonly Pair[]): Risk[] {
  const [was, is] = [argoOf(step.before), argoOf(step.after)];
  const filled = new Set(step.after.objects.map(({ folder }) => folder));
  return pairs.flatMap(({ id, before, after }): Risk[] => {
    if (!before || !after || before.folder === after.folder) return [];
    const [old, now] = [was.reads(before.folder), is.reads(after.folder)];
    if (!old || !now || old.metadata.name === now.metadata.name) return [];
    const current = is.applications.get(old.metadata.name);
    const deletes = current ? prunesMoved(before.object, current, filled) : takesAlong(before.object, old, step.before);
    if (!deletes) return [];
    const { kind, metadata } = after.object;
    const holds = HOLDS.has(kind);
    const gone = current ? '' : ', which is deleted with its objects';
    return [
      {
        verdict: holds ? 'data' : 'not-deployed',
        what: `${metadata.name}.folder`,
        objects: [id],
        from: before.folder,
        to: after.folder,
        problem: `${kind} ${metadata.name} goes from the application ${old.metadata.name}${gone} to ${now.metadata.name}: if ${old.metadata.name} is first, it deletes the object${holds ? ' with its content' : ''}, and the other one recreates it.`,
        way: [
          'Give it the annotation argocd.argoproj.io/sync-options: Prune=false,Delete=false, and let Argo CD sync that.',
          'Then move it; remove the annotation when the new application shows it as synced.',
        ],
      },
    ];
  });
}

/** Whether an application that stays prunes the object. An application with an empty folder deletes nothing (autoSync in controller/appcontroller.go). */
function prunesMoved(object: Manifest, application: Manifest, filled: ReadonlySet<string>): boolean {
  return (
    prunes(application) &&
    !isNeverPruned(object, application) &&
    !isHook(object) &&
    foldersOf(application).some((folder) => filled.has(folder))
  );
}

/** Whether a deleted application also deletes the object. */
function takesAlong(object: Manifest, application: Manifest, before: State): boolean {
  const owner = argoOf(before).ownerOf(application);
  return (
    (!owner || prunes(owner)) &&
    !isNeverPruned(application, owner) &&
    cascades(application) &&
    !isNeverDeleted(object, application)
  );
}
