import { Duration, Size, type Chart } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { parse } from 'yaml';
import { CassandraStatefulSet, type CassandraStatefulSetProps } from '../../constructs/cassandra-stateful-set';
import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { Placement } from '../../constructs/placement';
import { DeclaredSecret } from '../../constructs/secrets';
import { DataStorage } from '../../constructs/volumes';
import { chartIn, objectOf, objects, patience, yamlOf, withVolumes } from './render';

const minimal: CassandraStatefulSetProps = {
  clusterName: 'collab',
  storage: DataStorage.storageClass(Size.gibibytes(10), 'standard'),
  resources: { memory: Size.gibibytes(5), cpu: Cpu.units(1) },
};

function rendered(props: Partial<CassandraStatefulSetProps> = {}) {
  const chart = chartIn('cassandra');
  const cassandra = new CassandraStatefulSet(chart, 'cassandra', { ...minimal, ...props });
  return { chart: withVolumes(chart), cassandra };
}

const rackOf = (props: Partial<CassandraStatefulSetProps> = {}, rack = 'r1') =>
  objectOf(rendered(props).chart, 'StatefulSet', `cassandra-${rack}`);
const podOf = (props: Partial<CassandraStatefulSetProps> = {}) => rackOf(props).spec.template.spec;
const fileOf = (file: string, props: Partial<CassandraStatefulSetProps> = {}) =>
  objectOf(rendered(props).chart, 'ConfigMap', 'cassandra-config').data[file];
const withMemory = (memory: Size) => ({ resources: { memory, cpu: Cpu.units(1) } });

test('each rack is a StatefulSet, because names and racks can never change', () => {
  const names = objects(rendered().chart)
    .filter(({ kind }) => kind === 'StatefulSet')
    .map(({ metadata }) => metadata.name);
  expect(names).toEqual(['cassandra-r1', 'cassandra-r2', 'cassandra-r3']);
  expect(rackOf().spec.replicas).toBe(1);
});

test('each rack selects its own pods, the client Service selects all', () => {
  expect(rackOf({}, 'r2').spec.selector.matchLabels).toEqual({
    'app.kubernetes.io/name': 'cassandra',
    'app.kubernetes.io/instance': 'cassandra',
    'cassandra-rack': 'r2',
  });
  expect(objectOf(rendered().chart, 'Service', 'cassandra').spec.selector).not.toHaveProperty('cassandra-rack');
});

test('Argo CD updates rack by rack, then the schema', () => {
  const wave = (object: any) => object.metadata.annotations['argocd.argoproj.io/sync-wave'];
  expect(['r1', 'r2', 'r3'].map((rack) => wave(rackOf({}, rack)))).toEqual(['1', '2', '3']);
  expect(wave(objectOf(rendered().chart, 'Job'))).toBe('4');
});

test.each([
  [Size.gibibytes(5), 2560, 640],
  [Size.mebibytes(2560), 1228, 307],
  [Size.gibibytes(16), 8192, 2048],
])('heap and direct memory are derived from the limit and leave 1 GiB', (memory, heap, direct) => {
  const options = fileOf('jvm-server.options', withMemory(memory));
  expect(options).toContain(`-Xms${heap}m\n-Xmx${heap}m\n-XX:MaxDirectMemorySize=${direct}m\n`);
  expect(heap + direct + 1024).toBeLessThanOrEqual(memory.toMebibytes());
});

test('sets no -Xmn, which cassandra-env.sh refuses with G1, and no heap that every nodetool would inherit', () => {
  expect(fileOf('jvm-server.options')).not.toContain('-Xmn');
  expect(podOf().containers[0].env.map(({ name }: any) => name)).toEqual(['HOME', 'POD_NAME', 'POD_IP']);
});

test('the caches in direct memory fit into the limit of Java', () => {
  const mib = (key: string) => Number(new RegExp(`^${key}: (\\d+)MiB$`, 'm').exec(fileOf('cassandra.yaml'))![1]);
  expect(mib('file_cache_size') + mib('networking_cache_size')).toBeLessThan(640);
});

