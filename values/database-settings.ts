import { sentence } from './problem';

/** A value of a configuration file that is written as YAML: plain data, no classes. */
export type Setting =
  string | number | boolean | readonly Setting[] | { readonly [key: string]: Setting | undefined } | undefined;

/** Settings that the owner adds to a database's configuration file, under the same keys as in that file. */
export type Settings = Readonly<Record<string, Setting>>;

/** What to do instead of setting a reserved key. A key that ends with `*` stands for every key that starts with it. */
type Reserved = Readonly<Record<string, string>>;

const FIXED = 'leave it out: it cannot change after the ring was created';
const NODE = 'leave it out: node.py writes it when a node starts';
const NAMES = 'leave it out: Services, policies and probes depend on the default value';
const FOLDERS = 'leave it out: the volume of the pod is mounted there';
const TLS =
  'leave it out: docs/decisions/0017-no-tls-between-pods.md explains why, and what protects the traffic instead';
const LOGINS = 'leave it out: each client has a login with rights on its own data, made by a Job';

/** Keys of cassandra.yaml that CassandraStatefulSet depends on. Some have an older name that ends in a unit. */
const CASSANDRA: Reserved = {
  cluster_name: 'set clusterName',
  num_tokens: FIXED,
  initial_token: FIXED,
  partitioner: FIXED,
  'allocate_tokens*': NODE,
  default_keyspace_rf: NODE,
  auto_bootstrap: NODE,
  seed_provider: NODE,
  endpoint_snitch: 'set datacenter and racks',
  'listen_*': NAMES,
  'broadcast_*': NAMES,
  'rpc_*': NAMES,
  'storage_port*': NAMES,
  'ssl_storage_port*': NAMES,
  'native_transport_port*': NAMES,
  start_native_transport: NAMES,
  'jmx_*': 'leave it out: JMX stays on loopback, where it has no password',
  'authenticator*': LOGINS,
  'authorizer*': LOGINS,
  'role_manager*': LOGINS,
  'network_authorizer*': LOGINS,
  'cidr_authorizer*': LOGINS,
  'internode_authenticator*': LOGINS,
  client_encryption_options: TLS,
  server_encryption_options: TLS,
  data_file_directories: FOLDERS,
  local_system_data_file_directory: FOLDERS,
  commitlog_directory: FOLDERS,
  hints_directory: FOLDERS,
  saved_caches_directory: FOLDERS,
  cdc_raw_directory: FOLDERS,
  'commitlog_sync*':
    'set allReplicasOnOneHost of the construct; in homelab.ts it follows from the hosts that hold the disks',
  disk_failure_policy: 'leave it out: a node that cannot write must exit, so that the failure is visible',
  commit_failure_policy: 'leave it out: a node that cannot write must exit, so that the failure is visible',
  'file_cache_size*': 'set heap, from which it follows',
  'networking_cache_size*': 'set heap, from which it follows',
};

const MONGOD_NAMES = 'leave it out: the Service, policies and probes depend on the default value';
const MONGOD_FILES = 'leave it out: the file format on the volume cannot change after the set was created';
const FOREGROUND = 'leave it out: mongod is process 1, and logs to standard output';

