import { ApiObject } from 'cdk8s';
import { homelabApp, type OwnChart } from '../../charts';
import { Env, defineHomelab, type Homelab } from '../../inventory';
import { picture, render } from '../../synth';
import { environmentOf } from '../constructs/kubelet';
import { changed, ofKind, refusal, renderedHomelab } from '../homelab';

const LEDGER = { address: '192.168.1.40', port: 5432, as: 'ledger' };
const container = (change: (h: any) => void, name = 'chat') =>
  ofKind(renderedHomelab(change), 'Deployment').find(({ metadata }) => metadata.name === name)!.spec.template.spec
    .containers[0];
const connect = (connection: unknown) => (h: any) => h.services.chat.connects.push(connection);
const env = (variables: unknown) => (h: any) => (h.services.chat.env = variables);

/** What an owner may get wrong with connections and variables, and the sentence that says what to do. */
const broken: [string, (homelab: any) => void, string][] = [
  [
    'a port alone for the internet',
    connect({ internet: 443, because: 'push notifications' }),
    'services.chat.connects[1].internet must be a list of 1 to 100 ports, got 443; write it like [443]',
  ],
  ['no port for the internet', connect({ internet: [], because: 'push' }), 'must be a list of 1 to 100 ports, got []'],
  [
    'a port out of range for the internet',
    connect({ internet: [443, 70000], because: 'push' }),
    'services.chat.connects[1].internet[1] must be a port, got 70000 (allowed: 1 to 65535)',
  ],
  [
    'a protocol that policies cannot hold',
    connect({ internet: [{ port: 443, protocol: 'quic' }], because: 'push' }),
    `must be a port, or a port with its protocol, got {"port":443,"protocol":"quic"} (allowed: protocol: 'tcp' or 'udp')`,
  ],
  [
    'the internet without a reason',
    connect({ internet: [443] }),
    'services.chat.connects[1].because must be the reason for the way out, in words, but it is missing',
  ],
  ['a reason without a letter', connect({ internet: [443], because: '...' }), 'because must be the reason'],
  ['a reason of two lines', connect({ internet: [443], because: 'push\nnotes' }), 'because must be the reason'],
  [
    'a DNS name for an address',
    connect({ ...LEDGER, address: 'ledger.home.arpa' }),
    'services.chat.connects[1].address must be an IPv4 address, got "ledger.home.arpa"; give the machine a fixed address and write that: a NetworkPolicy cannot hold names.',
  ],
  [
    'a network for an address',
    connect({ ...LEDGER, address: '192.168.1.0/24' }),
    'must be an IPv4 address, got "192.168.1.0/24"; write it like 192.168.1.40, one address without a network',
  ],
  ...['127.0.0.1', '169.254.169.254', '224.0.0.1', '0.0.0.0', '255.255.255.255'].map(
    (address): [string, (h: any) => void, string] => [
      `the address ${address}`,
      connect({ ...LEDGER, address }),
      `services.chat.connects[1].address must be an address of another machine, got "${address}"`,
    ],
  ),
  [
    'the address of a pod',
    connect({ ...LEDGER, address: '10.244.0.7' }),
    'services.chat.connects[1].address must lie outside of network.podCidr 10.244.0.0/16',
  ],
  [
    'an address without a name',
    connect({ address: '192.168.1.40', port: 5432 }),
    'services.chat.connects[1].as must be the name of a connection, but it is missing',
  ],
  ['a name that is no name', connect({ ...LEDGER, as: 'Ledger 1' }), '.as must be the name of a connection'],
  [
    'two connections of one name',
    (h) => h.services.chat.connects.push(LEDGER, { service: 'search', as: 'ledger' }),
    'services.chat.connects[2].as must be used once, got "ledger, which services.chat.connects[1].as has"',
  ],
  [
    'two keyspaces without a name',
    connect({ cassandra: 'cassandra', keyspace: 'other' }),
    "give one of the connections a name of its own, as { cassandra: 'cassandra', ..., as: 'other' }",
  ],
  [
    'a field that a connection does not have',
    env({ DB: Env.from('cassandra', 'uri') }),
    'services.chat.env.DB must take a field that the connection cassandra has, got "uri" (allowed: contactPoints, port, localDatacenter, keyspace, username, password)',
  ],
  [
    'an unknown word of Env.pod',
    env({ IP: Env.pod('adress' as 'ip') }),
    'must take what a pod knows of itself, got "adress" (allowed: ip, name, namespace, node)',
  ],
  [
    'a misspelt connection',
    env({ DB: Env.from('casandra', 'port') }),
    'services.chat.env.DB must take its value from a connection of the same service, got "casandra" (allowed: cassandra); did you mean cassandra?',
  ],
  [
    'a name of two connections',
    (h) => {
      h.services.chat.connects.push({ cassandra: 'cassandra', keyspace: 'other', envPrefix: 'OTHER' });
      h.services.chat.env = { DB: Env.from('cassandra', 'port') };
    },
    `services.chat.env.DB must take its value from one connection, got "cassandra, the name of 2 connections"; give one of them a name of its own: { ..., as: 'other' }`,
  ],
  [
    'the key of a gateway that does not exist',
    (h) => (h.services.search.env = { OPENAI_API_KEY: Env.from('embeddings', 'apiKey') }),
    'services.search.env.OPENAI_API_KEY must take a field that the connection embeddings has, got "apiKey" (allowed: host, port, baseUrl, model)',
  ],
  [
    'a field of the internet',
    (h) => {
      h.services.chat.connects.push({ internet: [443], because: 'push' });
      h.services.chat.env = { A: Env.from('internet', 'host') };
    },
    'must take a field that the connection internet has, got "host" (allowed: it has none)',
  ],
  [
    'a database for a field that has none',
    (h) => (h.services.identity.env = { A: Env.from('mongodb', 'hosts', { database: 'local' }) }),
    'services.identity.env.A must name a database only with the field uri of a MongoDB',
  ],
  ['an empty name of a variable', env({ '': 'x' }), 'must be the name of an environment variable, got ""'],
  ['a name with =', env({ 'A=B': 'x' }), 'got "A=B" (allowed: printable ASCII characters other than =)'],
  ['a name with an umlaut', env({ GRÖSSE: 'x' }), 'allowed: printable ASCII characters other than ='],
  [
    'a name that an older API server refuses',
    (h) => {
      h.versions.kubernetes = 'v1.31.4';
      h.services.chat.env = { 'Logging:Level': 'x' };
    },
    'must be the name of an environment variable, got "Logging:Level" (allowed: letters, digits, _, - and ., not starting with a digit or .. in Kubernetes v1.31.4); rename it, or use Kubernetes 1.32 or newer',
  ],
  [
    'a role on the oplog alone',
    (h) => (h.services.identity.connects[0].access = [{ role: 'read', database: 'local' }]),
    "services.identity.connects[0].access must be roles limited to the client's own database",
  ],
  [
    'a role on a database of everyone',
    (h) => (h.services.identity.connects[0].access = ['readWrite', { role: 'readWrite', database: 'admin' }]),
    "besides one of these { role: 'read', database: 'local' } and { role: 'clusterMonitor', database: 'admin' }",
  ],
];

