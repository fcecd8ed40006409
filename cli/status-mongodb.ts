import type { MongoDb } from '../inventory';
import { age, backupOf, type PodStatus, type Status } from './status-pod';

type Json = any;

/** The reconciler reports every 10 s. */
const SILENT_SECONDS = 300;
/** A secondary with more lag than this serves old data, and delays writes that wait for a majority. */
const LAG_SECONDS = 60;

/** States of a member that has data. For all others the set reports a last write in 1970. */
const HAS_DATA: readonly string[] = ['PRIMARY', 'SECONDARY', 'RECOVERING', 'ROLLBACK'];

const COLUMNS = ['pod', 'ready', 'member', 'behind', 'reconcile', 'newest backup'];

/** Status of a replica set, from the reports of each member's container `reconcile`; the primary's covers all members. */
export function mongodbStatus(database: MongoDb, pods: readonly PodStatus[], now: number): Status {
  const members: Json[] = pods.map(({ own }) => own?.members).find((each) => each?.length) ?? [];
  const of = (pod: string) => members.find(({ host }) => String(host).split('.')[0] === pod);
  const stateless = members.filter(({ state }) => state !== 'PRIMARY' && state !== 'SECONDARY');
  return {
    summary: `${members.length} of ${database.members} members in the set`,
    rows: [
      COLUMNS,
      ...pods.map((pod) => {
        const member = of(pod.pod);
        const behind = member && HAS_DATA.includes(member.state) ? member.lagSeconds : undefined;
        return [
          pod.pod,
          pod.ready ? 'yes' : 'no',
          member ? member.state.toLowerCase() : members.length > 0 ? 'no member' : '?',
          typeof behind === 'number' ? `${Math.round(behind)} s` : '?',
          short(pod.own?.action ?? '?'),
          backupOf(pod, now).column,
        ];
      }),
    ],
    problems: [
      ...(members.some(({ state }) => state === 'PRIMARY')
        ? []
        : ['no member reports that it is primary: writes are impossible']),
      ...stateless.map(({ host, state }) => `${host} is ${state}`),
      ...members
        .filter(
          ({ host, state, lagSeconds }) =>
            HAS_DATA.includes(state) && lagSeconds > LAG_SECONDS + delayOf(database, host),
        )
        .map(({ host, lagSeconds }) => `${host} is ${Math.round(lagSeconds)} s behind the primary`),
      ...pods.flatMap((pod) => problemsOf(pod, of(pod.pod) !== undefined, database, now)),
    ],
  };
}

/** Short text for a column; for a member that waits and is not ready, the problem has the whole text. */
function short(action: string): string {
  return action.length > 60 ? `${action.slice(0, 57)}...` : action;
}

/** The configured delay of a member in seconds. */
function delayOf({ memberOptions = {} }: MongoDb, host: string): number {
  return memberOptions[Number(/-(\d+)\./.exec(host)?.[1])]?.delay?.toSeconds() ?? 0;
}

function problemsOf(status: PodStatus, isMember: boolean, database: MongoDb, now: number): string[] {
  const { pod, ready, problem, own } = status;
  if (problem !== undefined) return [`${pod}: ${problem}`];
  if (!own) return [`${pod}: its reconcile reports nothing: kubectl logs ${pod} -c reconcile`];
  const wanted = Number(pod.split('-').at(-1)) < database.members;
  const silent = now / 1000 - own.time;
  const waits = own.action?.startsWith('wait: ') ? `: ${own.action}` : '';
  return [
    ...(ready || (!isMember && !wanted) ? [] : [`${pod}: is not ready${waits}`]),
    ...(silent > SILENT_SECONDS ? [`${pod}: its reconcile last reported ${age(own.time, now)}`] : []),
    ...(own.error ? [`${pod}: ${own.error}`] : []),
    ...backupOf(status, now).problems,
  ];
}
