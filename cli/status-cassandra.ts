import type { Cassandra } from '../inventory';
import { age, backupOf, type PodStatus, type Status } from './status-pod';

type Json = any;

/** Ops reports every 10 minutes, also during a repair that takes hours. */
const SILENT_SECONDS = 1800;

const COLUMNS = ['pod', 'ready', 'node', 'oldest repair', 'failures', 'pending', 'ops', 'newest backup'];

/** Status of a ring, from the reports of each node's container `ops`. */
export function cassandraStatus(database: Cassandra, pods: readonly PodStatus[], now: number): Status {
  const members = database.racks.length * (database.membersPerRack ?? database.nodesPerRack ?? 1);
  const ring: Json[] = pods.map(({ own }) => own?.ring).find((each) => each?.length) ?? [];
  const left = pods.filter(({ own }) => own?.inRing === false).map(({ pod }) => pod);
  const leaving = pods.filter((each) => isSurplus(database, each) && !left.includes(each.pod)).map(({ pod }) => pod);
  return {
    summary: [
      `${ring.length} of ${members} nodes in the ring`,
      ...(leaving.length > 0 ? [`should leave: ${leaving.join(', ')}`] : []),
      ...(left.length > 0 ? [`the pods that leave have left: ${left.join(', ')}`] : []),
    ].join(', '),
    rows: [COLUMNS, ...pods.map((pod) => row(pod, ring, now))],
    problems: [
      ...ring
        .filter(({ up, mode }) => !up || mode !== 'N')
        .map(({ address, id, up, mode }) => `node ${address} (${id}) is ${nodeState({ up, mode })}`),
      ...pods.flatMap((pod) => problemsOf(database, pod, now)),
    ],
  };
}

/** Pods beyond the wanted members of their rack. */
function isSurplus({ membersPerRack, nodesPerRack = 1 }: Cassandra, { pod }: PodStatus): boolean {
  return Number(pod.split('-').at(-1)) >= (membersPerRack ?? nodesPerRack);
}

function row(pod: PodStatus, ring: readonly Json[], now: number): string[] {
  const { own } = pod;
  const node = ring.find(({ address }) => address === own?.address);
  const repairs: Json[] = Object.values(own?.repairs ?? {});
  const oldest = repairs.length === 0 ? undefined : Math.min(...repairs.map(({ last }) => last ?? 0));
  const failures = repairs.reduce((sum, each) => sum + (each.failures ?? 0), 0);
  const { compactions = 0, streams = 0, hintBytes = 0 } = own?.pending ?? {};
  return [
    pod.pod,
    pod.ready ? 'yes' : 'no',
    own?.inRing === false ? 'left' : node ? nodeState(node) : '?',
    own?.inRing === false ? '-' : own ? age(oldest, now) : '?',
    own ? String(failures) : '?',
    own?.pending ? `${compactions} compactions, ${streams} streams, ${Math.ceil(hintBytes / 1024)} KiB of hints` : '?',
    own ? (own.doing ?? (own.waits ? `waits: ${own.waits}` : 'nothing to do')) : '?',
    backupOf(pod, now).column,
  ];
}

function nodeState({ up, mode }: Json): string {
  const modes: Readonly<Record<string, string>> = { N: 'normal', L: 'leaving', J: 'joining', M: 'moving' };
  return `${up ? 'up' : 'down'}, ${modes[mode] ?? mode}`;
}

function problemsOf(database: Cassandra, status: PodStatus, now: number): string[] {
  const { pod, own, problem, ready } = status;
  if (problem !== undefined) return [`${pod}: ${problem}`];
  if (!own) return [`${pod}: its ops reports nothing: kubectl logs ${pod} -c ops`];
  if (own.inRing === false) return isSurplus(database, status) ? [] : [`${pod}: should be in the ring and is not yet`];
  const silent = now / 1000 - own.time;
  return [
    ...(ready ? [] : [`${pod}: is not ready`]),
    ...(silent > SILENT_SECONDS ? [`${pod}: its ops last reported ${age(own.time, now)}`] : []),
    ...(own.overdue ?? []).map((keyspace: string) => {
      const { last, error } = own.repairs?.[keyspace] ?? {};
      return `${pod}: the repair of ${keyspace} is late: the last one was ${age(last, now)}${error ? `, since then: ${error}` : ''}${own.waits ? `; ops waits: ${own.waits}` : ''}`;
    }),
    ...Object.entries<Json>(own.repairs ?? {})
      .filter(([keyspace, { failures }]) => failures > 0 && !own.overdue?.includes(keyspace))
      .map(([keyspace, { failures, error }]) => `${pod}: the repair of ${keyspace} failed ${failures} times: ${error}`),
    ...backupOf(status, now).problems,
  ];
}
