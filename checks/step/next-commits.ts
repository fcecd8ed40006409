import { INSTANCE_LABEL, NAME_LABEL } from '../../values/labels';
import { fewestCopies, membersLook, surplusOf } from './data/cassandra';
import { databaseOf, indexOf, isActive, mainContainer, thingOf, type Database, type Index } from './data/databases';
import { asWanted, replicaSetOf } from './data/mongodb';
import { claimants } from './data/names';
import { isSame } from './data/risk';
import { numbersOf, tagOf } from './data/versions';
import { claimTemplates, replicasOf } from './data/workloads';
import type { NextCommit } from './plan';
import type { Pair, Step } from './step';

/** The next commit after a step that is one of several, and how to see that it is safe. */
export function nextCommits(step: Step, pairs: readonly Pair[]): NextCommit[] {
  if (pairs.every(({ before, after }) => before?.object === after?.object)) return [];
  const before = indexOf(step.before);
  const after = indexOf(step.after);
  const databases = [...before.databases.values()].filter(isActive).flatMap((was) => {
    const is = after.databases.get(was.key);
    if (is === undefined) return [];
    const thing = thingOf(was, before);
    return isActive(is)
      ? [
          ...members(was, is, thing),
          ...fewerNodes(was, is, thing),
          ...nodes(was, is, thing),
          ...copies(was, is, thing),
          ...version(was, is, thing),
        ]
      : [deleteNext(was, thing)];
  });
  return [...databases, ...disks(pairs, before), ...stopped(pairs)];
}

function members(was: Database, is: Database, thing: string): NextCommit[] {
  if (was.engine !== 'mongodb') return [];
  const [had, has] = [was, is].map(replicaSetOf);
  const count = has?.members?.length;
  if (had?.members === undefined || count === undefined || count >= had.members.length) return [];
  if (has!.pods.length <= count) return [];
  return [
    {
      what: `databases.${thing}.pods: ${count}, or leave pods out; and remove the disks of the removed pods from their machine`,
      when: `the primary says "as wanted" with exactly ${count === 1 ? 'one host' : `${count} hosts`}: ${asWanted(is.namespace, is.name)}`,
    },
  ];
}

function fewerNodes(was: Database, is: Database, thing: string): NextCommit[] {
  const surplus = surplusOf(is);
  if (was.engine !== 'cassandra' || surplus.length === 0 || surplusOf(was).length >= surplus.length) return [];
  const pods = replicasOf(is.sets[0]!) - surplus.length / is.sets.length;
  return [
    {
      what: `databases.${thing}.nodesPerRack: ${pods}, remove membersPerRack, and remove the disks of the removed pods from their machine`,
      when: `${surplus.join(', ')} ${surplus.length === 1 ? 'has' : 'have'} left the ring: ${membersLook(thing)}`,
    },
  ];
}

function deleteNext({ namespace, name, engine }: Database, thing: string): NextCommit {
  const pods = `kubectl -n ${namespace} get pods -l ${INSTANCE_LABEL}=${name}`;
  if (engine === 'service')
    return {
      what: `remove ${thing} and its disks from homelab.ts, or set it to active again`,
      when: `its files were copied or nobody needs them, and its pods are gone: ${pods}`,
    };
  return {
    what: `remove databases.${thing} and its disks from homelab.ts, or set it to active again`,
    when: `you restored a backup as a test (docs/worst-day.md), nobody needs the database, and its pods are gone: ${pods}`,
  };
}

function nodes(was: Database, is: Database, thing: string): NextCommit[] {
  const [had = 0, has = 0] = [was, is].map(({ sets }) => sets.reduce((sum, set) => sum + replicasOf(set), 0));
  if (was.engine !== 'cassandra' || has <= had) return [];
  return [
    {
      what: `the next change of ${thing}; ops removes data that nodes no longer own (cleanup) by itself`,
      when: `all ${has} nodes say UN: kubectl -n ${is.namespace} exec ${is.sets[0]!.metadata.name}-0 -c cassandra -- nodetool status`,
    },
  ];
}

