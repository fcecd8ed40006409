import { identity, isKept, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import { fewestCopies } from './cassandra';
import { databaseOf, thingOf, type Database, type Index } from './databases';
import { replicaSetOf } from './mongodb';
import { claimants, type Claimant } from './names';
import { bytesOf } from './quantities';
import { dataRisk, isSame, shownAs } from './risk';
import { replicasOf } from './workloads';

/** Risks of static volumes: their disks, the claims they are reserved for, and their reclaim policy. */
export function volumeRisks(pairs: readonly Pair[], before: Index, after: Index): Risk[] {
  const volumes = pairs.filter((pair) => (pair.after ?? pair.before)!.object.kind === 'PersistentVolume');
  if (volumes.every(({ before: was, after: is }) => was?.object === is?.object)) return [];
  const claims = claimants(before);
  const ownerOf = ({ spec }: Manifest) => claims.get(`${spec.claimRef?.namespace ?? ''}/${spec.claimRef?.name ?? ''}`);
  const named = (volume: Manifest) => {
    const pod = ownerOf(volume)?.pod;
    const twins = [...claims.values()].filter((each) => each.pod === pod).length;
    return pod !== undefined && twins === 1 ? pod : volume.metadata.name;
  };
  return [
    ...volumes.flatMap(({ before: was, after: is }) => {
      if (!was) return [];
      if (!is) return isKept(was.object) ? [] : [removed(was.object, named(was.object))];
      return fields(was.object, is.object, named(was.object), after);
    }),
    ...moves(volumes, ownerOf, named, before),
  ];
}

function removed(volume: Manifest, name: string): Risk {
  return dataRisk({
    what: `${name}.volume`,
    section: 'disks',
    objects: [identity(volume)],
    from: volume.metadata.name,
    to: undefined,
    problem:
      volume.spec.persistentVolumeReclaimPolicy === 'Delete'
        ? 'Argo CD deletes it, and with the reclaim policy Delete its data, too.'
        : 'Argo CD deletes it: its claim becomes Lost, its pods do not start again, and nothing shows where the data is.',
    way: [
      'first commit: stop what uses it (retire the database), and give it the annotation argocd.argoproj.io/sync-options: Prune=false,Delete=false',
      'check: you restored a backup as a test',
      'second commit: remove it; delete claim and volume by hand when nobody needs the data',
    ],
  });
}

/** The part of a volume that locates its data. */
function sourceOf({ spec }: Manifest): unknown {
  const {
    capacity: _capacity,
    accessModes: _modes,
    claimRef: _claim,
    nodeAffinity: _affinity,
    persistentVolumeReclaimPolicy: _policy,
    storageClassName: _class,
    mountOptions: _options,
    volumeMode: _volumeMode,
    volumeAttributesClassName: _attributes,
    ...source
  } = spec;
  return source;
}

function shownSource(volume: Manifest): string {
  const { local, hostPath, nfs, csi } = volume.spec;
  return nfs
    ? `${nfs.server}:${nfs.path}`
    : shownAs(local?.path ?? hostPath?.path ?? csi?.volumeHandle ?? sourceOf(volume));
}

function claimOf({ spec }: Manifest): string {
  return spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : 'none';
}

function fields(was: Manifest, is: Manifest, name: string, after: Index): Risk[] {
  const found: Risk[] = [];
  const add = (aspect: string, path: string, from: unknown, to: unknown, problem: string, way: readonly string[]) =>
    found.push(
      dataRisk({ what: `${name}.${aspect}`, section: 'disks', objects: [identity(is)], path, from, to, problem, way }),
    );
  if (!isSame(sourceOf(was), sourceOf(is)))
    add(
      'path',
      'spec',
      shownSource(was),
      shownSource(is),
      'The volume would refer to another place than its data. The API server refuses the change; if you recreate the volume, its pod starts with the content of that place.',
      [
        'put the old one back; data is moved by its database, or by hand for a service (docs/day-2.md, A replica to another machine)',
      ],
    );
  // Without a claimRef it no longer waits for that claim, but an existing claim stays bound.
  if (claimOf(was) !== claimOf(is) && claimOf(was) !== 'none')
    add(
      'claim',
      'spec.claimRef',
      claimOf(was),
      claimOf(is),
      is.spec.claimRef
        ? 'Another claim would get this disk with the data of the old claim, and the old claim an empty disk or one of another pod.'
        : 'If it is recreated, any claim of its class may bind it, and a database would start with the data of another one.',
      ['put the old claim back: a disk belongs to one pod while it holds data'],
    );
  const [from, to] = [was, is].map(({ spec }) => spec.persistentVolumeReclaimPolicy ?? 'Retain');
  if (from !== to && to !== 'Retain')
    add(
      'reclaimPolicy',
      'spec.persistentVolumeReclaimPolicy',
      from,
      to,
      'Then its data is deleted with its claim, even if the claim is only recreated.',
      ['keep Retain'],
    );
  // If the claim template of the database changes, too, its rule reports it once for all disks.
  const [had, has] = [was, is].map(({ spec }) => spec.capacity?.storage);
  if ((bytesOf(has) ?? 0) < (bytesOf(had) ?? 0) && !saidByTemplate(is, after, has))
    add(
      'size',
      'spec.capacity.storage',
      had,
      has,
      'A disk cannot shrink: a smaller disk is a new, empty one, and a claim that requests more than the volume has does not bind to it again.',
      ['put the old size back', 'for a smaller disk move the data to another database with smaller disks'],
    );
  if (was.spec.storageClassName !== is.spec.storageClassName && !saidByTemplate(is, after, has))
    add(
      'storageClass',
      'spec.storageClassName',
      was.spec.storageClassName,
      is.spec.storageClassName,
      'A claim binds only to a volume of its own class: if it is recreated, its pod gets another volume or stays Pending.',
      ['put the old class back'],
    );
  return found;
}

/** Whether the StatefulSet of its claim requests the new size. If so, the rule for claim templates reports it. */
function saidByTemplate({ spec }: Manifest, after: Index, size: unknown): boolean {
  const claimant = claimants(after).get(`${spec.claimRef?.namespace ?? ''}/${spec.claimRef?.name ?? ''}`);
  return (claimant?.set.spec.volumeClaimTemplates ?? []).some(
    (template: Manifest) =>
      bytesOf(template.spec?.resources?.requests?.storage) === bytesOf(size) &&
      template.spec?.storageClassName === spec.storageClassName,
  );
}

interface Move {
  readonly name: string;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly owner?: Claimant;
}

function nodeOf({ spec }: Manifest): string {
  const terms: readonly Manifest[] = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const values = terms.flatMap(({ matchExpressions = [], matchFields = [] }) =>
    [...matchExpressions, ...matchFields].flatMap((each: Manifest) => each.values ?? [`${each.key} ${each.operator}`]),
  );
  return values.length === 0 ? 'any machine' : values.join(' or ');
}

/** Disks that move to another machine. The data does not move with them. */
function moves(
  volumes: readonly Pair[],
  ownerOf: (volume: Manifest) => Claimant | undefined,
  named: (volume: Manifest) => string,
  before: Index,
): Risk[] {
  const byDatabase = new Map<string, { database?: Database; moved: Move[] }>();
  for (const { id, before: was, after: is } of volumes) {
    if (!was || !is || isSame(was.object.spec.nodeAffinity, is.object.spec.nodeAffinity)) continue;
    const owner = ownerOf(was.object);
    const whole = owner && before.databases.get(databaseOf(owner.set)?.key ?? '');
    // Replicas of a service do not copy from each other: each volume is one by itself.
    const database = whole?.engine === 'service' ? undefined : whole;
    const group = byDatabase.get(database?.key ?? id) ?? { database, moved: [] };
    group.moved.push({ id, owner, name: named(was.object), from: nodeOf(was.object), to: nodeOf(is.object) });
    byDatabase.set(database?.key ?? id, group);
  }
  return [...byDatabase.values()].flatMap(({ database, moved }) => movedRisk(database, moved, before));
}

function movedRisk(database: Database | undefined, moved: readonly Move[], before: Index): Risk[] {
  const first = moved[0]!;
  const spare = database && refills(database);
  // One replica at a time can copy its data from the others: the API server refuses the change until you delete its volume by hand.
  if (moved.length === 1 && spare === undefined && database) return [];
  const one = moved.length === 1;
  const where = (side: 'from' | 'to') => moved.map((each) => `${each.name} on ${each[side]}`);
  return [
    dataRisk({
      what: one ? `${first.name}.machine` : `${thingOf(database!, before)}.disks`,
      section: 'disks',
      objects: moved.map(({ id }) => id),
      path: 'spec.nodeAffinity',
      from: one ? first.from : where('from'),
      to: one ? first.to : where('to'),
      problem: `A volume cannot change its machine, and its data does not move with it: ${
        one
          ? `the disk there is empty, and ${spare ?? 'no rendered object shows another copy of its data'}`
          : 'each of these disks is empty there, and if several move at once, too few replicas are left to copy from'
      }.`,
      way: one
        ? database
          ? ['put the machine back, or dump the data, and restore it into a database on the new machine']
          : [
              'put the machine back',
              'or move the files by hand (docs/day-2.md, A volume of a service to another machine), then accept this change',
            ]
        : [
            `first commit: ${first.name} alone, the others stay. Then the steps of docs/day-2.md, A replica to another machine`,
            'check: npm run bootstrap -- verify has no BAD, and the replica has its data (nodetool status says UN, or the reconcile container "as wanted")',
            `next commits: ${moved
              .slice(1)
              .map(({ name }) => name)
              .join(', then ')}, one a commit`,
          ],
    }),
  ];
}

/** Why an empty replica could not copy its data from the others; undefined if it can. */
function refills(database: Database): string | undefined {
  if (database.engine === 'mongodb') {
    const { members, pods } = replicaSetOf(database);
    const count = members?.length ?? pods.length;
    return count >= 3 ? undefined : `no other member has its data (${count} in the set)`;
  }
  if (database.engine === 'cassandra') {
    const nodes = database.sets.reduce((sum, set) => sum + replicasOf(set), 0);
    const copies = fewestCopies(database) ?? Math.min(nodes, 3);
    return copies >= 2 ? undefined : 'no other node has its rows: a keyspace has one copy';
  }
  return 'no rendered object shows that other pods have its data';
}