test('a write is synced to disk before it is acknowledged when all replicas run on one physical host', () => {
  expect(fileOf('cassandra.yaml')).toContain('commitlog_sync: group\n');
  expect(fileOf('cassandra.yaml', { allReplicasOnOneHost: false })).toContain('commitlog_sync: periodic\n');
});

test('ops runs beside each node, with a heap for nodetool, the data volume and its port', () => {
  const [, ops] = podOf().containers;
  expect(ops).toMatchObject({ name: 'ops', command: ['python3', '/scripts/ops.py'] });
  expect(ops.env).toContainEqual({ name: 'MAX_HEAP_SIZE', value: '64M' });
  expect(ops.ports).toEqual([{ name: 'ops-metrics', containerPort: 7011, protocol: 'TCP' }]);
  expect(ops.volumeMounts.map(({ mountPath }: any) => mountPath)).toContain('/var/lib/cassandra');
});

test('a changed schedule of ops restarts nothing, changed scripts restart the nodes', () => {
  const hours = (repairEvery: Duration) => ({ ops: { repairEvery } });
  const config = objectOf(rendered(hours(Duration.hours(12))).chart, 'ConfigMap', 'cassandra-scripts').data['ops.json'];
  expect(JSON.parse(config).repairSeconds).toBe(43200);
  expect(rackOf(hours(Duration.hours(12))).spec.template).toEqual(rackOf().spec.template);
});

test('only the pods in scrapedBy may read the metrics of ops', () => {
  const prometheus = { namespace: 'monitoring', labels: { app: 'prometheus' } };
  const froms = (props: Partial<CassandraStatefulSetProps>) =>
    JSON.stringify(objectOf(rendered(props).chart, 'NetworkPolicy', 'cassandra').spec.ingress);
  expect(froms({ ops: { scrapedBy: prometheus } })).toContain('monitoring');
  expect(froms({})).not.toContain('monitoring');
  const annotations = (props: Partial<CassandraStatefulSetProps>) => rackOf(props).spec.template.metadata.annotations;
  expect(annotations({ ops: { scrapedBy: prometheus } })['prometheus.io/port']).toBe('7011');
  expect(annotations({})).not.toHaveProperty(['prometheus.io/port']);
});

const nodeConfigOf = (props: Partial<CassandraStatefulSetProps> = {}) =>
  JSON.parse(objectOf(rendered(props).chart, 'ConfigMap', 'cassandra-scripts').data['node.json']);
const schemaOf = (chart: Chart) => JSON.parse(objectOf(chart, 'ConfigMap', 'cassandra-schema').data['schema.json']);

test('logins survive the loss of a node from the first start on', () => {
  expect(nodeConfigOf().copies).toBe(3);
  expect(nodeConfigOf({ racks: ['r1'] }).copies).toBe(1);
});

test('requires logins and permissions, and leaves the address to the pod', () => {
  const yaml = fileOf('cassandra.yaml');
  expect(yaml).toContain('authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n');
  expect(yaml).toContain('endpoint_snitch: GossipingPropertyFileSnitch\n');
  expect(yaml).not.toMatch(/listen_address|rpc_address/);
  expect(fileOf('cassandra-rackdc-r2.properties')).toBe('dc=dc1\nrack=r2\n');
});

test('seeds are names, the first node of each rack, because addresses change', () => {
  const seeds = ['r1', 'r2', 'r3'].map((rack) => `cassandra-${rack}-0.cassandra-nodes.cassandra.svc.cluster.local`);
  expect(nodeConfigOf().seeds).toEqual(seeds);
  expect(nodeConfigOf({ nodesPerRack: 2 }).seeds).toEqual(seeds);
});

test('nodes join rack by rack, because Argo CD starts a rack after the one before is healthy', () => {
  const { members, service } = nodeConfigOf({ nodesPerRack: 2, racks: ['r1', 'r2'] });
  expect(members.map(({ pod }: any) => pod)).toEqual([
    'cassandra-r1-0',
    'cassandra-r1-1',
    'cassandra-r2-0',
    'cassandra-r2-1',
  ]);
  expect(service).toBe('cassandra-nodes.cassandra.svc.cluster.local');
});

