import { INSTANCE_LABEL, NAME_LABEL } from '../../values/labels';
import type { Manifest } from './objects';
import type { Seconds } from './pod-times';
import { daemonLimits, rollingLimits, type PodsEffect } from './replaced-pods';
import { ownWave } from './waves';
import type { State } from './step';
import { workloads, type Workload } from './workloads';

/** What keeps serving while pods of a workload are replaced, in one sentence. @param gap how long one pod is away @param pods how many there are */
export function servingMeanwhile(state: State, next: Manifest, effect: PodsEffect, gap: Seconds, pods: number): string {
  switch (next.kind) {
    case 'Deployment':
      return deployment(next, gap, pods);
    case 'DaemonSet':
      return daemonSet(next, gap, pods);
    case 'StatefulSet':
      return statefulSet(state, next, effect, gap);
    default:
      return `Nothing serves for ${time(gap)}.`;
  }
}

function deployment(next: Manifest, gap: Seconds, replicas: number): string {
  if (next.spec.strategy?.type === 'Recreate')
    return `Nothing serves for ${time(gap)}: all pods end before a new one starts.`;
  const { unavailable } = rollingLimits(next, replicas);
  const left = replicas - unavailable;
  if (unavailable === 0) return 'No gap: a new pod is ready before an old one ends.';
  return left > 0 ? `${left} of ${replicas} pods serve all the time.` : `Nothing serves for ${time(gap)}.`;
}

function daemonSet(next: Manifest, gap: Seconds, nodes: number): string {
  if (daemonLimits(next, nodes).surge > 0) return 'No gap: on each node the new pod is ready before the old one ends.';
  const ports = (next.spec.template.spec?.containers ?? []).flatMap(({ ports: each = [] }: Manifest) =>
    each.map(({ hostPort }: Manifest) => hostPort).filter(Boolean),
  );
  const what = ports.length > 0 ? `port${ports.length > 1 ? 's' : ''} ${ports.join(' and ')} of a node` : 'a node';
  return `Each node in turn: ${what} ${ports.length > 1 ? 'are' : 'is'} without its pod for ${time(gap)}, the others serve.`;
}

function statefulSet(state: State, next: Manifest, effect: PodsEffect, gap: Seconds): string {
  const members = together(state, next);
  const own = next.spec.replicas ?? 1;
  const all = members.reduce((sum, { placed }) => sum + (placed.object.spec.replicas ?? 1), 0) || own;
  const database = databaseOf(next);
  if (all <= 1) return `Nothing serves for ${time(gap)}: there is one pod.`;
  const same = members.filter(({ placed }) => ownWave(placed.object) === ownWave(next));
  const sameTime =
    same.length > 1
      ? ` ${same.length} StatefulSets of it are in the same wave: one pod of each is down at the same time.`
      : '';
  const away = Math.max(1, same.length);
  const serve = `${all - away} of ${all} pods serve all the time`;
  if (database === 'mongodb') return `${mongo(effect, all, gap)}${sameTime}`;
  if (database === 'cassandra') return `${cassandra(serve, all, away)}${sameTime}`;
  return `${serve}; data that only one pod holds is unavailable for ${time(gap)}.${sameTime}`;
}

function mongo(effect: PodsEffect, all: number, gap: Seconds): string {
  if (all === 2) return `A set of two has no majority without one member: writes fail for ${time(gap)}, twice.`;
  const primary = effect.count === all ? 'when the primary is replaced' : 'if the primary is among them';
  return `A majority of ${all} stays; ${primary} it steps down, and clients wait for an election of some seconds.`;
}

function cassandra(serve: string, all: number, away: number): string {
  if (all - away < 2)
    return `${serve}: QUORUM needs two of three replicas, so requests at QUORUM fail meanwhile; requests at ONE succeed if there are two replicas.`;
  return away === 1
    ? `${serve}: QUORUM still succeeds for keyspaces with three replicas.`
    : `${serve}: QUORUM fails for data with two replicas on the stopped pods.`;
}

/** StatefulSets of one workload, such as the racks of a ring: they share the governing Service and the name label. */
function together(state: State, next: Manifest): readonly Workload[] {
  const { [NAME_LABEL]: app, [INSTANCE_LABEL]: instance } = next.spec.template?.metadata?.labels ?? {};
  if (!app || !instance) return [];
  const matchLabels = { [NAME_LABEL]: app, [INSTANCE_LABEL]: instance };
  return workloads(state)
    .select(next.metadata.namespace ?? 'default', { matchLabels })
    .filter(({ kind, placed }) => kind === 'StatefulSet' && placed.object.spec.serviceName === next.spec.serviceName);
}

/** Detects the program by image and command, because labels may be anything. */
function databaseOf({ spec }: Manifest): 'cassandra' | 'mongodb' | undefined {
  const text = JSON.stringify(
    (spec.template?.spec?.containers ?? []).map(({ image, command, args }: Manifest) => [image, command, args]),
  );
  if (/mongod\b|[/"]mongo[:@]|percona-server-mongodb/.test(text)) return 'mongodb';
  return /[/"]cassandra[:@]|k8ssandra|CassandraDaemon/.test(text) ? 'cassandra' : undefined;
}

/** Text such as "10 to 150 s" or "up to 150 s". */
export function time({ least, most }: Seconds): string {
  if (most === 0) return 'a moment';
  return least > 0 && least !== most ? `${least} to ${most} s` : least === most ? `${most} s` : `up to ${most} s`;
}
