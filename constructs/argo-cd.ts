/** Annotations by which an object tells Argo CD how to treat it. Without Argo CD they do nothing. */

/** Never pruned and never deleted with its Application: objects that hold or protect data survive a mistake in Git. */
export const KEEP = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' } as const;

/** Order within one sync: a wave starts when the one before it is healthy. */
export function syncWave(wave: number): Readonly<Record<string, string>> {
  return { 'argocd.argoproj.io/sync-wave': String(wave) };
}