test('members are the first pods of each rack: seeds and copies follow them, and no pod restarts', () => {
  const shrinking = { racks: ['r1', 'r2'], nodesPerRack: 2, membersPerRack: 1 };
  const { members, surplus, seeds, copies } = nodeConfigOf(shrinking);
  const names = (nodes: any) => nodes.map(({ pod }: any) => pod);
  expect(names(members)).toEqual(['cassandra-r1-0', 'cassandra-r2-0']);
  expect(names(surplus)).toEqual(['cassandra-r1-1', 'cassandra-r2-1']);
  expect(seeds.map((seed: string) => seed.split('.')[0])).toEqual(['cassandra-r1-0', 'cassandra-r2-0']);
  expect(copies).toBe(2);
  expect(rackOf(shrinking).spec).toEqual(rackOf({ ...shrinking, membersPerRack: 2 }).spec);
  expect(nodeConfigOf({ nodesPerRack: 2 })).not.toHaveProperty('surplus');
});

test('names of nodes resolve before a node is ready, and all pods of a rack start at once', () => {
  const { chart } = rendered();
  expect(objectOf(chart, 'Service', 'cassandra-nodes').spec).toMatchObject({
    clusterIP: 'None',
    publishNotReadyAddresses: true,
  });
  expect(rackOf().spec.podManagementPolicy).toBe('Parallel');
});

test('our files are copied over the folder of the image, which keeps further files of a version', () => {
  const init = podOf().initContainers.at(-1);
  // Not cp -a: the user may not set the times of an emptyDir [ran: test:real -- databases].
  expect(init.command[2]).toMatch(/^cp -r \/etc\/cassandra\/\. \/conf\/\n/);
  expect(init.command[2]).toContain('cassandra-rackdc-r1.properties');
});

test('probes start no Java process, a start may take an hour, and JMX is never used or opened', () => {
  const [container] = podOf().containers;
  expect(container.readinessProbe.tcpSocket.port).toBe('cql');
  // Not the storage port, which a drained node has closed.
  expect(container.livenessProbe.httpGet).toEqual({ path: '/live', port: 'tell' });
  expect(container.startupProbe.periodSeconds * container.startupProbe.failureThreshold).toBe(3600);
  expect(patience(container)).toEqual([
    [3600, 1],
    [120, 10],
    [30, 5],
  ]);
  expect(yamlOf(rendered().chart)).not.toContain('7199');
});

test('a node drains before it stops, within its termination grace period', () => {
  expect(podOf().containers[0].lifecycle.preStop.exec.command).toEqual(['nodetool', 'drain']);
  expect(podOf().terminationGracePeriodSeconds).toBe(120);
});

test('the pod is restricted and writes to its volumes only', () => {
  const pod = podOf();
  expect(pod.securityContext).toMatchObject({
    runAsUser: 999,
    fsGroup: 999,
    fsGroupChangePolicy: 'OnRootMismatch',
    runAsNonRoot: true,
  });
  for (const container of [...pod.containers, ...pod.initContainers])
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
  expect(
    pod.containers[0].volumeMounts.filter((mount: any) => !mount.readOnly).map((mount: any) => mount.mountPath),
  ).toEqual(['/var/lib/cassandra', '/etc/cassandra', '/var/log/cassandra', '/tmp']);
});

test('one node at a time may be disrupted', () => {
  expect(objectOf(rendered().chart, 'PodDisruptionBudget').spec.maxUnavailable).toBe(1);
});