/** Keys of mongod.conf, by their path, that MongoReplicaSet depends on. */
const MONGOD: Reserved = {
  'net.port': MONGOD_NAMES,
  'net.bindIp*': MONGOD_NAMES,
  'net.ipv6': MONGOD_NAMES,
  'net.unixDomainSocket*': 'leave it out: the root file system is read-only',
  'net.tls*': TLS,
  'net.ssl*': TLS,
  'security*': 'leave it out: members authenticate each other by the keyfile, and clients have logins',
  'replication.replSet*': 'set replicaSetName; in homelab.ts replicaSet',
  'replication.enableMajorityReadConcern': 'leave it out: acknowledged writes must be read back',
  'sharding*': 'leave it out: this is one replica set',
  'storage.dbPath': FOLDERS,
  'storage.engine': MONGOD_FILES,
  'storage.directoryPerDB': MONGOD_FILES,
  'storage.inMemory*': MONGOD_FILES,
  'storage.journal.enabled': 'leave it out: acknowledged writes must be on the disk',
  'storage.wiredTiger.engineConfig.cacheSize*': 'set resources (memory in homelab.ts), from which it follows',
  'storage.wiredTiger.engineConfig.directoryForIndexes': MONGOD_FILES,
  'processManagement*': FOREGROUND,
  'systemLog.destination': FOREGROUND,
  'systemLog.path': FOREGROUND,
  'systemLog.logAppend': FOREGROUND,
  'systemLog.logRotate': FOREGROUND,
  'systemLog.syslogFacility': FOREGROUND,
  'auditLog*': 'leave it out: only the Enterprise server has it',
  'setParameter.enableLocalhostAuthBypass': 'leave it out: the first start creates root by the localhost exception',
  'setParameter.authenticationMechanisms': LOGINS,
  'setParameter.enableTestCommands': 'leave it out: test commands change data without a login',
};

/** What is wrong with settings for cassandra.yaml, as a sentence, or undefined. */
export function cassandraSettingsProblem(value: unknown, what: string): string | undefined {
  return problem(value, what, { file: 'cassandra.yaml', sample: "{ compaction_throughput: '32MiB/s' }" }, (key) =>
    /^[a-z][a-z0-9_]*$/.test(key) ? reservedBy(CASSANDRA, [key]) : 'write the key as in cassandra.yaml',
  );
}

/** What is wrong with settings for mongod.conf, as a sentence, or undefined. */
export function mongodSettingsProblem(value: unknown, what: string): string | undefined {
  const sample = '{ operationProfiling: { slowOpThresholdMs: 200 } }';
  return problem(value, what, { file: 'mongod.conf', sample }, (key, entry) =>
    /^[A-Za-z]+$/.test(key)
      ? pathsOf(key, entry)
          .map((path) => reservedBy(MONGOD, path))
          .find((fix) => fix !== undefined)
      : 'nest the sections, as in mongod.conf',
  );
}

function problem(
  value: unknown,
  what: string,
  { file, sample }: { readonly file: string; readonly sample: string },
  reserved: (key: string, value: unknown) => string | undefined,
): string | undefined {
  if (!isPlain(value) || Array.isArray(value) || typeof value !== 'object')
    return sentence({
      what: `${what} must be settings of ${file}: an object of plain values`,
      got: value,
      fix: `write it like ${sample}`,
    });
  for (const [key, entry] of Object.entries(value as object)) {
    const fix = reserved(key, entry);
    if (fix !== undefined)
      return sentence({ what: `${what} must not set ${key}: the construct sets it`, got: entry, fix });
  }
  return undefined;
}

/** Text, finite numbers, booleans, and lists and objects of those: YAML writes and reads these unchanged. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value === 'object' && value !== null) {
    const prototype = Object.getPrototypeOf(value);
    return (
      (prototype === null || Object.getPrototypeOf(prototype) === null) &&
      Object.values(value).every((each) => each === undefined || isPlain(each))
    );
  }
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

/** The paths of all values in a section, and of sections that hold no value. Dots in a key are sections too, as mongod reads them. */
function pathsOf(path: string, value: unknown): string[][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path.split('.')];
  const entries = Object.entries(value);
  return entries.length === 0 ? [path.split('.')] : entries.flatMap(([key, entry]) => pathsOf(`${path}.${key}`, entry));
}

/** What to do instead of setting a key that is reserved, or whose section is reserved. */
function reservedBy(reserved: Reserved, path: readonly string[]): string | undefined {
  const key = path.join('.');
  const found = Object.entries(reserved).find(([name]) =>
    name.endsWith('*') ? key.startsWith(name.slice(0, -1)) : key === name || key.startsWith(`${name}.`),
  );
  return found?.[1];
}