const FORGE = {
  image: 'codeberg.org/forgejo/forgejo:12.0.0',
  ports: { http: 3000, ssh: { port: 2222, service: 22, protocol: 'tcp' }, events: { port: 9000, protocol: 'grpc' } },
  connects: [],
};
const forge =
  (connection: object, image: string | undefined = FORGE.image) =>
  (h: any) => {
    h.services.forge = image === undefined ? { connects: [] } : FORGE;
    h.services.chat.connects.push({ service: 'forge', ...connection });
  };

broken.push(
  [
    'a port that the target does not have',
    forge({ port: 'shh' }),
    'services.chat.connects[1].port must be a port of forge, got "shh" (allowed: http, ssh, events); did you mean ssh?',
  ],
  [
    'a port of the stand-in',
    (h) => {
      h.services.forge = { connects: [] };
      h.services.chat.connects.push({ service: 'forge', port: 'ssh' });
    },
    'services.chat.connects[1].port must be a port of forge, got "ssh" (allowed: http); set services.forge.image: the stand-in has one port',
  ],
  [
    'a number for the name of a port',
    forge({ port: 22 }),
    'services.chat.connects[1].port must be the name of a port, got 22',
  ],
  [
    'two ports of one service without a name',
    (h) => {
      forge({})(h);
      forge({ port: 'ssh' })(h);
    },
    "services.chat.connects[2] must set environment variables of its own, got \"FORGE_HOST, which services.chat.connects[1] sets\"; give one of the connections a name of its own, as { service: 'forge', ..., as: 'other' }",
  ],
  [
    'the URL of a port that speaks no HTTP',
    (h) => {
      forge({ port: 'ssh' })(h);
      h.services.chat.env = { FORGE: Env.from('forge', 'url') };
    },
    'services.chat.env.FORGE must take a field that the connection forge has, got "url" (allowed: host, port, address)',
  ],
  [
    'a web app that is a service',
    connect({ service: 'search', namespace: 'web' }),
    'services.chat.connects[1].service must be another web app of this homelab, got "search" (allowed: web, admin)',
  ],
  [
    'the namespace of a database',
    connect({ service: 'mongodb', namespace: 'mongodb' }),
    "services.chat.connects[1].namespace must be that of a chart of your own, or web, got \"mongodb, the namespace of a database, with service mongodb\"; connect to the database: { mongodb: 'mongodb', database: '...' }",
  ],
);

