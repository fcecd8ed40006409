import type { Manifest } from './objects';
import type { Plan } from './plan';
import type { Seconds } from './pod-times';
import type { Placed, State, Step } from './step';
import { workloads } from './workloads';

/** Jobs that the step makes in an earlier wave of the same application: Argo CD waits until they have succeeded. */
export function jobsBefore({ folder, object }: Placed, { before, after }: Step): string[] {
  const wave = ownWave(object);
  return workloads(after)
    .all.filter(({ kind, name, placed }) => {
      const isEarlier = kind === 'Job' && placed.folder === folder && ownWave(placed.object) < wave;
      return isEarlier && !workloads(before).byName.has(`Job ${name}`);
    })
    .map(({ name }) => name);
}

const applications = new WeakMap<State, Map<string, number>>();

/** The sync wave of an object: its own annotation. */
export function ownWave({ metadata }: Manifest): number {
  return Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0) || 0;
}

/** Wave of the application of a folder, and the object's own: 1/2. */
export function waveOf(state: State, folder: string, object: Manifest): string {
  return `${applicationWaves(state).get(folder) ?? 0}/${ownWave(object)}`;
}

/** Waves of applications, by the folder that they sync. */
function applicationWaves(state: State): Map<string, number> {
  const known = applications.get(state);
  if (known) return known;
  const found = new Map<string, number>();
  for (const { object } of state.objects)
    if (object.kind === 'Application' && object.spec?.source?.path)
      found.set(String(object.spec.source.path).split('/').pop()!, ownWave(object));
  applications.set(state, found);
  return found;
}

/**
 * How long the restarts of a plan take, in seconds. Existing applications sync independently, so folders run side by
 * side. In a folder, waves follow each other, and the objects of one wave run side by side.
 */
export function restartSeconds({ changes }: Pick<Plan, 'changes'>): Seconds {
  const folders = new Map<string, Map<string, Seconds>>();
  for (const { folder, rollout } of changes) {
    if (!rollout) continue;
    const waves = folders.get(folder) ?? new Map<string, Seconds>();
    folders.set(folder, waves.set(rollout.wave, longest([waves.get(rollout.wave) ?? NONE, rollout.seconds])));
  }
  return longest([...folders.values()].map((waves) => sum([...waves.values()])));
}

const NONE: Seconds = { least: 0, most: 0 };

function longest(all: readonly Seconds[]): Seconds {
  return all.reduce((a, b) => ({ least: Math.max(a.least, b.least), most: Math.max(a.most, b.most) }), NONE);
}

function sum(all: readonly Seconds[]): Seconds {
  return all.reduce((a, b) => ({ least: a.least + b.least, most: a.most + b.most }), NONE);
}
