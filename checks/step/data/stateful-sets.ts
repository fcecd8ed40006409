import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import { databaseOf, isActive, type Index } from './databases';
import { nameIn } from './names';
import { dataRisk, isSame } from './risk';
import { engineOf } from './versions';
import { claimTemplates, containersOf, placeOf, podOf, replicasOf } from './workloads';

/** Risks of StatefulSets that stay: changed names of claims, and what happens to the claims. */
export function setRisks(pairs: readonly Pair[], before: Index): Risk[] {
  return pairs.flatMap(({ before: was, after: is }) => {
    if (was?.object.kind !== 'StatefulSet' || !is || claimTemplates(was.object).length === 0) return [];
    return [serviceName, retention, fewerPods, ordinals].flatMap((find) => find(was.object, is.object, before));
  });
}

function serviceName(was: Manifest, is: Manifest, before: Index): Risk[] {
  if (was.spec.serviceName === is.spec.serviceName) return [];
  return [
    dataRisk({
      what: `${nameIn(was, before)}.serviceName`,
      section: 'identity',
      objects: [identity(is)],
      path: 'spec.serviceName',
      from: was.spec.serviceName,
      to: is.spec.serviceName,
      problem:
        'Pods get their host names from it, and members of a database know each other by those. The API server refuses the change; if you recreate the StatefulSet, its members do not find each other.',
      way: ['put the old name back; for another name, add a second Service'],
    }),
  ];
}

function retention(was: Manifest, is: Manifest, before: Index): Risk[] {
  const policies = [was, is].map(({ spec }) => spec.persistentVolumeClaimRetentionPolicy ?? {});
  return (['whenDeleted', 'whenScaled'] as const).flatMap((when) => {
    const [from = 'Retain', to = 'Retain'] = policies.map((policy: Manifest) => policy[when]);
    if (from !== 'Retain' || to !== 'Delete') return [];
    return dataRisk({
      what: `${nameIn(was, before)}.${when}`,
      section: 'storage',
      objects: [identity(is)],
      path: `spec.persistentVolumeClaimRetentionPolicy.${when}`,
      from,
      to,
      problem: `Kubernetes then deletes claims with ${when === 'whenDeleted' ? 'the StatefulSet, also when it is recreated for another field' : 'each removed pod'}, and their data with them.`,
      way: ['keep Retain, and delete a claim by hand when nobody needs its data'],
    });
  });
}

function fewerPods(was: Manifest, is: Manifest, before: Index): Risk[] {
  const [from, to] = [replicasOf(was), replicasOf(is)];
  const clusters = ['cassandra', 'mongodb'];
  // These two databases have their own rules, which know the members.
  if (to >= from || clusters.includes(databaseOf(was)?.engine ?? '')) return [];
  const deletes = was.spec.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete';
  // Scaling to zero loses nothing. It is the way to retire a database.
  if (to === 0 && !deletes) return [];
  return [
    dataRisk({
      what: `${nameIn(was, before)}.replicas`,
      section: 'members',
      objects: [identity(is)],
      path: 'spec.replicas',
      from,
      to,
      problem: deletes
        ? 'The claims of the pods that leave are deleted with them (whenScaled: Delete), and their data with those.'
        : 'Data that only the removed pods hold is unavailable: their claims stay, and nothing moves the data to the others.',
      way: [
        'first let the program move the data or remove the members, as its own documentation says',
        'then lower replicas, with an accepted change that says that it was done',
      ],
    }),
  ];
}

function ordinals(was: Manifest, is: Manifest, before: Index): Risk[] {
  const [from = 0, to = 0] = [was, is].map(({ spec }) => spec.ordinals?.start as number | undefined);
  if (from === to) return [];
  return [
    dataRisk({
      what: `${nameIn(was, before)}.ordinals`,
      section: 'identity',
      objects: [identity(is)],
      path: 'spec.ordinals.start',
      from,
      to,
      problem: 'Pods get other ordinals and so other claims: the old claims stay behind, and new pods start empty.',
      way: ['put the old number back'],
    }),
  ];
}

