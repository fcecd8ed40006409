import { clientsOf } from '../clients';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';
import { workloads, type Workload } from '../workloads';
import { argoOf, wavesOf } from './argo';

/** Clients that will start before or together with their target, because waves changed. */
export function orderRisks({ before, after }: Step, pairs: readonly Pair[]): Risk[] {
  const changed = pairs.filter(
    (pair) => pair.before && pair.after && waveText(pair.before.object) !== waveText(pair.after.object),
  );
  if (changed.length === 0) return [];
  const byName = workloads(after).byName;
  const old = workloads(before).byName;
  return workloads(after).all.flatMap((target) => {
    const was = old.get(`${target.kind} ${target.name}`);
    if (!was) return [];
    const early = clientsOf(after, target).filter((name) => {
      const [client, earlier] = [find(byName, name), find(old, name)];
      return client && earlier && compare(earlier, was, before) > 0 && compare(client, target, after) <= 0;
    });
    return early.length === 0 ? [] : [risk(target, early, changed)];
  });
}

function risk(target: Workload, clients: readonly string[], changed: readonly Pair[]): Risk {
  return {
    verdict: 'not-deployed',
    what: `${target.name}.wave`,
    objects: changed.map(({ id }) => id),
    path: 'metadata.annotations[argocd.argoproj.io/sync-wave]',
    from: 'before its clients',
    to: 'not before its clients',
    problem: `Sync waves change: in a new cluster ${clients.slice(0, 4).join(', ')} no longer wait for ${target.name}, to which they connect.`,
  };
}

function waveText({ metadata }: { readonly metadata?: any }): string {
  return String(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
}

function find(all: ReadonlyMap<string, Workload>, name: string): Workload | undefined {
  return ['Deployment', 'StatefulSet', 'DaemonSet'].map((kind) => all.get(`${kind} ${name}`)).find(Boolean);
}

/** Positive if the first one starts after the second one. */
function compare(one: Workload, other: Workload, state: State): number {
  const waves = ({ placed }: Workload) => wavesOf(placed.object, argoOf(state).reads(placed.folder));
  const [[a, b], [c, d]] = [waves(one), waves(other)];
  return a - c || (one.placed.folder === other.placed.folder ? b - d : 0);
}
