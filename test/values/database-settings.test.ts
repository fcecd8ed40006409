import { Size } from 'cdk8s';
import { cassandraSettingsProblem, mongodSettingsProblem } from '../../values/database-settings';
import { cassandraVersionProblem, mongodbVersionProblem } from '../../values/database-versions';

test.each([
  [{ cluster_name: 'other' }, 'config must not set cluster_name: the construct sets it, got "other"; set clusterName'],
  [{ num_tokens: 256 }, 'config must not set num_tokens: the construct sets it, got 256; leave it out'],
  [{ authenticator: 'AllowAllAuthenticator' }, 'each client has a login'],
  [{ listen_address: '0.0.0.0' }, 'Services, policies and probes'],
  [{ broadcast_rpc_address: '10.0.0.1' }, 'Services, policies and probes'],
  [{ seed_provider: [{ class_name: 'X' }] }, 'node.py writes it'],
  [{ endpoint_snitch: 'SimpleSnitch' }, 'set datacenter and racks'],
  [{ data_file_directories: ['/data'] }, 'the volume of the pod is mounted there'],
  // The older name of commitlog_sync_period.
  [{ commitlog_sync_period_in_ms: 10000 }, 'set allReplicasOnOneHost'],
  [{ disk_failure_policy: 'ignore' }, 'a node that cannot write must exit'],
  [{ file_cache_size_in_mb: 4096 }, 'set heap'],
  [{ server_encryption_options: { internode_encryption: 'all' } }, 'docs/decisions/0017'],
  [{ 'a key': 1 }, 'write the key as in cassandra.yaml'],
  [{ 'seeds:\nx': 1 }, 'write the key as in cassandra.yaml'],
  [{ concurrent_reads: Size.gibibytes(1) }, 'settings of cassandra.yaml: an object of plain values'],
  [{ concurrent_reads: NaN }, 'an object of plain values'],
  [{ concurrent_reads: null }, 'an object of plain values'],
  [['concurrent_reads'], 'an object of plain values'],
  ['concurrent_reads: 64', "write it like { compaction_throughput: '32MiB/s' }"],
])('rejects %j for cassandra.yaml', (settings, problem) => {
  expect(cassandraSettingsProblem(settings, 'config')).toContain(problem);
});

test.each([
  [{ compaction_throughput: '32MiB/s' }],
  [{ auto_snapshot_ttl: '7d', concurrent_reads: 64, dynamic_snitch: false }],
  [{ audit_logging_options: { enabled: true, logger: [{ class_name: 'BinAuditLogger' }] } }],
  [{}],
])('accepts %j for cassandra.yaml', (settings) => {
  expect(cassandraSettingsProblem(settings, 'config')).toBeUndefined();
});

test.each([
  [{ net: { port: 27018 } }, 'config must not set net: the construct sets it, got {"port":27018}; leave it out'],
  [{ net: { bindIpAll: false } }, 'Service, policies and probes'],
  [{ net: { tls: { mode: 'requireTLS' } } }, 'docs/decisions/0017'],
  [{ security: { authorization: 'disabled' } }, 'members authenticate each other by the keyfile'],
  [{ security: {} }, 'members authenticate each other by the keyfile'],
  [{ replication: { replSetName: 'rs1' } }, 'set replicaSetName'],
  [{ storage: { dbPath: '/tmp' } }, 'the volume of the pod'],
  [{ storage: { 'wiredTiger.engineConfig.cacheSizeGB': 4 } }, 'set resources'],
  [{ storage: { wiredTiger: { engineConfig: { cacheSizeGB: 4 } } } }, 'set resources'],
  [{ 'storage.dbPath': '/tmp' }, 'nest the sections'],
  [{ processManagement: { fork: true } }, 'mongod is process 1'],
  [{ setParameter: { enableTestCommands: true } }, 'without a login'],
  [{ setParameter: { x: new Date(0) } }, 'settings of mongod.conf: an object of plain values'],
])('rejects %j for mongod.conf', (settings, problem) => {
  expect(mongodSettingsProblem(settings, 'config')).toContain(problem);
});

test.each([
  [{ operationProfiling: { slowOpThresholdMs: 200 } }],
  [{ setParameter: { transactionLifetimeLimitSeconds: 30 }, net: { maxIncomingConnections: 500 } }],
  [{ replication: { oplogSizeMB: 2048 }, storage: { syncPeriodSecs: 30 } }],
])('accepts %j for mongod.conf', (settings) => {
  expect(mongodSettingsProblem(settings, 'config')).toBeUndefined();
});

test.each(['latest', '5.0', '4.1.11', 5, '5.0.8-jammy', ''])('rejects %p as a version of Cassandra', (version) => {
  expect(cassandraVersionProblem(version, 'version')).toMatch(
    /an exact version of Cassandra.*; write it like 5\.0\.8$/,
  );
});

test('accepts exact versions that are not older than the rendered configuration', () => {
  expect(cassandraVersionProblem('5.0.6', 'version')).toBeUndefined();
  expect(mongodbVersionProblem('6.0.5', 'version')).toBeUndefined();
  expect(mongodbVersionProblem('5.0.31', 'version')).toContain('allowed: 6.0.0 or newer');
});