test('claims are kept after the ring, and a missing mount stops the pod before Cassandra starts', () => {
  expect(rackOf().spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
  const local = DataStorage.localDisks(Size.gibibytes(10), { nodeOf: () => 'w' });
  expect(podOf({ storage: local }).initContainers[0].name).toBe('check-data-mount');
});

function withClient(keyspace = 'documents_history') {
  const { chart, cassandra } = rendered();
  const client = new MicroserviceDeployment(chart, 'documents', { image: 'a:1', namespace: 'services' });
  client.connectTo(cassandra, { keyspace });
  return { chart, client, cassandra };
}

test('a client gets address, keyspace and role; its password comes from a secret in both namespaces', () => {
  const { chart } = withClient();
  const env = objectOf(chart, 'Deployment').spec.template.spec.containers[0].env;
  expect(Object.fromEntries(env.map(({ name, value }: any) => [name, value ?? 'secret']))).toEqual({
    CASSANDRA_CONTACT_POINTS: 'cassandra.cassandra.svc.cluster.local',
    CASSANDRA_PORT: '9042',
    CASSANDRA_LOCAL_DATACENTER: 'dc1',
    CASSANDRA_KEYSPACE: 'documents_history',
    CASSANDRA_USERNAME: 'secret',
    CASSANDRA_PASSWORD: 'secret',
  });
  expect(DeclaredSecret.all(chart).find(({ name }) => name === 'cassandra-documents')!.namespaces).toEqual([
    'cassandra',
    'services',
  ]);
});

test('the schema gives a client permissions only on its keyspace', () => {
  expect(schemaOf(withClient().chart)).toEqual({
    datacenter: 'dc1',
    nodes: ['r1', 'r2', 'r3'].map((rack) => `cassandra-${rack}-0.cassandra-nodes.cassandra.svc.cluster.local`),
    copies: 3,
    keyspaces: { documents_history: 3 },
    roles: {
      documents: {
        usernameFrom: 'USERNAME_DOCUMENTS',
        passwordFrom: 'PASSWORD_DOCUMENTS',
        previousFrom: 'PREVIOUS_PASSWORD_DOCUMENTS',
        keyspaces: ['documents_history'],
      },
    },
  });
});

test('the replication factor grows with the ring, up to three', () => {
  const copies = (nodesPerRack: number) => {
    const { chart, cassandra } = rendered({ racks: ['r1'], nodesPerRack });
    const client = new MicroserviceDeployment(chart, 'documents', { image: 'a:1', namespace: 'services' });
    client.connectTo(cassandra, { keyspace: 'order' });
    const { copies: auth, keyspaces } = schemaOf(chart);
    return [auth, keyspaces.order];
  };
  expect([copies(1), copies(2), copies(3), copies(4)]).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [3, 3],
  ]);
});

describe('the role of a client', () => {
  const client = (chart: Chart, namespace: string, name = 'orders') =>
    new MicroserviceDeployment(chart, `${namespace}-${name}`, { name, image: 'a:1', namespace });

  test('belongs to one client: two clients of the same name would share password and keyspaces', () => {
    const { chart, cassandra } = rendered();
    client(chart, 'prod').connectTo(cassandra, { keyspace: 'orders' });
    expect(() => client(chart, 'staging').connectTo(cassandra, { keyspace: 'orders_staging' })).toThrow(
      'the role of a client of cassandra/cassandra must be its own, got "orders, that of cassandra/prod-orders too"; give the connection another role: { ..., role: \'orders-app\' }',
    );
    client(chart, 'test').connectTo(cassandra, { keyspace: 'orders_test', role: 'orders-test' });
    expect(Object.keys(schemaOf(chart).roles)).toEqual(['orders', 'orders-test']);
  });

  test('is the same for all keyspaces of a client', () => {
    const { chart, cassandra } = rendered();
    const orders = client(chart, 'prod');
    orders.connectTo(cassandra, { keyspace: 'a' });
    orders.connectTo(cassandra, { keyspace: 'b', envPrefix: 'B' });
    expect(schemaOf(chart).roles.orders.keyspaces).toEqual(['a', 'b']);
  });

  test.each(['admin', 'cassandra'])('must not be %s, which the ring itself uses', (name) => {
    const { chart, cassandra } = rendered();
    expect(() => client(chart, 'web', name).connectTo(cassandra, { keyspace: 'x' })).toThrow(
      `got "${name}, one that the database itself has"; give the connection another role`,
    );
    client(chart, 'other', name).connectTo(cassandra, { keyspace: 'x', role: `${name}-app` });
    expect(DeclaredSecret.all(chart).map((secret) => secret.name)).toContain(`cassandra-${name}-app`);
  });
});

