import type { Risk } from '../plan';
import type { Pair, Step } from '../step';
import { argoOf, isHook, isNeverPruned, prunes } from './argo';

/** Kinds whose deletion takes what stands in them or on them. */
const HOLDS: ReadonlySet<string> = new Set(['CustomResourceDefinition', 'Namespace', 'PersistentVolumeClaim']);

/**
 * Objects that go from one application to another in one commit. Each application prunes what carries its tracking id and is
 * not in its folder any more. Does the new one sync first, it writes its own id, and the object stays; does the old one, the
 * object is deleted and made again. Nothing decides which.
 */
export function movedRisks(step: Step, pairs: readonly Pair[]): Risk[] {
  const [was, is] = [argoOf(step.before), argoOf(step.after)];
  return pairs.flatMap(({ id, before, after }): Risk[] => {
    if (!before || !after || before.folder === after.folder) return [];
    const [old, now] = [was.reads(before.folder), is.reads(after.folder)];
    if (!old || !now || old.metadata.name === now.metadata.name) return [];
    const current = is.applications.get(old.metadata.name);
    if (isNeverPruned(before.object) || isHook(before.object) || !current || !prunes(current)) return [];
    const { kind, metadata } = after.object;
    const holds = HOLDS.has(kind);
    return [
      {
        verdict: holds ? 'data' : 'not-deployed',
        what: `${metadata.name}.folder`,
        objects: [id],
        from: before.folder,
        to: after.folder,
        problem: `${kind} ${metadata.name} goes from the application ${old.metadata.name} to ${now.metadata.name}: if ${old.metadata.name} syncs first, it deletes the object${holds ? ' with all that stands in it' : ''}, and the other one makes it again.`,
        way: [
          'Give it the annotation argocd.argoproj.io/sync-options: Prune=false, and let Argo CD sync that.',
          'Then move it; take the annotation off again when the new application shows it as synced.',
        ],
      },
    ];
  });
}
