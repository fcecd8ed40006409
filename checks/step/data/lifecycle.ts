import { INSTANCE_LABEL } from '../../../values/labels';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import { idsOf, isActive, mainContainer, thingOf, type Database, type Index } from './databases';
import { dataRisk, isSame } from './risk';
import { engineOf, majorsBetween, numbersOf, tagOf, versionProblem } from './versions';
import { claimTemplates, podOf } from './workloads';

/** Risks of a database that no longer runs. Retiring it is safe; everything else loses track of its data. */
export function goneRisks(before: Index, after: Index): Risk[] {
  const gone = [...before.databases.values()].filter(
    (database) => isActive(database) && !isActive(after.databases.get(database.key)),
  );
  const made = [...after.databases.values()].filter(
    (database) => isActive(database) && !before.databases.has(database.key),
  );
  // A retired database keeps its policy with its labels; a database that runs in another namespace is not retired.
  const isRetired = ({ key, engine, name }: Database) =>
    after.databases.has(key) && !made.some((each) => each.engine === engine && each.name === name);
  const deleted = gone.filter(
    (database) => !isRetired(database) && database.sets.some(runs) && !withoutVolumes(database, after),
  );
  return deleted.map((database) => goneRisk(database, made, before, after));
}

/** A service that runs on as a Deployment without volumes: the rule for mounts reports what it loses. */
function withoutVolumes({ engine, sets }: Database, { byId }: Index): boolean {
  return engine === 'service' && sets.some((set) => set.kind === 'Deployment' && byId.has(identity(set)));
}

/** Whether a StatefulSet is in use. It is not after it was scaled to zero. */
function runs({ spec }: Database['sets'][number]): boolean {
  return spec?.replicas !== 0;
}

function goneRisk(database: Database, made: readonly Database[], before: Index, after: Index): Risk {
  const thing = thingOf(database, before);
  const service = database.engine === 'service';
  const same = made.filter(
    (each) => each.engine === database.engine && (!service || isSame(volumesOf(each), volumesOf(database))),
  );
  const moved = same.find(({ name }) => name === database.name);
  const renamed = same.find(({ namespace }) => namespace === database.namespace) ?? (service ? undefined : same[0]);
  const objects = idsOf(database, moved ?? renamed);
  const claims = `Its claims and disks stay behind under the old ${moved ? 'namespace' : 'name'}, and the new pods start on empty ones.`;
  const copy = service
    ? [
        'put the old name and namespace back: its claims are named after it',
        "for another name on the same disk, set volumes.VOLUME.disk to the old disk's name in the new service: it then finds the files of the old one; accept this change",
        "otherwise add a second service with a volume, copy the files, then set state: 'retired' on the old one",
      ]
    : [
        'put the old name back: a database cannot change its name or namespace',
        "for another one, add a second database in homelab.ts, copy the data with dumps, let services use it, then set state: 'retired' on the old one",
      ];
  if (moved)
    return dataRisk({
      what: `${thing}.namespace`,
      section: 'identity',
      objects,
      from: database.namespace,
      to: moved.namespace,
      problem: claims,
      way: copy,
    });
  if (renamed)
    return dataRisk({
      what: `${thing}.name`,
      section: 'identity',
      objects,
      from: database.name,
      to: renamed.name,
      problem: claims,
      way: copy,
    });
  if (service) return goneService(database, thing, objects, after);
  return dataRisk({
    what: `${thing}.state`,
    section: 'delete',
    objects,
    from: 'active',
    to: 'deleted',
    problem: `It ends while it may be in use, and everything that refers to its data leaves Git with its entry: afterwards only the commands that delete its claims and disks remain.`,
    way: [
      `first commit: databases.${database.name}.state: 'retired'. Its pods end, and claims, disks and policy stay`,
      'check: you restored a later backup as a test (docs/worst-day.md), and nobody needed the database for a while',
      'second commit: remove the entry and its disks from homelab.ts; synth prints the commands that delete what is kept',
    ],
  });
}

function goneService(database: Database, thing: string, objects: string[], after: Index): Risk {
  const { namespace, name } = database;
  // Its StatefulSet became a Deployment.
  if (after.byId.has(`apps/Deployment ${namespace}/${name}`))
    return dataRisk({
      what: `${thing}.volumes`,
      section: 'storage',
      objects,
      from: volumesOf(database),
      to: undefined,
      problem: 'Its pods find nothing of what they wrote; the files stay behind in the claims of its replicas.',
      way: [
        'put the volumes back',
        'or copy the files first, to where the program will look for them, then accept this change; the claims are deleted by hand',
      ],
    });
  return dataRisk({
    what: `${thing}.state`,
    section: 'delete',
    objects,
    from: 'active',
    to: 'deleted',
    problem:
      'It ends while its files may be needed, and everything that refers to them leaves Git with its entry: afterwards only the commands that delete its claims and disks remain.',
    way: [
      "first commit: state: 'retired' in its entry of homelab.ts. Its pods end, and claims, disks and policy stay",
      `check: the files were copied, or nobody needed them for a while: kubectl -n ${namespace} get pvc,pods -l ${INSTANCE_LABEL}=${name}`,
      'second commit: remove the entry and its disks from homelab.ts; synth prints the commands that delete what is kept',
    ],
  });
}

