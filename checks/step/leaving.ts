import { isClusterScoped } from '../../constructs';
import { projects } from './applications';
import { argoOf, cascades, foldersOf, isNeverDeleted, optionOf, prunes } from './deployment/argo';
import { isKept, permits, type Manifest } from './objects';
import { isHook } from './remade';
import type { Pair, State, Step } from './step';

/** What happens to an object that leaves Git. */
export interface Leaving {
  readonly verdict: 'pruned' | 'kept';
  /** The reason in one sentence. Undefined if Argo CD prunes the object as usual. */
  readonly reason?: string;
}

/** Whether Argo CD deletes an object that leaves Git. Without Argo CD, assumes that the deploying tool prunes. */
export function leaving({ before }: Pair, step: Step): Leaving {
  const { folder, object } = before!;
  const namespace = isClusterScoped(object.kind) ? undefined : object.metadata.namespace;
  // Kubernetes deletes everything in a namespace, and ignores annotations of Argo CD.
  if (namespace !== undefined && goingNamespaces(step).has(namespace))
    return { verdict: 'pruned', reason: `its namespace ${namespace} is deleted with everything in it` };
  const [was, is] = [argoOf(step.before), argoOf(step.after)];
  if (was.applications.size === 0)
    return isKept(object) ? kept('its annotation says to keep it') : { verdict: 'pruned' };
  const application = was.reads(folder);
  if (!application) return kept('no Argo CD application read its folder, so none deletes it');
  if (projects(step.after).some((project) => !permits(project, object)))
    return kept("Argo CD's project no longer permits its kind or namespace, so Argo CD does not delete it");
  const now = is.applications.get(application.metadata.name);
  return now ? withoutIt(object, now, step.after) : withApplication(object, application, step.before);
}

/** For an application that stays: it prunes objects that it deployed and that left Git (gitops-engine/pkg/sync/sync_context.go). */
function withoutIt(object: Manifest, application: Manifest, after: State): Leaving {
  const { name } = application.metadata;
  if (isHook(object)) return kept('it is a hook, and Argo CD prunes no hooks');
  const option = optionOf('Prune', object, application);
  if (option === 'false') return kept('its options tell Argo CD to keep it');
  if (option === 'confirm') return kept(`Argo CD waits until you confirm in ${name} that it may be deleted`);
  if (!prunes(application)) return kept(`its application ${name} does not prune by itself`);
  // A missing folder is an error; a folder without objects is not synced automatically (autoSync in controller/appcontroller.go).
  if (!foldersOf(application).some((folder) => filledFolders(after).has(folder)))
    return kept(`its application ${name} finds no objects any more, and then deletes nothing`);
  return { verdict: 'pruned' };
}

/** For an application that leaves too: shouldBeDeleted in controller/appcontroller.go decides. */
function withApplication(object: Manifest, application: Manifest, before: State): Leaving {
  const { name } = application.metadata;
  const owner = argoOf(before).ownerOf(application);
  if (['false', 'confirm'].includes(optionOf('Prune', application, owner) ?? '') || (owner && !prunes(owner)))
    return kept(`its application ${name} is kept and finds no folder any more, so it deletes nothing`);
  if (!cascades(application))
    return kept(`its application ${name} is deleted without the finalizer that deletes its objects`);
  if (isNeverDeleted(object, application))
    return kept(
      object.kind === 'CustomResourceDefinition'
        ? `its application ${name} is deleted, and Argo CD keeps its CustomResourceDefinitions`
        : `its application ${name} is deleted, and its options tell Argo CD to keep it`,
    );
  if (optionOf('Delete', object, application) === 'confirm')
    return kept(`the deletion of its application ${name} waits until you confirm it`);
  return { verdict: 'pruned', reason: `its application ${name} is deleted with its objects` };
}

const going = new WeakMap<Step, ReadonlySet<string>>();

/** Namespaces that are deleted in this step. */
function goingNamespaces(step: Step): ReadonlySet<string> {
  const known = going.get(step);
  if (known) return known;
  const stay = new Set(namespacesOf(step.after).map(({ object }) => object.metadata.name));
  const found = new Set(
    namespacesOf(step.before)
      .filter(({ object }) => !stay.has(object.metadata.name))
      .filter((before) => leaving({ id: '', before }, step).verdict === 'pruned')
      .map(({ object }) => object.metadata.name as string),
  );
  going.set(step, found);
  return found;
}

function namespacesOf({ objects }: State) {
  return objects.filter(({ object }) => object.kind === 'Namespace');
}

const filled = new WeakMap<State, ReadonlySet<string>>();

/** Folders that hold an object. */
function filledFolders(state: State): ReadonlySet<string> {
  const found = filled.get(state) ?? new Set(state.objects.map(({ folder }) => folder));
  filled.set(state, found);
  return found;
}

function kept(reason: string): Leaving {
  return { verdict: 'kept', reason };
}
