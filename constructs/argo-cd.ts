/** Annotations by which an object tells Argo CD how to treat it. Without Argo CD they do nothing. */

/** Never pruned and never deleted with its Application: what holds data, or guards it, outlives a mistake in Git. */
export const KEEP = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' } as const;

/** The place in the order of one sync: a wave starts when the one before it is healthy. */
export function syncWave(wave: number): Readonly<Record<string, string>> {
  return { 'argocd.argoproj.io/sync-wave': String(wave) };
}
