import { INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL } from '../../../values/labels';
import { identity, type Manifest } from '../objects';
import type { State } from '../step';
import { claimTemplates, containersOf, podOf } from './workloads';
import { engineOf, type Engine } from './versions';

/** A database as rendered objects show it: ours by its labels, another one by the image of a StatefulSet that has claims. */
export interface Database {
  /** Engine, namespace and name: the same database on both sides of a step. */
  readonly key: string;
  readonly engine: Engine;
  readonly namespace: string;
  /** Name in homelab.ts and in the label app.kubernetes.io/instance. */
  readonly name: string;
  /** StatefulSets: one for each rack of Cassandra, one for MongoDB, none for a retired database. */
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
    if (object.kind === 'StatefulSet') entry.sets.push(object);
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
  const byImage = kind === 'StatefulSet' ? engineOfSet({ kind, metadata, ...object }) : undefined;
  const ours = labels[MANAGED_BY_LABEL] === MANAGED_BY;
  const engine = byImage ?? (ours && isOurs(labelled) ? labelled : undefined);
  if (!engine) return undefined;
  const instance = labelled === engine ? labels[INSTANCE_LABEL] : undefined;
  const name = String(instance ?? metadata.name);
  const namespace = String(metadata.namespace ?? '');
  return { key: `${engine} ${namespace}/${name}`, engine, namespace, name };
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

/** The container of the database. */
export function mainContainer({ sets, engine }: Database): Manifest | undefined {
  return sets.flatMap((set) => containersOf(podOf(set))).find(({ image }) => engineOf(image) === engine);
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
