import type { Manifest } from './objects';
import type { State } from './step';

interface ArgoCd {
  readonly applications: Map<string, Manifest>;
  readonly projects: Manifest[];
}

const known = new WeakMap<State, ArgoCd>();

/** The application that syncs each folder. */
export function applications(state: State): ReadonlyMap<string, Manifest> {
  return argoCdOf(state).applications;
}

export function projects(state: State): readonly Manifest[] {
  return argoCdOf(state).projects;
}

/** The project of a folder's application. Undefined if the rendering does not contain exactly this project. */
export function projectOf(state: State, folder: string): Manifest | undefined {
  const name = applications(state).get(folder)?.spec.project;
  return projects(state).find(({ metadata }) => metadata.name === name);
}

function argoCdOf(state: State): ArgoCd {
  const found = known.get(state);
  if (found) return found;
  const made: ArgoCd = { applications: new Map(), projects: [] };
  for (const { object } of state.objects) {
    if (object.kind === 'AppProject') made.projects.push(object);
    if (object.kind === 'Application' && object.spec?.source?.path)
      made.applications.set(String(object.spec.source.path).split('/').pop()!, object);
  }
  known.set(state, made);
  return made;
}