test('a new keyspace creates a new job, and restarts no node', () => {
  const state = (keyspace: string) => {
    const { chart } = withClient(keyspace);
    return {
      job: objectOf(chart, 'Job').metadata.name,
      template: objectOf(chart, 'StatefulSet', 'cassandra-r1').spec.template,
    };
  };
  expect(state('a').job).not.toBe(state('b').job);
  expect(state('a').template).toEqual(state('b').template);
});

test('a client adds only rules to the policy of the ring, and no object to its namespace', () => {
  const { chart } = withClient();
  const there = objects(chart).filter(({ metadata }) => metadata.namespace === 'cassandra');
  expect(there.filter(({ metadata }) => metadata.name.includes('documents'))).toEqual([]);
  const ports = objectOf(chart, 'NetworkPolicy', 'cassandra').spec.ingress.map((rule: any) => [
    rule.from[0].podSelector.matchLabels['app.kubernetes.io/instance'],
    rule.ports.map((port: any) => port.port),
  ]);
  expect(ports).toEqual([
    ['cassandra', [7000, 7010, 7011, 9042]],
    ['cassandra-schema', [7010, 9042]],
    ['documents', [9042]],
  ]);
});

test('the constructor rejects resources that are not quantities', () => {
  const resources = { memory: Size.gibibytes(5), cpu: 1 as unknown as Cpu };
  expect(() => new CassandraStatefulSet(chartIn('db'), 'cassandra', { ...minimal, resources })).toThrow(
    'db/cassandra: cpu must be a Cpu',
  );
});

const wrong: [string, Partial<CassandraStatefulSetProps>, string][] = [
  [
    'too little memory',
    withMemory(Size.gibibytes(2)),
    'a Cassandra node must have at least 2.5 GiB of memory, got 2Gi; give it Size.mebibytes(2560) or more',
  ],
  [
    'a heap that leaves too little',
    { heap: Size.gibibytes(4) },
    'the heap must leave a quarter of itself and 1 GiB beside it, got 4Gi (allowed: at most 3276Mi of 5120Mi)',
  ],
  ['a plain number for the heap', { heap: 2 as unknown as Size }, 'heap must be a Size of at least 1 KiB, got 2'],
  ['a rack twice', { racks: ['r1', 'r1'] }, 'racks must be different names, at least one'],
  ['a rack that is no label', { racks: ['Rack 1'] }, 'the name of a rack must be a DNS label, got "Rack 1"'],
  [
    'more members than pods',
    { nodesPerRack: 2, membersPerRack: 3 },
    'membersPerRack must be between 1 and nodesPerRack, got "3 members, 2 pods"; lower membersPerRack first',
  ],
  [
    'a copy on a node that leaves',
    { racks: ['r1'], nodesPerRack: 3, membersPerRack: 1, keyspaces: { a: { replicationFactor: 2 } } },
    'the replication factor of a must be between 1 and the number of nodes, got 2 (allowed: 1 to 1)',
  ],
  [
    'repairs that come too late',
    { ops: { repairEvery: Duration.days(6) } },
    'ops.repairEvery must be a Duration from 1 hour to 5 days, got "518400 s" (allowed: whole seconds; 5 days are half of gc_grace_seconds',
  ],
  ['no nodes', { nodesPerRack: 0 }, 'nodesPerRack must be between 1 and 50, got 0'],
  ['a cluster name with a quote', { clusterName: 'a"b' }, 'clusterName must be 1 to 48 letters, digits, _ and -'],
  [
    'more copies than nodes',
    { keyspaces: { a: { replicationFactor: 4 } } },
    'the replication factor of a must be between 1 and the number of nodes, got 4 (allowed: 1 to 3)',
  ],
  [
    'a keyspace that CQL would not take',
    { keyspaces: { 'a-b': {} } },
    'the name of a keyspace must be 1 to 48 of a-z, 0-9 and _, got "a-b"',
  ],
  ["one of Cassandra's own keyspaces", { keyspaces: { system_auth: {} } }, 'the name of a keyspace must be'],
];

