import type { Manifest } from './objects';
import type { Plan } from './plan';
import type { State } from './step';

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
 * How long the restarts of a plan take, in minutes. Applications that are there sync each on its own, so folders run side by
 * side; in a folder one wave follows the other, and what is in the same wave runs side by side.
 */
export function minutes({ changes }: Pick<Plan, 'changes'>): { least: number; most: number } {
  const folders = new Map<string, Map<number, { least: number; most: number }>>();
  for (const { folder, rollout } of changes) {
    if (!rollout) continue;
    const waves = folders.get(folder) ?? new Map<number, { least: number; most: number }>();
    const wave = Number(rollout.wave.split('/')[1]);
    const { least, most } = waves.get(wave) ?? { least: 0, most: 0 };
    waves.set(wave, { least: Math.max(least, rollout.seconds.least), most: Math.max(most, rollout.seconds.most) });
    folders.set(folder, waves);
  }
  const sums = [...folders.values()].map((waves) => ({
    least: sum([...waves.values()].map(({ least }) => least)),
    most: sum([...waves.values()].map(({ most }) => most)),
  }));
  const longest = (pick: (each: { least: number; most: number }) => number) => Math.max(0, ...sums.map(pick));
  return { least: longest(({ least }) => least) / 60, most: longest(({ most }) => most) / 60 };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
