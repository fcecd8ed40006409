import type { Size } from 'cdk8s';
import type { IConstruct } from 'constructs';
import type { Settings } from '../values/database-settings';
import { bytes, mebibytes, sizeProblem } from '../values/quantity';
import { assertValid, fail } from './validation';

const GIB = 1024 ** 3;

/** How a node's memory is divided. Unit: MiB. */
export interface CassandraMemory {
  /** Java heap, as -Xms and -Xmx, so that a running node has allocated all of it. */
  readonly heap: number;
  /** Direct memory: buffers outside the heap that Java limits. */
  readonly direct: number;
}

/**
 * heap = min(limit / 2, (limit - 1 GiB) / 1.25). The rest holds direct memory (a quarter of the heap), native memory of
 * Cassandra that Java does not limit (bloom filters, compression offsets: 512 MiB) and Java itself (threads, code, garbage
 * collector: 512 MiB).
 * @throws for a limit under 2.5 GiB, or a heap that leaves less beside it
 */
export function divideMemory(scope: IConstruct, limit: Size, heap?: Size): CassandraMemory {
  assertValid(scope, sizeProblem(limit, 'memory'), heap === undefined ? undefined : sizeProblem(heap, 'heap'));
  const total = bytes(limit);
  if (total < 2.5 * GIB) {
    fail(scope, {
      what: 'a Cassandra node must have at least 2.5 GiB of memory',
      got: limit,
      fix: 'give it Size.mebibytes(2560) or more: below that the heap is too small to compact',
    });
  }
  const chosen = heap ? bytes(heap) : Math.min(total / 2, (total - GIB) / 1.25);
  if (total - chosen < Math.max(GIB, chosen / 4 + GIB)) {
    fail(scope, {
      what: 'the heap must leave a quarter of itself and 1 GiB beside it',
      got: heap,
      allowed: `at most ${mebibytes((total - GIB) / 1.25)}Mi of ${mebibytes(total)}Mi`,
      fix: 'lower the heap, or raise the memory',
    });
  }
  return { heap: mebibytes(chosen), direct: mebibytes(chosen / 4) };
}

export interface CassandraYaml {
  readonly clusterName: string;
  readonly memory: CassandraMemory;
  readonly allReplicasOnOneHost: boolean;
  /** Settings of the owner, which replace those of the construct. @default none */
  readonly settings?: Settings;
}

/**
 * Settings that differ from Cassandra's defaults, and required ones. listen_address and rpc_address stay empty, which means the
 * pod's address. `cassandra-node.py` writes the values that change when the ring grows, so that growth restarts no node.
 */
export function cassandraYaml({ clusterName, memory, allReplicasOnOneHost, settings = {} }: CassandraYaml): string {
  // All replicas run on one physical host: sync the commit log before a write is acknowledged, not up to 10 s later.
  const commitlog = allReplicasOnOneHost
    ? ['commitlog_sync: group', 'commitlog_sync_group_window: 10ms']
    : ['commitlog_sync: periodic', 'commitlog_sync_period: 10000ms'];
  const ours = [
    `cluster_name: "${clusterName}"`,
    'num_tokens: 16',
    'allocate_tokens_for_local_replication_factor: 1 # written by node.py',
    'default_keyspace_rf: 1 # written by node.py',
    'partitioner: org.apache.cassandra.dht.Murmur3Partitioner',
    'endpoint_snitch: GossipingPropertyFileSnitch',
    'seed_provider:',
    '  - class_name: org.apache.cassandra.locator.SimpleSeedProvider',
    '    parameters:',
    '      - seeds: "" # written by node.py',
    'storage_port: 7000',
    'native_transport_port: 9042',
    'start_native_transport: true',
    'authenticator: PasswordAuthenticator',
    'authorizer: CassandraAuthorizer',
    'role_manager: CassandraRoleManager',
    'data_file_directories:',
    '  - /var/lib/cassandra/data',
    'commitlog_directory: /var/lib/cassandra/commitlog',
    'hints_directory: /var/lib/cassandra/hints',
    'saved_caches_directory: /var/lib/cassandra/saved_caches',
    'cdc_raw_directory: /var/lib/cassandra/cdc_raw',
    ...commitlog,
    'disk_failure_policy: die',
    'commit_failure_policy: die',
    // Both are direct memory, which the JVM options limit to a quarter of the heap.
    `file_cache_size: ${Math.floor(memory.heap / 8)}MiB`,
    `networking_cache_size: ${Math.floor(memory.heap / 32)}MiB`,
    'auto_snapshot: true',
    // The snapshot that a DROP or TRUNCATE keeps would stay on the disk until someone removes it.
    'auto_snapshot_ttl: 30d',
    'incremental_backups: false',
    'dynamic_snitch: true',
  ];
  const own = Object.entries(settings).filter(([, value]) => value !== undefined);
  const kept = ours.filter((line) => !own.some(([key]) => line.startsWith(`${key}:`)));
  // JSON is YAML, on one line whatever the value is.
  return `${[...kept, ...own.map(([key, value]) => `${key}: ${JSON.stringify(value)}`)].join('\n')}\n`;
}

export function rackProperties(datacenter: string, rack: string): string {
  return `dc=${datacenter}\nrack=${rack}\n`;
}

/** Replaces the image's file of that name: general flags, and memory, which cassandra-env.sh would derive from the whole machine. */
export function jvmServerOptions({ heap, direct }: CassandraMemory): string {
  return `${[
    `-Xms${heap}m`,
    `-Xmx${heap}m`,
    `-XX:MaxDirectMemorySize=${direct}m`,
    '-ea',
    '-da:net.openhft...',
    '-XX:+UseThreadPriorities',
    '-Xss256k',
    '-XX:+AlwaysPreTouch',
    '-XX:+UseTLAB',
    '-XX:+ResizeTLAB',
    '-XX:+PerfDisableSharedMem',
    // A node that is out of memory hangs without failing its probes; one that exits is restarted.
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.net.preferIPv4Stack=true',
  ].join('\n')}\n`;
}
