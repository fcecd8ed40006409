import { applications, projectOf } from './applications';
import { identity, permits } from './objects';
import type { ChangeVerdict, ObjectChange } from './plan';
import { isHook, runsAgain } from './remade';
import type { Placed, Step } from './step';
import { ownWave } from './waves';

/**
 * Effects of syncing whole applications. An object that the project does not permit stops its whole application. An object that
 * the API server rejects stops all later waves. Hooks run only during a sync.
 */
export function synced(changes: readonly ObjectChange[], step: Step): ObjectChange[] {
  const inFolders = byFolder(changes);
  const stopped = notPermitted(step);
  const hooks = hooksOf(step);
  return [...inFolders].flatMap(([folder, own]) => {
    const stop = stopped.get(folder);
    if (stop) return own.map((change) => stoppedBy(change, stop));
    return withHooks(behindRefused(own), folder, hooks.get(folder) ?? []);
  });
}

/** An object that blocks the sync of its application. */
interface Stop {
  readonly id: string;
  readonly project: string;
}

function notPermitted({ after }: Step): Map<string, Stop> {
  const found = new Map<string, Stop>();
  for (const { folder, object } of after.objects) {
    if (found.has(folder)) continue;
    const project = projectOf(after, folder);
    const namespace = object.metadata.namespace ?? applications(after).get(folder)?.spec.destination?.namespace;
    if (project && !permits(project, { ...object, metadata: { ...object.metadata, namespace } }))
      found.set(folder, { id: identity(object), project: project.metadata.name });
  }
  return found;
}

function stoppedBy(change: ObjectChange, { id, project }: Stop): ObjectChange {
  if (change.verdict === 'nothing') return change;
  const problem = `the project ${project} does not permit ${id}`;
  const reason = `Argo CD syncs nothing of ${change.folder}: ${problem}`;
  return notDeployed(change, change.id === id ? `${problem}, so Argo CD syncs nothing of ${change.folder}` : reason);
}

/** A wave starts only after the whole previous wave succeeded. Rejected objects stay rejected. */
function behindRefused(changes: readonly ObjectChange[]): ObjectChange[] {
  const refused = changes.filter(({ verdict }) => verdict === 'refused');
  if (refused.length === 0) return [...changes];
  const waves = syncWaves(changes);
  const wave = (change: ObjectChange) => waves.get(change.id)!;
  const first = refused.reduce((a, b) => (wave(b) < wave(a) ? b : a));
  return changes.map((change) =>
    wave(change) > wave(first) && !['refused', 'nothing', 'kept'].includes(change.verdict)
      ? notDeployed(change, `it waits behind ${first.id}, which is refused in an earlier wave`)
      : change,
  );
}

/** The wave of each object; pruned objects are deleted in the reverse order of waves. */
function syncWaves(changes: readonly ObjectChange[]): Map<string, number> {
  const own = ({ before, after }: ObjectChange) => ownWave((after ?? before)!);
  const pruned = [...new Set(changes.filter(({ verdict }) => verdict === 'pruned').map(own))].sort((a, b) => a - b);
  const reversed = new Map(pruned.map((wave, index) => [wave, pruned[pruned.length - 1 - index]!]));
  return new Map(
    changes.map((change) => [change.id, change.verdict === 'pruned' ? reversed.get(own(change))! : own(change)]),
  );
}

const IDLE: readonly ChangeVerdict[] = ['nothing'];

/** Hooks run with every sync of their application, changed or not. A changed hook alone starts no sync. */
function withHooks(changes: readonly ObjectChange[], folder: string, hooks: readonly Hook[]): ObjectChange[] {
  if (hooks.length === 0) return [...changes];
  const isHere = new Set(hooks.map(({ object }) => identity(object)));
  const others = changes.filter(({ id, verdict }) => !isHere.has(id) && !IDLE.includes(verdict));
  const fails = others.some(({ verdict }) => verdict === 'refused' || verdict === 'not-deployed');
  const starts = others.length > 0;
  const ofHooks = hooks.flatMap(({ object, wasThere }): ObjectChange[] => {
    const id = identity(object);
    const change = changes.find((each) => each.id === id);
    if (change?.verdict === 'nothing' || (starts && !fails && change)) return [change!];
    if (change)
      return [
        notDeployed(
          change,
          starts
            ? `it is a hook, and the sync of ${folder} fails`
            : `it is a hook: nothing else in ${folder} changes, so no sync runs it`,
        ),
      ];
    if (!starts || fails || !wasThere || !runsAgain(object)) return [];
    const reason = `it is a hook: it runs once more, with the sync of ${folder}`;
    return [{ id, folder, before: object, after: object, fields: [], verdict: 'created', reason }];
  });
  return [...changes.filter(({ id }) => !isHere.has(id)), ...ofHooks];
}

type Hook = Placed & { readonly wasThere: boolean };

/** Hooks of each folder, and whether they existed before. */
function hooksOf({ before, after }: Step): Map<string, Hook[]> {
  const was = new Set(before.objects.filter(({ object }) => isHook(object)).map(({ object }) => identity(object)));
  return byFolder(
    after.objects
      .filter(({ object }) => isHook(object))
      .map((placed) => ({ ...placed, wasThere: was.has(identity(placed.object)) })),
  );
}

function byFolder<T extends { readonly folder: string }>(all: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const each of all) {
    const own = found.get(each.folder);
    if (own) own.push(each);
    else found.set(each.folder, [each]);
  }
  return found;
}

function notDeployed(change: ObjectChange, reason: string): ObjectChange {
  return { ...change, verdict: 'not-deployed', reason, rollout: undefined };
}
