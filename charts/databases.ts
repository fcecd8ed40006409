import type { App, Size } from 'cdk8s';
import {
  BackupTarget,
  CassandraStatefulSet,
  DataStorage,
  MongoReplicaSet,
  Placement,
  RetiredCassandra,
  RetiredMongoDb,
  type BackupProps,
  type CassandraStatefulSetProps,
  type Exporter,
  type MongoReplicaSetProps,
} from '../constructs';
import {
  backupHost,
  backupOf,
  databasePods,
  hostOf,
  machineOfDisk,
  type Backup,
  type Cassandra,
  type Database,
  type DatabaseExporter,
  type Homelab,
  type MongoDb,
} from '../inventory';
import { folder, PRIORITY } from './context';

/** Renders each Cassandra of the homelab in its own folder and namespace. Returns the active ones, which clients can connect to. */
export function cassandraCharts(app: App, homelab: Homelab): Map<string, CassandraStatefulSet> {
  return chartsOf(homelab, (name, database) =>
    database.kind === 'cassandra' ? cassandra(app, homelab, name, database) : undefined,
  );
}

/** Renders each MongoDB of the homelab in its own folder and namespace. Returns the active ones. */
export function mongodbCharts(app: App, homelab: Homelab): Map<string, MongoReplicaSet> {
  return chartsOf(homelab, (name, database) =>
    database.kind === 'mongodb' ? mongodb(app, homelab, name, database) : undefined,
  );
}

function chartsOf<T>(
  { databases }: Homelab,
  make: (name: string, database: Database) => T | undefined,
): Map<string, T> {
  const made = Object.entries(databases).map(([name, database]) => [name, make(name, database)] as const);
  return new Map(made.filter((entry): entry is [string, T] => entry[1] !== undefined));
}

function cassandra(app: App, homelab: Homelab, name: string, database: Cassandra): CassandraStatefulSet | undefined {
  const chart = folder(app, name, name);
  const props: CassandraStatefulSetProps = {
    ...common(homelab, name, database),
    clusterName: database.clusterName,
    datacenter: database.datacenter,
    racks: database.racks,
    nodesPerRack: database.nodesPerRack,
    membersPerRack: database.membersPerRack,
    ops: { repairEvery: database.repairEvery, scrapedBy: database.exporter?.scrapedBy },
    heap: database.heap,
    config: database.config,
    keyspaces: keyspacesOf(database),
    allReplicasOnOneHost: hostsOf(homelab, name, database).size === 1,
  };
  if (database.state !== 'retired') return new CassandraStatefulSet(chart, name, props);
  new RetiredCassandra(chart, name, props);
  return undefined;
}

function mongodb(app: App, homelab: Homelab, name: string, database: MongoDb): MongoReplicaSet | undefined {
  const chart = folder(app, name, name);
  const props: MongoReplicaSetProps = {
    ...common(homelab, name, database),
    replicaSetName: database.replicaSet,
    members: database.members,
    pods: database.pods,
    memberOptions: database.memberOptions,
    featureCompatibilityVersion: database.featureCompatibilityVersion,
    config: database.config,
    scrapedBy: database.exporter?.scrapedBy,
  };
  if (database.state !== 'retired') return new MongoReplicaSet(chart, name, props);
  new RetiredMongoDb(chart, name, props);
  return undefined;
}

function keyspacesOf({ keyspaces = {} }: Cassandra) {
  return Object.fromEntries(
    Object.entries(keyspaces).map(([keyspace, { copies }]) => [keyspace, { replicationFactor: copies }]),
  );
}

function common(homelab: Homelab, name: string, database: Database) {
  return {
    resources: { memory: database.memory, cpu: database.cpu },
    storage: DataStorage.localDisks(diskSize(homelab, name, database), {
      nodeOf: (pod) => machineOfDisk(homelab, pod)[0],
    }),
    placement: Placement.onNodesLabelled(database.nodeLabel.key, database.nodeLabel.value),
    priorityClassName: PRIORITY.database,
    version: database.version,
    exporter: database.exporter && exporterOf(database.exporter),
    backup: backupProps(homelab, database),
  };
}

/** Props for the backups of a database; undefined when it has none. */
function backupProps(homelab: Homelab, database: Database): BackupProps | undefined {
  const backup = backupOf(homelab, database);
  if (backup === undefined) return undefined;
  const { every, keep, drill } = backup;
  return { target: backupTarget(homelab, backup), every, keep, drill };
}

function backupTarget(homelab: Homelab, backup: Backup): BackupTarget {
  const { target } = backup;
  switch (target.kind) {
    case 'sftp':
      return BackupTarget.sftp({ ...target, host: backupHost(homelab, backup)! });
    case 's3':
      return BackupTarget.s3(target);
    case 'nfs':
      return BackupTarget.nfs(target);
    case 'claim':
      return BackupTarget.claim(target.claim);
  }
}

function exporterOf({ memory, cpu, ...exporter }: DatabaseExporter): Exporter {
  return { ...exporter, resources: { memory, cpu } };
}

/** The Proxmox hosts that hold its disks. With one, a power failure stops all replicas at once. */
function hostsOf(homelab: Homelab, name: string, database: Database): Set<string> {
  return new Set(databasePods(name, database).map((pod) => hostOf(homelab, machineOfDisk(homelab, pod)[1])));
}

/** Size of every disk of a database. The inventory validates that all have the same size, because a claim template has one. */
function diskSize(homelab: Homelab, name: string, database: Database): Size {
  const first = databasePods(name, database)[0]!;
  return machineOfDisk(homelab, first)[1].dataDisks![first]!;
}
