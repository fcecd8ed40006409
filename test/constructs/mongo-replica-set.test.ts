import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { MongoReplicaSet, type MongoReplicaSetProps } from '../../constructs/mongo-replica-set';
import { Placement } from '../../constructs/placement';
import { DeclaredSecret } from '../../constructs/secrets';
import { DataStorage } from '../../constructs/volumes';
import { chartIn, objectOf, objects, patience, yamlOf, withVolumes } from './render';

const minimal: MongoReplicaSetProps = {
  storage: DataStorage.storageClass(Size.gibibytes(10), 'standard'),
  resources: { memory: Size.gibibytes(2), cpu: Cpu.millis(500) },
};

function rendered(props: Partial<MongoReplicaSetProps> = {}) {
  const chart = chartIn('mongodb');
  const mongodb = new MongoReplicaSet(chart, 'mongodb', { ...minimal, ...props });
  return { chart: withVolumes(chart), mongodb };
}

function podOf(props: Partial<MongoReplicaSetProps> = {}) {
  return objectOf(rendered(props).chart, 'StatefulSet').spec.template.spec;
}

function membersOf(props: Partial<MongoReplicaSetProps>) {
  return JSON.parse(objectOf(rendered(props).chart, 'ConfigMap', 'mongodb').data['members.json']).members;
}

test.each([
  [Size.gibibytes(1), '0.25'],
  [Size.gibibytes(2), '0.50'],
  [Size.gibibytes(5), '2.00'],
])(
  'the cache is half of the memory after the first GiB, because mongod ignores the limit of the pod',
  (memory, cache) => {
    const [mongod] = podOf({ resources: { memory, cpu: Cpu.millis(100) } }).containers;
    expect(mongod.command).toContain(`--wiredTigerCacheSizeGB=${cache}`);
  },
);

test('mongod becomes process 1 and gets SIGTERM itself, without a preStop hook', () => {
  const [mongod] = podOf().containers;
  expect(mongod.command.slice(0, 3)).toEqual(['sh', '/config/start.sh', 'mongod']);
  expect(mongod.volumeMounts).toContainEqual({ name: 'config', mountPath: '/config', readOnly: true });
  expect(mongod.lifecycle).toBeUndefined();
});

test('the reconciler and the job that creates users get the resources for mongosh', () => {
  const { chart } = rendered({ reconcileResources: { memory: Size.mebibytes(256), cpu: Cpu.millis(100) } });
  const given = { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '256Mi' } };
  const [, reconcile] = objectOf(chart, 'StatefulSet').spec.template.spec.containers;
  const [job] = objectOf(chart, 'Job').spec.template.spec.containers;
  expect([reconcile.resources, job.resources]).toEqual([given, given]);
});

test('the key is copied with mode 0400 into memory: mongod refuses one that its group may read', () => {
  const pod = podOf();
  expect(pod.initContainers.at(-1).command).toEqual(['install', '-m', '0400', '/secret/keyfile', '/keyfile/keyfile']);
  expect(pod.volumes).toContainEqual({ name: 'keyfile', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } });
});

test('probes use TCP: one mongosh costs 300 to 900 m of CPU', () => {
  const [mongod] = podOf().containers;
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
    expect(mongod[probe].tcpSocket).toEqual({ port: 'mongodb' });
  expect(patience(mongod).slice(1)).toEqual([
    [60, 5],
    [15, 5],
  ]);
});