test.each(broken)('rejects %s with a fix', (_name, breakIt, message) => {
  expect(refusal(breakIt)).toContain(message);
});

test.each(['Logging__Level', 'app.setting', 'SPRING-X', 'Logging:Level', 'a b', '0_FIRST'])(
  'accepts the variable %s in Kubernetes 1.36',
  (name) => {
    expect(container(env({ [name]: 'x' })).env).toContainEqual({ name, value: 'x' });
  },
);

test('a connection has the variables of its name, and two of a kind do not collide', () => {
  const given = environmentOf(
    container((h) => {
      h.services.chat.connects.push(
        { cassandra: 'cassandra', keyspace: 'archive', as: 'old-chat' },
        LEDGER,
        { ...LEDGER, port: { port: 514, protocol: 'udp' }, as: 'syslog' },
        { model: 'chat', as: 'helper' },
      );
      h.services.chat.env = { LEDGER_ADDR: Env.from('ledger', 'address'), KS: Env.from('old-chat', 'keyspace') };
    }),
  );
  expect(given).toMatchObject({
    CASSANDRA_KEYSPACE: 'chat',
    OLD_CHAT_KEYSPACE: 'archive',
    OLD_CHAT_USERNAME: '<cassandra-chat/username>',
    LEDGER_HOST: '192.168.1.40',
    LEDGER_PORT: '5432',
    LEDGER_ADDR: '192.168.1.40:5432',
    SYSLOG_PORT: '514',
    HELPER_MODEL: expect.any(String),
    KS: 'archive',
  });
});

test('gives a program the names that it wants: an oplog URL with the same login', () => {
  const change = (h: any) => {
    h.services.identity.connects[0].access = ['readWrite', { role: 'read', database: 'local' }];
    h.services.identity.env = {
      MONGO_URL: Env.from('mongodb', 'uri'),
      MONGO_OPLOG_URL: Env.from('mongodb', 'uri', { database: 'local' }),
      DB_PASSWORD: Env.from('mongodb', 'password'),
      DB_HOSTS: Env.from('mongodb', 'hosts'),
      DB_SET: Env.from('mongodb', 'replicaSet'),
    };
  };
  const secrets = { 'mongodb-identity/username': 'identity', 'mongodb-identity/password-in-uri': 'p%40ss' };
  const given = environmentOf(container(change, 'identity'), secrets);
  expect(given.MONGO_URL).toBe(given.MONGODB_URI);
  expect(given.MONGO_OPLOG_URL).toBe(given.MONGODB_URI!.replace('/identity?', '/local?'));
  expect(given.MONGO_OPLOG_URL).toMatch(/^mongodb:\/\/identity:p%40ss@.*\/local\?replicaSet=rs0&authSource=admin/);
  expect(given.DB_PASSWORD).toBe('<mongodb-identity/password>');
  expect(given.MONGODB_URI).toContain(`@${given.DB_HOSTS}/identity?replicaSet=${given.DB_SET}&`);
  const users = ofKind(renderedHomelab(change), 'ConfigMap').find(({ data }) => data['users.json'])!.data['users.json'];
  expect(JSON.parse(users).users.find(({ user }: any) => user === 'identity')).toMatchObject({
    databases: ['identity'],
    roles: [{ role: 'read', db: 'local' }],
  });
});

test('a database on which the login has no role is refused', () => {
  expect(() =>
    renderedHomelab((h) => (h.services.identity.env = { OPLOG: Env.from('mongodb', 'uri', { database: 'local' }) })),
  ).toThrow(
    `environment variable OPLOG must name a database on which the login of mongodb has a role, got "local"; give it one: access: ['readWrite', { role: 'read', database: 'local' }]`,
  );
});

