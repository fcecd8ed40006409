import type { Duration, Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { Settings } from '../values/database-settings';
import type { MemberOptions } from '../values/members';
import type { Backup } from './backup';
import type { NodeLabel } from './homelab';

/** A database. Each has a namespace, a folder of dist/ and an Argo CD application of its own. */
export type Database = Cassandra | MongoDb;

interface DatabaseBase {
  /** Memory of each node or member, as request and limit. */
  readonly memory: Size;
  /** CPU request of each node or member. */
  readonly cpu: Cpu;
  /** Label of the nodes that it may run on. */
  readonly nodeLabel: NodeLabel;
  /**
   * Exact version of the official image, such as 5.0.8 or 8.0.26. Raise one major version at a time and never go back:
   * `npm run homelab -- plan` prints the steps. @default that of constructs/images.ts
   */
  readonly version?: string;
  /** A container in each pod that exports metrics. @default none */
  readonly exporter?: DatabaseExporter;
  /** Its own backups, or false for none, when its data can be recreated. @default `backup` of the homelab */
  readonly backup?: Backup | false;
  /** `retired` runs no pods but keeps namespace, policies, claims and volumes. @default active */
  readonly state?: 'active' | 'retired';
}

/** Metrics exporter of a database: a program of your choice that runs beside it and reaches it over loopback. */
export interface DatabaseExporter {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Port that serves /metrics. */
  readonly port: number;
  /** Memory of its container in each pod, in addition to the database's; request and limit. */
  readonly memory: Size;
  /** CPU request of its container. */
  readonly cpu: Cpu;
  /** @default the image's */
  readonly args?: readonly string[];
  /** Environment variables. Must contain no secret: dist/ is in Git. @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** Pods that may read the metrics, by namespace and labels, such as those of Prometheus. @default none */
  readonly scrapedBy?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
}

/** A Cassandra ring. It needs a data disk for each node: NAME-RACK-0 for each rack, then NAME-RACK-1 and so on. */
export interface Cassandra extends DatabaseBase {
  /** Discriminates a ring from a MongoDB replica set. */
  readonly kind: 'cassandra';
  /** May never change: nodes keep it on their disks, and refuse to start under another one. */
  readonly clusterName: string;
  /** May never change: nodes refuse to start in another one, and keyspaces count their replicas per datacenter. */
  readonly datacenter: string;
  /**
   * May never change, neither names nor number: a node keeps its rack, and replicas are placed by rack. A rack can move to its own
   * host when the homelab grows; for more nodes raise `nodesPerRack`.
   */
  readonly racks: readonly string[];
  /**
   * Running pods of each rack. Can be raised later: the ring grows node by node, then keyspaces get up to three replicas.
   * May never be lowered while the pods that leave are members: lower `membersPerRack` one commit before. @default 1
   */
  readonly nodesPerRack?: number;
  /**
   * Wanted nodes of each rack. When it is less than `nodesPerRack`, the last pods of each rack leave the ring one at a time, and
   * their rows move to the remaining nodes. @default nodesPerRack
   */
  readonly membersPerRack?: number;
  /**
   * Interval between repairs of a keyspace: 1 hour to 5 days. A table with gc_grace_seconds below 10 days needs at most half of
   * its gc_grace_seconds. @default 5 days
   */
  readonly repairEvery?: Duration;
  /** Java heap of each node. @default min(memory / 2, (memory - 1 GiB) / 1.25) */
  readonly heap?: Size;
  /**
   * Further settings of cassandra.yaml, such as { compaction_throughput: '32MiB/s' }. Synth refuses those that the construct sets
   * and names the alternative. A node refuses to start with a setting that Cassandra does not know. @default none
   */
  readonly config?: Settings;
  /**
   * Keyspaces that no service connects to, or that need another number of copies (replicas) than min(3, nodes). A keyspace is
   * never dropped. @default none
   */
  readonly keyspaces?: Readonly<Record<string, { readonly copies?: number }>>;
}

/** A MongoDB replica set. It needs a data disk for each pod: NAME-0, NAME-1 and so on. */
export interface MongoDb extends DatabaseBase {
  /** Discriminates a replica set from a Cassandra ring. */
  readonly kind: 'mongodb';
  /** May never change: members keep it on their disks, and cannot start in a set of another name. */
  readonly replicaSet: string;
  /** Wanted members of the replica set: 1, 3, 5, 7 or more, plus delayed members, which do not vote. */
  readonly members: number;
  /** Running pods. To shrink, lower it one commit after `members`. @default members */
  readonly pods?: number;
  /**
   * Members that clients do not see (`hidden`) or that replicate with a delay (`delay`), by ordinal, such as { 3: { delay:
   * Duration.hours(1) } } with 4 members. Never ordinal 0. A change restarts no member. @default all are plain
   */
  readonly memberOptions?: Readonly<Record<number, MemberOptions>>;
  /**
   * Feature compatibility version, such as 8.0: that of `version`, or of the major version before. Takes effect when every member
   * runs it, and can never be lowered: raise it in its own commit, some days after `version`, with an accepted change.
   * @default unchanged; a new set has that of its version
   */
  readonly featureCompatibilityVersion?: string;
  /**
   * Further settings of mongod.conf, such as { operationProfiling: { slowOpThresholdMs: 200 } }. Synth refuses those that the
   * construct sets and names the alternative. A member refuses to start with a setting that mongod does not know. @default none
   */
  readonly config?: Settings;
}