test('all pods start at once, and are found before they are ready: a set is initiated only when all answer', () => {
  const { chart } = rendered();
  expect(objectOf(chart, 'StatefulSet').spec.podManagementPolicy).toBe('Parallel');
  expect(objectOf(chart, 'Service').spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
});

test('claims are kept after the set', () => {
  expect(objectOf(rendered().chart, 'StatefulSet').spec.persistentVolumeClaimRetentionPolicy).toEqual({
    whenDeleted: 'Retain',
    whenScaled: 'Retain',
  });
});

test('member 0 has the highest priority, so that the primary restarts last', () => {
  expect(membersOf({}).map((member: any) => member.priority)).toEqual([2, 1, 1]);
});

test('members from the eighth on hold copies and do not vote', () => {
  const members = membersOf({ members: 9 });
  expect(members.filter((member: any) => member.votes === 1)).toHaveLength(7);
  expect(members[8]).toMatchObject({ votes: 0, priority: 0 });
});

test('a delayed member is hidden, and does not vote; a hidden one votes, and never becomes primary', () => {
  const members = membersOf({ members: 6, memberOptions: { 4: { hidden: true }, 5: { delay: Duration.hours(1) } } });
  expect(members.slice(3).map(({ host: _, ...member }: any) => member)).toEqual([
    { _id: 3, votes: 1, priority: 1 },
    { _id: 4, votes: 1, priority: 0, hidden: true },
    { _id: 5, votes: 0, priority: 0, hidden: true, secondaryDelaySecs: 3600 },
  ]);
  const eight = membersOf({ members: 8, memberOptions: { 3: { delay: Duration.hours(1) } } });
  expect(eight.map(({ votes }: any) => votes)).toEqual([1, 1, 1, 0, 1, 1, 1, 1]);
});

test('no client URI contains a hidden member, and a change restarts no member', () => {
  const set = (memberOptions?: MongoReplicaSetProps['memberOptions']) => {
    const { chart, mongodb } = rendered({ memberOptions });
    new MicroserviceDeployment(chart, 'documents', { image: 'a:1' }).connectTo(mongodb, { database: 'documents' });
    const env = objectOf(chart, 'Deployment').spec.template.spec.containers[0].env;
    const users = objectOf(chart, 'ConfigMap', 'mongodb-users').data['users.json'];
    return {
      named: [env.at(-1).value.match(/mongodb-\d/g), JSON.parse(users).hosts.map((host: string) => host.slice(0, 9))],
      template: objectOf(chart, 'StatefulSet').spec.template,
    };
  };
  const { named, template } = set({ 1: { hidden: true } });
  expect(named).toEqual([
    ['mongodb-0', 'mongodb-2'],
    ['mongodb-0', 'mongodb-2'],
  ]);
  expect(template).toEqual(set().template);
});

test('a changed number of members restarts no mongod: the reconciler reads it at each round', () => {
  const template = (members: number) => objectOf(rendered({ members, pods: 3 }).chart, 'StatefulSet').spec.template;
  expect(template(1)).toEqual(template(3));
});

test('a missing mount stops the pod before the database starts empty; provisioned volumes need no check', () => {
  const local = DataStorage.localDisks(Size.gibibytes(10), { nodeOf: () => 'worker' });
  expect(podOf({ storage: local }).initContainers[0].name).toBe('check-data-mount');
  expect(podOf().initContainers[0].name).toBe('keyfile');
});

test('no value of a secret is rendered, and no password is in an argument', () => {
  const { chart, mongodb } = rendered();
  const text = yamlOf(chart);
  expect(text).not.toMatch(/password: (?!name)\S/i);
  for (const object of objects(chart))
    expect(
      JSON.stringify(object.spec?.template?.spec?.containers?.map((each: any) => each.command) ?? []),
    ).not.toContain('ROOT_PASSWORD');
  expect(mongodb.rootSecret.keys.password).toEqual({ generate: 'alphanumeric', length: 32 });
});

test('a client gets its own user and a URI with all members, and adds no object to the namespace of the database', () => {
  const { chart, mongodb } = rendered();
  const client = new MicroserviceDeployment(chart, 'documents', { image: 'a:1', namespace: 'services' });
  client.connectTo(mongodb, { database: 'documents' });
  const env = objectOf(chart, 'Deployment').spec.template.spec.containers[0].env;
  expect(env.map(({ name }: any) => name)).toEqual([
    'MONGODB_USERNAME',
    'MONGODB_PASSWORD',
    'MONGODB_PASSWORD_IN_URI',
    'MONGODB_DATABASE',
    'MONGODB_URI',
  ]);
  expect(env[4].value).toBe(
    'mongodb://$(MONGODB_USERNAME):$(MONGODB_PASSWORD_IN_URI)@mongodb-0.mongodb.mongodb.svc.cluster.local:27017,mongodb-1.mongodb.mongodb.svc.cluster.local:27017,mongodb-2.mongodb.mongodb.svc.cluster.local:27017/documents?replicaSet=rs0&authSource=admin&connectTimeoutMS=5000',
  );
  const secret = DeclaredSecret.all(chart).find(({ name }) => name === 'mongodb-documents')!;
  expect(secret.namespaces).toEqual(['mongodb', 'services']);
  expect(secret.keys['password-in-uri']).toEqual({ percentEncoded: 'password' });
  expect(
    objects(chart).filter(
      (object) => object.metadata.namespace === 'mongodb' && object.metadata.name.includes('documents'),
    ),
  ).toEqual([]);
});

test('a new client makes the users job run again and restarts no mongod', () => {
  const state = (withClient: boolean) => {
    const { chart, mongodb } = rendered();
    if (withClient)
      new MicroserviceDeployment(chart, 'documents', { image: 'a:1' }).connectTo(mongodb, { database: 'documents' });
    return { job: objectOf(chart, 'Job').metadata.name, template: objectOf(chart, 'StatefulSet').spec.template };
  };
  expect(state(true).job).not.toBe(state(false).job);
  expect(state(true).template).toEqual(state(false).template);
});

test('a user may read and write its own databases only', () => {
  const { chart, mongodb } = rendered();
  new MicroserviceDeployment(chart, 'documents', { image: 'a:1' }).connectTo(mongodb, { database: 'documents' });
  const { users } = JSON.parse(objectOf(chart, 'ConfigMap', 'mongodb-users').data['users.json']);
  expect(users).toEqual([
    {
      user: 'documents',
      usernameFrom: 'USERNAME_DOCUMENTS',
      passwordFrom: 'PASSWORD_DOCUMENTS',
      previousFrom: 'PREVIOUS_PASSWORD_DOCUMENTS',
      databases: ['documents'],
    },
  ]);
});

test('two clients of the same name need two users, and none may be named like a user of the set', () => {
  const { chart, mongodb } = rendered();
  const client = (namespace: string, name: string) =>
    new MicroserviceDeployment(chart, `${namespace}-${name}`, { name, image: 'a:1', namespace });
  client('prod', 'orders').connectTo(mongodb, { database: 'orders' });
  expect(() => client('staging', 'orders').connectTo(mongodb, { database: 'orders' })).toThrow(
    'must be its own, got "orders, that of mongodb/prod-orders too"; give the connection another user: { ..., user: \'orders-app\' }',
  );
  for (const name of ['root', 'keyfile'])
    expect(() => client('web', name).connectTo(mongodb, { database: 'x' })).toThrow('one that the database itself has');
});

test('the constructor rejects resources that are not quantities', () => {
  const resources = { memory: Size.gibibytes(5), cpu: 1 as unknown as Cpu };
  expect(() => new MongoReplicaSet(chartIn('db'), 'mongodb', { ...minimal, resources })).toThrow(
    'db/mongodb: cpu must be a Cpu',
  );
});

const wrong: [string, Partial<MongoReplicaSetProps>, string][] = [
  [
    'an even number of voters',
    { members: 2 },
    'members must be an odd number while all of them vote, got 2 (allowed: 1, 3, 5, 7, or 8 and more, of which only 7 vote); use 1 or 3',
  ],
  [
    'a delayed member that takes the third vote',
    { memberOptions: { 2: { delay: Duration.hours(1) } } },
    'members must leave an odd number of voters: a delayed member does not vote, got "3 members, 1 delayed" (allowed: 1, 3, 5 or 7 voters, or more members); use 4 members',
  ],
  [
    'a hidden member 0',
    { memberOptions: { 0: { hidden: true } } },
    'memberOptions.0 must be plain: ordinal 0 is the primary while it is healthy',
  ],
  [
    'hidden members that leave nobody to take over',
    { memberOptions: { 1: { hidden: true }, 2: { hidden: true } } },
    'memberOptions must leave two members that may become primary, got "1: a hidden member never becomes primary"',
  ],
  [
    'options of no member',
    { memberOptions: { 3: { hidden: true } } },
    'memberOptions.3 must be the ordinal of a member, got "3" (allowed: ordinals from 1 to 2)',
  ],
  [
    'a delayed member that clients see',
    { members: 4, memberOptions: { 3: { hidden: false, delay: Duration.hours(1) } } },
    'memberOptions.3.hidden must not be false when delay is set, got false; leave hidden out',
  ],
  [
    'a delay that is none',
    { members: 4, memberOptions: { 3: { delay: Duration.seconds(10) } } },
    'memberOptions.3.delay must be a Duration from 1 minute to 366 days, got "10 s" (allowed: whole seconds); write Duration.hours(1)',
  ],
  ['no members', { members: 0 }, 'members must be between 1 and 50, got 0'],
  [
    'fewer pods than members',
    { members: 3, pods: 1 },
    'pods must be at least as many as members, got "1 pods, 3 members"; lower members first',
  ],
  [
    'too little memory',
    { resources: { memory: Size.mebibytes(512), cpu: Cpu.millis(1) } },
    'mongod must have at least 1 GiB of memory, got 512Mi',
  ],
  [
    'a name that mongod would not take',
    { replicaSetName: 'a b' },
    'replicaSetName must be 1 to 48 letters, digits, _ and -, got "a b"',
  ],
  ['an image that moves', { image: 'mongo:latest' }, 'image must be an image with an exact version'],
];

test.each(wrong)('rejects %s', (_name, props, message) => {
  expect(() => rendered(props)).toThrow(message);
});

test.each(['admin', 'Local', 'a b', ''])('rejects the database name %p', (database) => {
  const { chart, mongodb } = rendered();
  expect(() => new MicroserviceDeployment(chart, 'a', { image: 'a:1' }).connectTo(mongodb, { database })).toThrow(
    'the name of a database must be',
  );
});

test('renders the smallest set', () => {
  expect(yamlOf(rendered({ members: 1 }).chart)).toMatchSnapshot();
});

test('renders the pods of a set with all options', () => {
  const { chart } = rendered({
    members: 5,
    storage: DataStorage.localDisks(Size.gibibytes(100), { nodeOf: () => 'talos-worker-02' }),
    placement: Placement.onNodesLabelled('storage-type', 'mongodb'),
    priorityClassName: 'database',
    pullSecrets: ['registry'],
    exporter: {
      image: 'exporter:1',
      port: 9216,
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      env: { MONGODB_URI: 'mongodb://127.0.0.1:27017' },
    },
  });
  expect(yamlOf([objectOf(chart, 'StatefulSet')])).toMatchSnapshot();
});

test('the claim template contains the defaults of the API server: Argo CD compares the list as a whole', () => {
  expect(objectOf(rendered().chart, 'StatefulSet').spec.volumeClaimTemplates[0]).toMatchObject({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    spec: { volumeMode: 'Filesystem' },
    status: { phase: 'Pending' },
  });
});

test('an exporter logs in with a password from a secret, and only its scraper may reach it', () => {
  const chart = chartIn('mongodb');
  const login = new DeclaredSecret(chart, 'login', {
    name: 'exporter',
    namespaces: [],
    keys: { password: { generate: 'alphanumeric', length: 32 } },
  });
  new MongoReplicaSet(chart, 'mongodb', {
    ...minimal,
    exporter: {
      image: 'exporter:1',
      port: 9216,
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(50) },
      env: { MONGODB_PASSWORD: login.key('password') },
      scrapedBy: { namespace: 'monitoring', labels: { app: 'prometheus' } },
    },
  });
  const { metadata, spec } = objectOf(chart, 'StatefulSet').spec.template;
  expect(spec.containers.at(-1).env).toEqual([
    { name: 'MONGODB_PASSWORD', valueFrom: { secretKeyRef: { name: 'exporter', key: 'password' } } },
  ]);
  expect(login.namespaces).toEqual(['mongodb']);
  expect(metadata.annotations).toMatchObject({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9216' });
  const rules = objectOf(chart, 'NetworkPolicy', 'mongodb').spec.ingress;
  expect(rules.filter(({ ports }: any) => ports[0].port === 9216)).toEqual([
    {
      from: [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
          podSelector: { matchLabels: { app: 'prometheus' } },
        },
      ],
      ports: [{ port: 9216, protocol: 'TCP' }],
    },
  ]);
});

test('only the pods in scrapedBy may read the metrics of reconcile; without them the port is closed', () => {
  const scrapedBy = { namespace: 'monitoring', labels: { app: 'prometheus' } };
  const { spec } = objectOf(rendered({ scrapedBy }).chart, 'NetworkPolicy', 'mongodb');
  expect(spec.ingress.filter(({ ports }: any) => ports[0].port === 7012)).toHaveLength(1);
  const reconcile = (props: Partial<MongoReplicaSetProps>) => podOf(props).containers[1];
  expect(reconcile({ scrapedBy }).env).toContainEqual({ name: 'METRICS_PORT', value: '7012' });
  expect(reconcile({}).env.map(({ name }: any) => name)).not.toContain('METRICS_PORT');
  const { annotations } = objectOf(rendered({ scrapedBy }).chart, 'StatefulSet').spec.template.metadata;
  expect(annotations['prometheus.io/port']).toBe('7012');
});

test("the owner's settings become mongod.conf; without settings there is no such file", () => {
  const config = { operationProfiling: { slowOpThresholdMs: 200 } };
  const { chart } = rendered({ config });
  const { data } = objectOf(chart, 'ConfigMap', 'mongodb');
  expect(JSON.parse(data['mongod.conf'])).toEqual(config);
  const [mongod] = podOf({ config }).containers;
  expect(mongod.command.at(-1)).toBe('--config=/config/mongod.conf');
  expect(mongod.volumeMounts).toContainEqual({ name: 'config', mountPath: '/config', readOnly: true });
  expect(podOf().containers[0].command.join(' ')).not.toContain('--config');
  expect(objectOf(rendered().chart, 'ConfigMap', 'mongodb').data).not.toHaveProperty(['mongod.conf']);
});

test('a changed setting restarts the members', () => {
  const checksum = (slowOpThresholdMs: number) =>
    objectOf(rendered({ config: { operationProfiling: { slowOpThresholdMs } } }).chart, 'StatefulSet').spec.template
      .metadata.annotations['checksum/script'];
  expect(checksum(200)).not.toBe(checksum(100));
});

test('rejects a setting that the construct sets, and a version that is not exact', () => {
  expect(() => rendered({ config: { security: { authorization: 'disabled' } } })).toThrow(
    'mongodb/mongodb: config must not set security: the construct sets it',
  );
  expect(() => rendered({ version: '8.0' })).toThrow('version must be an exact version of MongoDB');
  expect(podOf({ version: '7.0.37' }).containers[0].image).toBe('docker.io/library/mongo:7.0.37');
});

test('the feature compatibility version must be supported by the version, and restarts nothing', () => {
  const set = (featureCompatibilityVersion?: string) => rendered({ version: '8.0.26', featureCompatibilityVersion });
  const members = objectOf(set('7.0').chart, 'ConfigMap', 'mongodb').data['members.json'];
  expect(JSON.parse(members).featureCompatibilityVersion).toBe('7.0');
  expect(objectOf(set('8.0').chart, 'StatefulSet').spec.template).toEqual(
    objectOf(set().chart, 'StatefulSet').spec.template,
  );
  expect(() => set('6.0')).toThrow(
    'featureCompatibilityVersion must be one that MongoDB 8.0.26 supports, got "6.0" (allowed: 7.0, 8.0); first raise version',
  );
  expect(() => set('8')).toThrow('must be the major and minor version of a MongoDB');
  expect(() =>
    rendered({ image: 'own/mongod@sha256:' + '0'.repeat(64), featureCompatibilityVersion: '6.0' }),
  ).not.toThrow();
});

test('records a client that may only read; of two connections to one database the wider access counts', () => {
  const { chart, mongodb } = rendered();
  const client = new MicroserviceDeployment(chart, 'reports', { image: 'a:1' });
  client.connectTo(mongodb, { database: 'documents', access: 'read' });
  client.connectTo(mongodb, { database: 'reports', access: 'read', envPrefix: 'A' });
  client.connectTo(mongodb, { database: 'reports', envPrefix: 'B' });
  const { users } = JSON.parse(objectOf(chart, 'ConfigMap', 'mongodb-users').data['users.json']);
  expect(users[0]).toMatchObject({ databases: ['reports'], readOnly: ['documents'] });
});

test('a client may have further roles, limited to its own database', () => {
  const { chart, mongodb } = rendered();
  const client = new MicroserviceDeployment(chart, 'unifi', { image: 'a:1' });
  client.connectTo(mongodb, { database: 'unifi', access: ['readWrite', 'dbAdmin'] });
  client.connectTo(mongodb, { database: 'unifi_stat', access: 'dbOwner', envPrefix: 'STAT' });
  const { users } = JSON.parse(objectOf(chart, 'ConfigMap', 'mongodb-users').data['users.json']);
  expect(users[0]).toMatchObject({
    databases: ['unifi'],
    roles: [
      { role: 'dbAdmin', db: 'unifi' },
      { role: 'dbOwner', db: 'unifi_stat' },
    ],
  });
  for (const access of ['root', 'readWriteAnyDatabase', ['dbAdmin', 'clusterMonitor'], []] as any[])
    expect(() => client.connectTo(mongodb, { database: 'x', access, envPrefix: 'X' })).toThrow(
      "access must be roles limited to the client's own database, got",
    );
});

test('supports rotation: two alternating user names, and the previous password only for the job', () => {
  const { chart, mongodb } = rendered();
  new MicroserviceDeployment(chart, 'documents', { image: 'a:1' }).connectTo(mongodb, { database: 'documents' });
  const secret = DeclaredSecret.all(chart).find(({ name }) => name === 'mongodb-documents')!;
  expect(secret.keys.username).toEqual({ value: 'documents', alternate: 'documents_2' });
  const env = objectOf(chart, 'Job').spec.template.spec.containers[0].env;
  for (const [name, from] of [
    ['PREVIOUS_PASSWORD_DOCUMENTS', 'mongodb-documents'],
    ['PREVIOUS_ROOT_PASSWORD', 'mongodb-root'],
  ])
    expect(env).toContainEqual({
      name,
      valueFrom: { secretKeyRef: { name: from, key: 'previous-password', optional: true } },
    });
  const set = objectOf(chart, 'StatefulSet');
  expect(set.metadata.annotations['collab-homelab/reads-again']).toBe('mongodb-root');
  expect(set.spec.template.spec.volumes).toContainEqual({ name: 'root-login', secret: { secretName: 'mongodb-root' } });
});
