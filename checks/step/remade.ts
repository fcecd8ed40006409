import type { Manifest } from './objects';
import type { Placed, State, Step } from './step';

/**
 * Why Argo CD deletes and recreates an object instead of changing it. Undefined if it changes it. Applies to hooks that run once
 * more, and objects with both Replace=true and Force=true, which is kubectl replace --force; Force=true alone does nothing
 * with server-side apply.
 */
export function remadeBecause({ folder, object }: Placed, step: Step): string | undefined {
  if (isHook(object)) {
    if (!runsAgain(object)) return undefined;
    return `it is a hook: Argo CD deletes and recreates it at every sync of ${folder}`;
  }
  const options = annotated(object, 'argocd.argoproj.io/sync-options');
  const replaces = options.includes('Replace=true') || replacingFolders(step.after).has(folder);
  // Argo CD updates these two in place, because everything in them would be deleted with them.
  if (!replaces || !options.includes('Force=true') || ['Namespace', 'CustomResourceDefinition'].includes(object.kind))
    return undefined;
  return 'its sync options Replace=true and Force=true make Argo CD delete and recreate it';
}

/** Whether an object is a hook: Argo CD creates it only during a sync. */
export function isHook(object: Manifest): boolean {
  const types = annotated(object, 'argocd.argoproj.io/hook');
  if (types.length > 0) return types.some((type) => type !== 'Skip');
  return annotated(object, 'helm.sh/hook').some((type) => type !== 'crd-install');
}

/** A hook stays only if its delete policy is HookFailed alone. */
export function runsAgain(object: Manifest): boolean {
  const policies = [
    ...annotated(object, 'argocd.argoproj.io/hook-delete-policy'),
    ...annotated(object, 'helm.sh/hook-delete-policy'),
  ];
  return policies.length === 0 || policies.some((policy) => !['HookFailed', 'hook-failed'].includes(policy));
}

function annotated({ metadata }: Manifest, key: string): string[] {
  return String(metadata.annotations?.[key] ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean);
}

const replacing = new WeakMap<State, Set<string>>();

/** Folders whose application sets Replace=true for all its objects. */
function replacingFolders(state: State): Set<string> {
  const known =
    replacing.get(state) ??
    new Set(
      state.objects
        .filter(({ object }) => object.kind === 'Application')
        .filter(({ object }) => (object.spec?.syncPolicy?.syncOptions ?? []).includes('Replace=true'))
        .map(({ object }) => String(object.spec.source?.path).split('/').pop()!),
    );
  replacing.set(state, known);
  return known;
}
