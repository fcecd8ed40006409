import { json } from '../engine/json';
import { CommandFailed } from '../engine/commands';
import type { DistFile } from '../clients/context';
import type { Kubernetes } from '../clients/kubernetes';
import { differences } from '../clients/differences';
import { NotReady } from '../engine/problem';
import { step, type Step } from '../engine/step';

/**
 * The name under which Argo CD applies. What the bootstrap applies for Argo CD to take over it applies under the same name:
 * under one of its own it would go on owning the fields, and what a later commit takes out of Git would stay in the cluster.
 */
const ARGO_CD = 'argocd-controller';
/** Set by Argo CD on what it keeps. */
const TRACKED = 'argocd.argoproj.io/tracking-id';

/** An object of dist/ that Argo CD itself needs: the bootstrap creates it, and Argo CD owns it from its first sync on. */
export function appliedObject(kubernetes: Kubernetes, { file, text, object }: DistFile): Step {
  const actions = [kubernetes.apply(ARGO_CD, [object])];
  return step(`dist/${file} is in the cluster`, async () => {
    const live = await liveObject(kubernetes, text);
    if (live === undefined) return { actions };
    if (isArgoCds(live)) return undefined;
    const different = differences(object, live);
    return different.length === 0 ? undefined : { lines: different, actions };
  });
}

/** Whether Argo CD keeps an object, so that the bootstrap must leave it alone: its own change would be undone, or undo Argo CD's. */
export function isArgoCds(live: any): boolean {
  return live.metadata?.annotations?.[TRACKED] !== undefined;
}

/** The object of a manifest as the API server has it. @throws NotReady while its kind is not known there */
export async function liveObject(kubernetes: Kubernetes, text: string): Promise<any> {
  try {
    const { stdout } = await kubernetes.read(['get', '-f', '-', '--ignore-not-found', '-o', 'json'], { stdin: text });
    if (stdout.trim() === '') return undefined;
    // Asked for by a file, it answers with a list, as the file may hold several.
    const found = json(stdout, 'kubectl get');
    return found.kind === 'List' ? found.items?.[0] : found;
  } catch (error) {
    if (error instanceof CommandFailed && /no matches for kind/.test(error.output.stderr))
      throw new NotReady(`the API server does not know this kind yet: ${error.output.stderr.trim()}`);
    throw error;
  }
}