function copies(was: Database, is: Database, thing: string): NextCommit[] {
  const [had, has] = [was, is].map(fewestCopies);
  if (had === undefined || has === undefined || has <= had) return [];
  return [
    {
      what: `the next change of ${thing}: its keyspaces get ${has} copies first`,
      when: `the schema Job has ended and every replica is repaired: kubectl -n ${is.namespace} wait --for=condition=complete --timeout=2h job -l app.kubernetes.io/instance=${is.name}-schema; reads at ONE may miss rows until then`,
    },
  ];
}

function version(was: Database, is: Database, thing: string): NextCommit[] {
  const [had, has] = [was, is].map((database) => numbersOf(tagOf(mainContainer(database)?.image)));
  const [old = 0, major = 0] = [had?.[0], has?.[0]];
  if (!had || !has || major <= old) return [];
  if (was.engine === 'mongodb')
    return [
      {
        what: `databases.${thing}.featureCompatibilityVersion: '${major}.0', with an accepted change; the next major version only after that`,
        when: `every pod has run ${has.join('.')} for some days, you do not want to go back, and the primary says "as wanted": ${asWanted(is.namespace, is.name)}`,
      },
    ];
  if (was.engine === 'cassandra')
    return [
      {
        what: `the next change of ${thing}, after ops has rewritten the files of each node (upgradesstables)`,
        when: `every node says UN and runs ${has.join('.')}: kubectl -n ${is.namespace} exec ${is.sets[0]!.metadata.name}-0 -c cassandra -- nodetool status, and npm run homelab -- status shows no upgradesstables`,
      },
    ];
  return [];
}

/** Moves one disk at a time to another machine: the next one follows when the data of the one before is copied. */
function disks(pairs: readonly Pair[], before: Index): NextCommit[] {
  const claims = claimants(before);
  return pairs.flatMap(({ before: was, after: is }) => {
    if (was?.object.kind !== 'PersistentVolume' || !is || was.object === is.object) return [];
    const { claimRef, nodeAffinity } = was.object.spec;
    const owner = claims.get(`${claimRef?.namespace ?? ''}/${claimRef?.name ?? ''}`);
    if (!owner || isSame(nodeAffinity, is.object.spec.nodeAffinity)) return [];
    const { pod, set } = owner;
    if (databaseOf(set)?.engine === 'service') return [];
    const { namespace, labels = {} } = set.metadata;
    const look =
      labels[NAME_LABEL] === 'mongodb'
        ? `the primary says "as wanted": ${asWanted(namespace, labels[INSTANCE_LABEL] ?? set.metadata.name)}`
        : `its node says UN: kubectl -n ${namespace} exec ${pod} -c cassandra -- nodetool status`;
    return [
      {
        what: `the next disk to another machine, one a commit; first delete the claim, pod and volume of ${pod} by hand: kubectl -n ${namespace} delete pvc ${claimRef.name} --wait=false; kubectl -n ${namespace} delete pod ${pod}; kubectl delete pv ${was.object.metadata.name}`,
        when: `${pod} has copied its data from the others: ${look}, and npm run bootstrap -- verify has no BAD`,
      },
    ];
  });
}

/** A StatefulSet of an own chart that was scaled to zero. */
function stopped(pairs: readonly Pair[]): NextCommit[] {
  return pairs.flatMap(({ before: was, after: is }) => {
    if (was?.object.kind !== 'StatefulSet' || !is || claimTemplates(was.object).length === 0) return [];
    if (replicasOf(was.object) === 0 || replicasOf(is.object) !== 0) return [];
    const { name, namespace } = is.object.metadata;
    return [
      {
        what: `remove the StatefulSet ${name}, or start it again`,
        when: `you restored a backup as a test, and nobody needs it; its claims stay: kubectl -n ${namespace} get pods,pvc`,
      },
    ];
  });
}
