import { kubectl, kubectlChange } from '../clients/kubernetes';
import { json } from '../engine/json';
import { CommandFailed } from '../engine/commands';
import type { Context } from '../clients/context';
import { differences } from '../clients/differences';
import { NotReady } from '../engine/problem';
import type { Step } from '../engine/step';

/** A file of dist/ with one object. */
export interface DistFile {
  readonly file: string;
  readonly text: string;
  readonly object: any;
}

/**
 * The name under which Argo CD applies. What the bootstrap applies for Argo CD to take over it applies under the same name:
 * under one of its own it would go on owning the fields, and what a later commit takes out of Git would stay in the cluster.
 */
const ARGO_CD = 'argocd-controller';
/** Set by Argo CD on what it keeps. */
const TRACKED = 'argocd.argoproj.io/tracking-id';

/** An object of dist/ that must be there before Argo CD is, and is Argo CD's from its first sync on. */
export function handedOver(context: Context, { file, text, object }: DistFile): Step {
  return {
    title: `dist/${file} is in the cluster`,
    async plan() {
      const live = await liveObject(context, text);
      if (live === undefined) return { lines: [`apply dist/${file} as it is`] };
      if (isArgoCds(live)) return undefined;
      const different = differences(object, live);
      return different.length === 0 ? undefined : { lines: different };
    },
    async apply() {
      await applyAsArgoCd(context, text);
    },
  };
}

export async function applyAsArgoCd(context: Context, text: string): Promise<void> {
  await kubectlChange(
    context,
    ['apply', '--server-side', `--field-manager=${ARGO_CD}`, '--force-conflicts', '-f', '-'],
    { stdin: text },
  );
}

/** Whether Argo CD keeps an object, so that the bootstrap must leave it alone: its own change would be undone, or undo Argo CD's. */
export function isArgoCds(live: any): boolean {
  return live.metadata?.annotations?.[TRACKED] !== undefined;
}

/** The object of a manifest as the API server has it. @throws Later while its kind is not known there */
export async function liveObject(context: Context, text: string): Promise<any> {
  try {
    const { stdout } = await kubectl(context, ['get', '-f', '-', '--ignore-not-found', '-o', 'json'], { stdin: text });
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
