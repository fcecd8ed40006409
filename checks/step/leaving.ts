import { applications, projects } from './applications';
import { isKept, permits } from './objects';
import { isHook } from './remade';
import type { Pair, Step } from './step';

/** What becomes of an object that leaves Git. */
export interface Leaving {
  readonly verdict: 'pruned' | 'kept';
  /** Why, in one sentence; undefined where it is pruned as everything is. */
  readonly reason?: string;
}

/** Whether Argo CD deletes an object that leaves Git. Without Argo CD whatever applies the rendering is expected to. */
export function leaving({ before }: Pair, step: Step): Leaving {
  const { folder, object } = before!;
  if (isKept(object)) return kept('Argo CD is told to keep it');
  if (projects(step.after).some((project) => !permits(project, object)))
    return kept('the project of Argo CD does not permit its kind or namespace any more, and deletes nothing there');
  const application = applications(step.before).get(folder);
  if (application === undefined || applications(step.after).has(folder))
    return isHook(object) ? kept('it is a hook, and Argo CD prunes no hooks') : { verdict: 'pruned' };
  const { name, finalizers = [] } = application.metadata;
  if (isKept(application))
    return kept(`its application ${name} is kept and finds no folder any more, so it deletes nothing`);
  if (!finalizers.some((each: string) => each.startsWith('resources-finalizer.argocd.argoproj.io')))
    return kept(`its application ${name} is deleted without the finalizer that takes its objects along`);
  return { verdict: 'pruned', reason: `its application ${name} is deleted, and takes it along` };
}

function kept(reason: string): Leaving {
  return { verdict: 'kept', reason };
}
