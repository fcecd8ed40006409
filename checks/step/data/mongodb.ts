import { INSTANCE_LABEL } from '../../../values/labels';
import type { Risk } from '../plan';
import { idsOf, mainContainer, thingOf, type Database, type Index } from './databases';
import { dataRisk, type Found } from './risk';
import { numbersOf } from './versions';
import { option, podNames, wordsOf } from './workloads';

/** The identity of a replica set. */
export interface ReplicaSet {
  readonly replicaSet?: string;
  /** Hosts of the declared members. Undefined if no rendered object lists them, as in other charts. */
  readonly members?: readonly { readonly host: string; readonly votes: number }[];
  /** Names of the running pods. */
  readonly pods: readonly string[];
  /** Feature compatibility version, if it is set. */
  readonly compatibility?: string;
}

type Aspect = Pick<Found, 'section' | 'from' | 'to' | 'problem' | 'way'> & { readonly aspect: string };

/** What a step does to a MongoDB replica set that runs before and after it. */
export function mongodbRisks(before: Database, after: Database, index: Index): Risk[] {
  const was = replicaSetOf(before);
  const is = replicaSetOf(after);
  const thing = thingOf(before, index);
  return [
    ...nameRisks(was, is),
    ...hostRisks(was, is),
    ...memberRisks(was, is, before),
    ...compatibilityRisks(was, is),
  ].map(({ aspect, ...found }) => dataRisk({ ...found, what: `${thing}.${aspect}`, objects: idsOf(before, after) }));
}

function nameRisks(was: ReplicaSet, is: ReplicaSet): Aspect[] {
  if (was.replicaSet === undefined || was.replicaSet === is.replicaSet) return [];
  return [
    {
      aspect: 'replicaSet',
      section: 'identity',
      from: was.replicaSet,
      to: is.replicaSet,
      problem:
        'Each member keeps the name of its set on its disk: under another one mongod starts outside of any set and takes no writes. Only empty disks can form a new set.',
      way: [
        'put the old name back: it cannot change during the life of this set, and clients see it only in their URI',
        'for another one, add a second database with another name in homelab.ts, copy the data with mongodump and mongorestore, let services use it, then retire the old one',
      ],
    },
  ];
}

/** The data format that a set may write; older versions of mongod cannot read it. */
function compatibilityRisks({ compatibility: from }: ReplicaSet, { compatibility: to }: ReplicaSet): Aspect[] {
  if (to === undefined || to === from) return [];
  const [was, is] = [from, to].map((version) => numbersOf(version) ?? [0]);
  const isLower = is![0]! < was![0]! || (is![0] === was![0] && (is![1] ?? 0) < (was![1] ?? 0));
  return [
    {
      aspect: 'featureCompatibilityVersion',
      section: 'versions',
      from,
      to,
      problem: isLower
        ? 'The set already writes the newer data format, and the reconciler never lowers it: it would keep waiting.'
        : `After it, members write data with which a mongod before ${to} refuses to start: to go back, you must restore a backup.`,
      way: isLower
        ? [`stay at ${from}; to go back, restore a backup from before it was raised`]
        : [
            `first every pod runs ${to} for some days, in a commit before this one, and you do not want to go back`,
            'check: a backup from today',
            'then this commit, with an accepted change. The primary raises it when every member runs that version, and logs it',
          ],
    },
  ];
}

/** Members find each other by host name. If all names are new, no current member knows a declared one. */
function hostRisks(was: ReplicaSet, is: ReplicaSet): Aspect[] {
  const hosts = (set: ReplicaSet) => set.members?.map(({ host }) => host) ?? [];
  const kept = hosts(was).filter((host) => hosts(is).includes(host));
  if (hosts(was).length === 0 || hosts(is).length === 0 || kept.length > 0) return [];
  return [
    {
      aspect: 'hosts',
      section: 'identity',
      from: hosts(was)[0],
      to: hosts(is)[0],
      problem:
        'Every member gets another host name: the set on the disks names hosts that no longer exist, so no primary is elected and writes fail.',
      way: ['put the name of the Service and the namespace back, or copy the data to a database with another name'],
    },
  ];
}

function memberRisks(was: ReplicaSet, is: ReplicaSet, { name, namespace }: Database): Aspect[] {
  const leaving = was.pods.filter((pod) => !is.pods.includes(pod));
  if (leaving.length === 0 || is.pods.length === 0) return [];
  const isMember = (pod: string) =>
    was.members === undefined || was.members.some(({ host }) => host.split('.')[0] === pod);
  const members = leaving.filter(isMember);
  if (members.length === 0) return [];
  const wantedBefore = was.members?.length ?? was.pods.length;
  const voters = was.members?.filter(({ votes }) => votes > 0).map(({ host }) => host.split('.')[0]!) ?? was.pods;
  const staying = voters.filter((pod) => !leaving.includes(pod)).length;
  const majority = Math.floor(voters.length / 2) + 1;
  const wanted = is.members?.length ?? is.pods.length;
  const problem = `${listed(members)} ${members.length === 1 ? 'ends while it is a member' : 'end at once while they are members'} of the set: ${
    staying < majority
      ? `${staying} of ${voters.length} voters ${staying === 1 ? 'stays' : 'stay'}, which is no majority, so the set cannot elect a primary and takes no writes`
      : 'the set still counts their votes and copies, and writes that only they have are lost'
  }.`;
  return [
    {
      aspect: wanted < wantedBefore ? 'members' : 'pods',
      section: 'members',
      from: counted(wantedBefore, was.pods.length),
      to: counted(wanted, is.pods.length),
      problem,
      way: [
        `first commit: members: ${wanted}, pods: ${was.pods.length}. The primary removes one member after the other`,
        `check: ${asWanted(namespace, name)} until the primary says "as wanted" with ${wanted === 1 ? 'one host' : `${wanted} hosts`}`,
        `second commit: remove pods again (${is.pods.length}); the pods that end are then no members`,
      ],
    },
  ];
}

/** The command that shows whether a set matches its declaration. */
export function asWanted(namespace: string, name: string): string {
  return `kubectl -n ${namespace} logs -l ${INSTANCE_LABEL}=${name} -c reconcile --prefix --tail=2`;
}

function counted(members: number, pods: number): string {
  return `${members} member${members === 1 ? '' : 's'}, ${pods} pod${pods === 1 ? '' : 's'}`;
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** The rendered objects of a set. */
export function replicaSetOf(database: Database): ReplicaSet {
  const words = wordsOf(mainContainer(database) ?? {});
  const pods = database.sets.flatMap(podNames);
  const text = database.files.get('members.json');
  const config = /replSetName:\s*["']?([\w-]+)/.exec(database.files.get('mongod.conf') ?? '')?.[1];
  const named = option(words, '--replSet') ?? config;
  if (text === undefined) return { replicaSet: named, pods };
  try {
    const { replicaSet, members, featureCompatibilityVersion: compatibility } = JSON.parse(text);
    return { replicaSet: named ?? replicaSet, members, pods, compatibility };
  } catch {
    return { replicaSet: named, pods };
  }
}