/** Names of the volumes of a service, in a form that can be compared. */
function volumesOf({ sets }: Database): string[] {
  const [set] = sets;
  if (!set) return [];
  const mounted = (podOf(set)?.volumes ?? []).filter((each: Manifest) => each.persistentVolumeClaim);
  return [
    ...mounted.map(({ name }: Manifest) => name),
    ...claimTemplates(set).map(({ metadata }) => metadata.name),
  ].sort();
}

/** A service whose replicas get volumes of their own, or lose them: its claims are others. */
export function kindRisks(was: Database, is: Database, index: Index): Risk[] {
  const [from, to] = [was, is].map(({ sets }) => sets[0]?.kind as string | undefined);
  if (was.engine !== 'service' || from === to) return [];
  const single = from === 'Deployment';
  return [
    dataRisk({
      what: `${thingOf(was, index)}.perReplica`,
      section: 'storage',
      objects: idsOf(was, is),
      from: !single,
      to: single,
      problem: `Its claims get other names: the files stay behind in ${single ? 'the claim of the one pod' : 'the claims of the replicas'}, and ${single ? 'every replica starts' : 'the one pod starts'} on an empty volume.`,
      way: [
        'put perReplica back',
        "for the other kind, add a second service with its volumes, copy the files, let clients use it, then set state: 'retired' on the old one",
      ],
    }),
  ];
}

/** The version that a database runs. @param images of both sides, if no pods show them */
export function versionRisks(
  before: Database,
  after: Database,
  index: Index,
  images: readonly unknown[] = [before, after].map((database) => mainContainer(database)?.image),
): Risk[] {
  const [was, is] = images.map((image) => numbersOf(tagOf(image)));
  if (!was || !is || images[0] === images[1]) return [];
  const engine = before.engine === 'service' ? engineOf(images[0]) : before.engine;
  const found = engine && versionProblem(engine, was, is);
  if (!found) return [];
  const { problem, by } = found;
  return [
    dataRisk({
      what: `${thingOf(before, index)}.version`,
      section: 'versions',
      objects: idsOf(before, after),
      path: isActive(after) ? `spec.template.spec.containers[${mainContainer(after)!.name}].image` : undefined,
      from: tagOf(images[0]),
      to: tagOf(images[1]),
      problem: `It holds files that ${was.join('.')} wrote: ${problem}.`,
      way:
        by === 'lower'
          ? [
              `stay at ${tagOf(images[0])}`,
              'to go back, retire the database, empty its disks and restore a backup from before the upgrade',
            ]
          : [
              `first a backup, then one major version in a separate commit: ${majorsBetween(engine, was, is).join(', then ')}`,
              `check before each next one: every pod reports it, ${upgraded(before)}`,
            ],
    }),
  ];
}

function upgraded({ engine, namespace }: Database): string {
  if (engine === 'mongodb')
    return `and featureCompatibilityVersion is raised to it, in a separate commit (in another chart: kubectl -n ${namespace} exec POD -- mongosh --eval 'db.adminCommand({ setFeatureCompatibilityVersion: "MAJOR.0", confirm: true })')`;
  if (engine === 'cassandra')
    return `and its ops rewrote the files of every node (upgradesstables): npm run homelab -- status`;
  return `kubectl -n ${namespace} get pods`;
}

/** Logins that members need to trust each other, or that administer them. */
export function secretRisks(
  database: Database,
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
  index: Index,
): Risk[] {
  if (database.engine === 'service') return [];
  const { namespace, name } = database;
  const problems: Readonly<Record<string, string>> = {
    keyfile:
      'Members authenticate each other with it: a member that starts without it, or with a new one, is rejected.',
    root: 'This login adds and removes members; the set was created with it and has no other.',
    admin: 'This login manages keyspaces and roles; the ring was created with it, and its default user is disabled.',
  };
  return Object.entries(problems).flatMap(([suffix, problem]) => {
    const secret = `${namespace}/${name}-${suffix}`;
    if (!before.has(secret) || after.has(secret)) return [];
    return dataRisk({
      what: `${thingOf(database, index)}.${suffix}`,
      section: 'identity',
      objects: idsOf(database),
      from: `secret ${name}-${suffix}`,
      to: 'none',
      problem: `${problem} It is no longer listed, so a new cluster would not get it.`,
      way: ['list it again: the database always needs it'],
    });
  });
}