test.each(wrong)('rejects %s', (_name, props, message) => {
  expect(() => rendered(props)).toThrow(message);
});

test('renders the smallest ring', () => {
  expect(yamlOf(rendered({ racks: ['r1'] }).chart)).toMatchSnapshot();
});

test('renders a rack of a ring with all options', () => {
  const rack = rackOf({
    nodesPerRack: 2,
    storage: DataStorage.localDisks(Size.gibibytes(100), { nodeOf: () => 'talos-worker-01' }),
    placement: Placement.onNodesLabelled('storage-type', 'cassandra'),
    priorityClassName: 'database',
    pullSecrets: ['registry'],
    exporter: { image: 'exporter:1', port: 9500, resources: { memory: Size.mebibytes(128), cpu: Cpu.millis(50) } },
  });
  expect(yamlOf([rack])).toMatchSnapshot();
});

test('the claim template contains the defaults of the API server: Argo CD compares the list as a whole', () => {
  expect(rackOf().spec.volumeClaimTemplates[0]).toMatchObject({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    spec: { volumeMode: 'Filesystem' },
    status: { phase: 'Pending' },
  });
});

test('another node in each rack restarts no running node', () => {
  const template = (props: Partial<CassandraStatefulSetProps>) => rackOf(props).spec.template;
  expect(template({ nodesPerRack: 2 })).toEqual(template({ nodesPerRack: 1 }));
  // Also where copies and seeds grow with it.
  expect(template({ racks: ['r1'], nodesPerRack: 3 })).toEqual(template({ racks: ['r1'] }));
});

test("the owner's settings replace ours, each once", () => {
  const config = {
    auto_snapshot_ttl: '7d',
    concurrent_reads: 64,
    audit_logging_options: { enabled: true, text: 'a\nseeds: b' },
  };
  const lines = fileOf('cassandra.yaml', { config }).split('\n');
  expect(lines.filter((line: string) => line.startsWith('auto_snapshot_ttl:'))).toEqual(['auto_snapshot_ttl: "7d"']);
  expect(lines).toContain('concurrent_reads: 64');
  expect(lines).toContain('audit_logging_options: {"enabled":true,"text":"a\\nseeds: b"}');
  expect(parse(fileOf('cassandra.yaml', { config })).audit_logging_options.text).toBe('a\nseeds: b');
});

test('rejects a setting that the construct sets, and names the alternative', () => {
  expect(() => rendered({ config: { cluster_name: 'x' } })).toThrow(
    'cassandra/cassandra: config must not set cluster_name: the construct sets it, got "x"; set clusterName',
  );
});

test('a changed setting restarts the nodes', () => {
  const checksum = (props: Partial<CassandraStatefulSetProps>) =>
    rackOf(props).spec.template.metadata.annotations['checksum/config'];
  expect(checksum({ config: { concurrent_reads: 64 } })).not.toBe(checksum({}));
});

test('version selects the official image, and is rejected together with image', () => {
  expect(podOf({ version: '5.0.6' }).containers[0].image).toBe('docker.io/library/cassandra:5.0.6');
  expect(objectOf(rendered({ version: '5.0.6' }).chart, 'Job').spec.template.spec.containers[0].image).toBe(
    'docker.io/library/cassandra:5.0.6',
  );
  expect(() => rendered({ version: '5.0' })).toThrow('version must be an exact version of Cassandra, got "5.0"');
  expect(() => rendered({ version: '5.0.6', image: 'own/cassandra:1' })).toThrow(
    'version must not be set together with image',
  );
});

test('records a client that may only read', () => {
  const { chart, cassandra } = rendered();
  new MicroserviceDeployment(chart, 'reports', { image: 'a:1' }).connectTo(cassandra, {
    keyspace: 'chat',
    access: 'read',
  });
  expect(schemaOf(chart).roles.reports).toMatchObject({ keyspaces: [], readOnly: ['chat'] });
});
