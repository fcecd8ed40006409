import { Size } from 'cdk8s';

/** Changes of the test homelab, as an owner writes them. */
export type Change = (homelab: any) => void;

export const CASSANDRA_NODE = 'talos-worker-01';
export const MONGODB_NODE = 'talos-worker-02';
const RACKS = ['r1', 'r2', 'r3'];

const disksOf = (homelab: any, machine: string) => homelab.machines[machine].dataDisks;
const connections = (homelab: any) => Object.values<any>(homelab.services);
/** Lets both databases run on both workers. */
const anywhere = (h: any) => {
  h.machines[CASSANDRA_NODE].labels = { 'storage-type': 'mongodb' };
  h.databases.cassandra.nodeLabel = h.databases.mongodb.nodeLabel;
};
const move = (h: any, disk: string) => {
  const { [disk]: size, ...others } = disksOf(h, MONGODB_NODE);
  disksOf(h, CASSANDRA_NODE)[disk] = size;
  h.machines[MONGODB_NODE].dataDisks = others;
};

export const racks =
  (names: readonly string[]): Change =>
  (h) => {
    h.databases.cassandra.racks = names;
    h.machines[CASSANDRA_NODE].memory = Size.gibibytes(30);
    h.machines[MONGODB_NODE].memory = Size.gibibytes(16);
    h.machines[CASSANDRA_NODE].dataDisks = Object.fromEntries(
      names.map((rack) => [`cassandra-${rack}-0`, Size.gibibytes(100)]),
    );
  };
export const nodesPerRack =
  (count: number, membersPerRack = count): Change =>
  (h) => {
    Object.assign(h.databases.cassandra, { nodesPerRack: count, membersPerRack });
    for (const rack of RACKS)
      for (let n = 0; n < count; n += 1) disksOf(h, CASSANDRA_NODE)[`cassandra-${rack}-${n}`] = Size.gibibytes(100);
  };
export const members =
  (count: number, pods = count): Change =>
  (h) => {
    Object.assign(h.databases.mongodb, { members: count, pods });
    h.machines[MONGODB_NODE].dataDisks = Object.fromEntries(
      Array.from({ length: pods }, (_, n) => [`mongodb-${n}`, Size.gibibytes(100)]),
    );
  };
export const hidden =
  (options: object, ordinal = 2): Change =>
  (h) =>
    (h.databases.mongodb.memberOptions = { [ordinal]: options });
export const compatibility =
  (version: string): Change =>
  (h) =>
    (h.databases.mongodb.featureCompatibilityVersion = version);
export const moved =
  (...disks: readonly string[]): Change =>
  (h) => {
    anywhere(h);
    for (const disk of disks) move(h, disk);
    if (Object.keys(disksOf(h, MONGODB_NODE)).length === 0) delete h.machines[MONGODB_NODE].dataDisks;
  };
export const both =
  (...changes: readonly Change[]): Change =>
  (h) =>
    changes.forEach((change) => change(h));
export const disconnected: Change = (h) => {
  for (const service of connections(h)) service.connects = service.connects.filter((each: any) => !each.mongodb);
};
export const retired: Change = (h) => {
  h.databases.mongodb.state = 'retired';
  disconnected(h);
};
export const deleted: Change = (h) => {
  delete h.databases.mongodb;
  delete h.machines[MONGODB_NODE].dataDisks;
  disconnected(h);
};
export const diskSize =
  (gibibytes: number): Change =>
  (h) => {
    for (const rack of RACKS) disksOf(h, CASSANDRA_NODE)[`cassandra-${rack}-0`] = Size.gibibytes(gibibytes);
  };
export const renamed: Change = (h) => {
  h.databases.ring = h.databases.cassandra;
  delete h.databases.cassandra;
  h.machines[CASSANDRA_NODE].dataDisks = Object.fromEntries(
    Object.entries(disksOf(h, CASSANDRA_NODE)).map(([disk, size]) => [disk.replace('cassandra', 'ring'), size]),
  );
  for (const { connects } of connections(h)) for (const each of connects) if (each.cassandra) each.cassandra = 'ring';
};
