import { INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL } from '../../../values/labels';
import { IDENTITY } from '../../../constructs';
import { identity, type Manifest } from '../objects';
import type { State } from '../step';
import { claimTemplates, containersOf, podOf } from './workloads';
import { engineOf, type Engine } from './versions';

/**
 * A database as rendered objects show it: ours by its labels, another one by the image of a StatefulSet that has claims. A service
 * of ours with volumes counts as one: it is retired and removed in the same way.
 */
export interface Database {
  /** Engine, namespace and name: the same database on both sides of a step. */
  readonly key: string;
  readonly engine: Engine | 'service';
  readonly namespace: string;
  /** Name in homelab.ts and in the label app.kubernetes.io/instance. */
  readonly name: string;
  /** What runs its pods: a StatefulSet for each rack of Cassandra, one for MongoDB, also a Deployment for a service, none where it is retired. */
  readonly sets: readonly Manifest[];
  /** Files of the ConfigMaps that its pods mount, by name of the file. */
  readonly files: ReadonlyMap<string, string>;
}

/** Index of one state for the rules. */
export interface Index {
  readonly databases: ReadonlyMap<string, Database>;
  readonly byId: ReadonlyMap<string, Manifest>;
}

/** Reads a state once, for all rules. */
export function indexOf({ objects }: State): Index {
  const byId = new Map(objects.map(({ object }) => [identity(object), object]));
  const found = new Map<string, { database: Omit<Database, 'files' | 'sets'>; sets: Manifest[] }>();
  for (const { object } of objects) {
    const database = databaseOf(object);
    if (!database) continue;
    const entry = found.get(database.key) ?? { database, sets: [] };
    if (object.kind === 'StatefulSet' || (object.kind === 'Deployment' && database.engine === 'service'))
      entry.sets.push(object);
    found.set(database.key, entry);
  }
  const databases = [...found].map(([key, { database, sets }]): [string, Database] => [
    key,
    { ...database, sets, files: filesOf(database, sets, byId) },
  ]);
  return { databases: new Map(databases), byId };
}

/** The database that an object belongs to. Deployments of an own chart with the label of a database are clients or tools. */
export function databaseOf({ kind, metadata, ...object }: Manifest): Omit<Database, 'files' | 'sets'> | undefined {
  const labels: Manifest = metadata.labels ?? {};
  const labelled = labels[NAME_LABEL];
  const namespace = String(metadata.namespace ?? '');
  const ours = labels[MANAGED_BY_LABEL] === MANAGED_BY;
  if (ours && labelled === 'microservice') {
    if (!holdsVolumes({ kind, metadata, ...object })) return undefined;
    const name = String(labels[INSTANCE_LABEL] ?? metadata.name);
    return { key: `service ${namespace}/${name}`, engine: 'service', namespace, name };
  }
  const byImage = kind === 'StatefulSet' ? engineOfSet({ kind, metadata, ...object }) : undefined;
  const engine = byImage ?? (ours && isOurs(labelled) ? labelled : undefined);
  if (!engine) return undefined;
  const instance = labelled === engine ? labels[INSTANCE_LABEL] : undefined;
  const name = String(instance ?? metadata.name);
  return { key: `${engine} ${namespace}/${name}`, engine, namespace, name };
}

/** Whether an object of a service belongs to its volumes: the policy that records them, their claims, the pods that mount them. */
function holdsVolumes(object: Manifest): boolean {
  const { kind, metadata } = object;
  if (kind === 'PersistentVolumeClaim' || metadata.annotations?.[IDENTITY] !== undefined) return true;
  if (kind !== 'Deployment' && kind !== 'StatefulSet') return false;
  return (
    claimTemplates(object).length > 0 ||
    (podOf(object)?.volumes ?? []).some((each: Manifest) => each.persistentVolumeClaim)
  );
}

function isOurs(name: unknown): name is Engine {
  return name === 'cassandra' || name === 'mongodb';
}

function engineOfSet(set: Manifest): Engine | undefined {
  if (claimTemplates(set).length === 0 && !podOf(set)?.volumes?.some((each: Manifest) => each.persistentVolumeClaim))
    return undefined;
  return containersOf(podOf(set))
    .map(({ image }) => engineOf(image))
    .find((engine) => engine !== undefined);
}

function filesOf(
  { engine, namespace, name }: Omit<Database, 'files' | 'sets'>,
  sets: readonly Manifest[],
  byId: ReadonlyMap<string, Manifest>,
): Map<string, string> {
  const mounted = sets
    .flatMap((set) => podOf(set)?.volumes ?? [])
    .flatMap((volume: Manifest) => [volume, ...(volume.projected?.sources ?? [])])
    .flatMap(({ configMap }: Manifest) => (configMap?.name ? [configMap.name] : []));
  // The keyspaces that our schema job creates in the ring.
  const names = engine === 'cassandra' ? [...mounted, `${name}-schema`] : mounted;
  return new Map(
    [...new Set<string>(names)].flatMap((each) =>
      Object.entries<string>(byId.get(`/ConfigMap ${namespace}/${each}`)?.data ?? {}),
    ),
  );
}

/** The container of the database. That of a service, if its image is a known database. */
export function mainContainer({ sets, engine }: Database): Manifest | undefined {
  return sets
    .flatMap((set) => containersOf(podOf(set)))
    .find(({ image }) => (engine === 'service' ? engineOf(image) !== undefined : engineOf(image) === engine));
}

/** Name in messages. Includes the namespace if two databases have the same name. */
export function thingOf({ name, namespace }: Database, { databases }: Index): string {
  const twins = [...databases.values()].filter((each) => each.name === name);
  return twins.length > 1 ? `${namespace}/${name}` : name;
}

/** Ids of its StatefulSets. */
export function idsOf(...databases: readonly (Database | undefined)[]): string[] {
  return [...new Set(databases.flatMap((database) => (database?.sets ?? []).map(identity)))];
}

/** Whether the database has running pods. */
export function isActive(database: Database | undefined): database is Database {
  return database !== undefined && database.sets.length > 0;
}