test('the internet is opened without the networks of the homelab, with the reason', () => {
  const rendering = renderedHomelab((h) => {
    h.network.podCidr = '20.0.0.0/16';
    h.services.chat.connects.push(
      { internet: [443, { port: 3478, protocol: 'udp' }], because: 'push notifications' },
      { internet: [443], because: 'link previews' },
      { ...LEDGER, because: 'the books of the house' },
    );
  });
  const policy = ofKind(rendering, 'NetworkPolicy').find(({ metadata }) => metadata.name === 'chat')!;
  const blocks = policy.spec.egress.filter(({ to }: any) => to?.[0].ipBlock);
  expect(blocks).toHaveLength(2);
  const [internet, ledger] = blocks;
  expect(internet.to[0].ipBlock.cidr).toBe('0.0.0.0/0');
  expect(internet.to[0].ipBlock.except).toEqual(
    expect.arrayContaining(['10.0.0.0/8', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10', '20.0.0.0/16']),
  );
  expect(internet.ports).toEqual([
    { port: 443, protocol: 'TCP' },
    { port: 3478, protocol: 'UDP' },
  ]);
  expect(ledger).toEqual({ to: [{ ipBlock: { cidr: '192.168.1.40/32' } }], ports: [{ port: 5432, protocol: 'TCP' }] });
  expect(policy.metadata.annotations).toEqual({
    'collab-homelab/because': [
      '192.168.1.40 TCP 5432: the books of the house',
      'internet TCP 443: link previews',
      'internet TCP 443: push notifications',
      'internet UDP 3478: push notifications',
    ].join('\n'),
  });
});

test('a homelab with all kinds of connections is accepted', () => {
  const written = changed((h) => {
    h.services.chat.connects.push({ internet: [443], because: 'push' }, LEDGER);
  });
  expect(defineHomelab(written as Homelab)).toEqual(written);
});

test('a connection leads to a port by name, and the policies of both sides follow', () => {
  const rendering = renderedHomelab((h) => {
    forge({ port: 'ssh', as: 'git' })(h);
    forge({ port: 'events' })(h);
    h.services.search.connects.push({ service: 'forge' });
  });
  const of = (kind: string, name: string) => ofKind(rendering, kind).find(({ metadata }) => metadata.name === name)!;
  const given = environmentOf(of('Deployment', 'chat').spec.template.spec.containers[0]);
  expect(given).toMatchObject({ GIT_PORT: '22', FORGE_PORT: '9000' });
  expect(Object.keys(given).filter((name) => name.endsWith('_URL'))).toEqual([]);
  expect(environmentOf(of('Deployment', 'search').spec.template.spec.containers[0]).FORGE_URL).toBe(
    'http://forge.services.svc.cluster.local:3000',
  );
  const ports = (rules: any[], peer: string, side: string) =>
    rules.find((rule) => rule[side]?.[0].podSelector?.matchLabels?.['app.kubernetes.io/instance'] === peer)!.ports;
  const both = [
    { port: 2222, protocol: 'TCP' },
    { port: 9000, protocol: 'TCP' },
  ];
  expect(ports(of('NetworkPolicy', 'chat').spec.egress, 'forge', 'to')).toEqual(both);
  expect(ports(of('NetworkPolicy', 'forge').spec.ingress, 'chat', 'from')).toEqual(both);
  expect(ports(of('NetworkPolicy', 'forge').spec.ingress, 'search', 'from')).toEqual([{ port: 3000, protocol: 'TCP' }]);
});

test('a service reaches a web app, and a Service of a chart of the owner', () => {
  const lab = defineHomelab(
    changed((h) =>
      h.services.chat.connects.push(
        { service: 'admin', namespace: 'web' },
        { service: 'redis', namespace: 'cache', port: 'redis', as: 'queue' },
      ),
    ) as Homelab,
  );
  const labels = { app: 'redis' };
  const cache: OwnChart = {
    name: 'cache',
    make: (chart) => {
      new ApiObject(chart, 'service', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'redis' },
        spec: { selector: labels, ports: [{ name: 'redis', port: 6379, targetPort: 16379 }] },
      });
    },
  };
  const rendering = render(homelabApp(lab, { charts: [cache] }));
  const of = (kind: string, name: string) => ofKind(rendering, kind).find(({ metadata }) => metadata.name === name)!;
  const given = environmentOf(of('Deployment', 'chat').spec.template.spec.containers[0]);
  expect(given).toMatchObject({
    ADMIN_HOST: 'admin.web.svc.cluster.local',
    QUEUE_HOST: 'redis.cache.svc.cluster.local',
    QUEUE_PORT: '6379',
  });
  expect(JSON.stringify(of('NetworkPolicy', 'chat').spec.egress)).toContain('"port":16379');
  expect(picture(lab)).toContain('>cache/redis</text>');
});

test('a namespace that is no chart of the owner is refused', () => {
  expect(() => renderedHomelab(connect({ service: 'redis', namespace: 'cache' }))).toThrow(
    'the namespace of a connection to a service must be that of a chart of your own, got "cache" (allowed: none exists)',
  );
});