/** Risks of removed StatefulSets. The claims of their pods stay, but nothing refers to them. */
export function goneSetRisks(pairs: readonly Pair[], before: Index, after: Index): Risk[] {
  const sets = pairs.filter((pair) => (pair.after ?? pair.before)!.object.kind === 'StatefulSet');
  const made = sets.flatMap(({ before: was, after: is }) => (is && !was ? [is.object] : []));
  return sets.flatMap(({ before: was, after: is }) => {
    if (!was || is || claimTemplates(was.object).length === 0 || belongsToGone(was.object, after)) return [];
    return goneSet(was.object, made, before);
  });
}

/** Whether other rules handle the removal of the whole database, or of the StatefulSet of a service. */
function belongsToGone(set: Manifest, after: Index): boolean {
  const database = databaseOf(set);
  if (database === undefined) return false;
  return database.engine === 'service' || !isActive(after.databases.get(database.key));
}

function goneSet(set: Manifest, made: readonly Manifest[], before: Index): Risk[] {
  const deletes = set.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
  const next = made.find((each) => isMoved(set, each)) ?? made.find((each) => isRenamed(set, each));
  if (!next && replicasOf(set) === 0 && !deletes) return [];
  // The rule of the ring handles added and removed racks.
  if (databaseOf(set)?.engine === 'cassandra' && set.metadata.labels?.['cassandra-rack'] !== undefined) {
    if (next === undefined || next.metadata.labels?.['cassandra-rack'] !== set.metadata.labels['cassandra-rack'])
      return [];
  }
  const name = nameIn(set, before);
  const lost = deletes ? 'Its claims are deleted with it (whenDeleted: Delete), and their data with those.' : '';
  if (next)
    return [
      dataRisk({
        what: `${name}.${next.metadata.namespace === set.metadata.namespace ? 'name' : 'namespace'}`,
        section: 'identity',
        objects: [identity(set), identity(next)],
        from: placeOf(set),
        to: placeOf(next),
        problem:
          lost ||
          'Claims are named after the StatefulSet: the old ones stay behind with the data, and the new pods start on empty ones.',
        way: [
          'put the old name and namespace back',
          'or add the new one first, copy the data, connect the clients to it, then set replicas: 0 on the old one and remove it in a later commit',
        ],
      }),
    ];
  return [
    dataRisk({
      what: `${name}.state`,
      section: 'delete',
      objects: [identity(set)],
      from: 'active',
      to: 'deleted',
      problem: lost || 'It ends while it may be in use, and nothing in Git refers to its claims and volumes any more.',
      way: [
        'first commit: replicas: 0. Its pods end, its claims stay',
        `check: you restored a backup as a test, and nobody needs it: kubectl -n ${set.metadata.namespace} get pods,pvc`,
        'second commit: remove it; delete its claims by hand when nobody needs their data',
      ],
    }),
  ];
}

function isMoved(was: Manifest, is: Manifest): boolean {
  return was.metadata.name === is.metadata.name && was.metadata.namespace !== is.metadata.namespace;
}

/** The same program with the same claims under another name. */
function isRenamed(was: Manifest, is: Manifest): boolean {
  const program = (set: Manifest) =>
    containersOf(podOf(set)).map(
      ({ image }) =>
        engineOf(image) ??
        String(image)
          .split('@')[0]!
          .replace(/:[^:/]*$/, ''),
    );
  const templates = (set: Manifest) => claimTemplates(set).map(({ metadata }) => metadata.name);
  const rack = (set: Manifest) => set.metadata.labels?.['cassandra-rack'];
  return (
    was.metadata.namespace === is.metadata.namespace &&
    rack(was) === rack(is) &&
    isSame(program(was), program(is)) &&
    isSame(templates(was), templates(is))
  );
}
