import { Size, type App, type Chart } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  CassandraStatefulSet,
  DataStorage,
  Env,
  HashNamedJob,
  InternetAccess,
  MicroserviceDeployment,
  MongoReplicaSet,
  OutsideAddress,
  type EnvValue,
} from '../../constructs';
import { ipv4, ipv4Network, overlaps } from '../../values/names';
import { NOT_PUBLIC, notPublic } from '../../values/ways-out';
import { environmentOf } from './kubelet';
import { chartIn, objectOf } from './render';

const image = 'ghcr.io/owner/documents:1.4.2';
const resources = { memory: Size.gibibytes(4), cpu: Cpu.units(1) };
const storage = DataStorage.storageClass(Size.gibibytes(10), 'standard');

function service(env: Record<string, EnvValue> = {}) {
  const chart = chartIn();
  return { chart, client: new MicroserviceDeployment(chart, 'documents', { image, env }) };
}

const synthesized = (chart: Chart) => () => (chart.node.root as App).synthYaml();
const variables = (chart: Chart) =>
  environmentOf(objectOf(chart, 'Deployment', 'documents').spec.template.spec.containers[0]);

test('networks that are no public addresses lie strictly inside 0.0.0.0/0, and do not overlap', () => {
  const networks = NOT_PUBLIC.map((cidr) => ipv4Network(cidr)!);
  expect(networks).not.toContain(undefined);
  expect(NOT_PUBLIC).not.toContain('0.0.0.0/0');
  networks.forEach((network, index) =>
    expect(networks.slice(0, index).filter((other) => overlaps(network, other))).toEqual([]),
  );
});

// From the IANA IPv4 Special-Purpose Address Registry, and addresses of well-known public servers.
test.each([
  ['10.96.0.1', false],
  ['192.168.1.1', false],
  ['172.31.255.255', false],
  ['169.254.169.254', false],
  ['100.100.100.100', false],
  ['127.0.0.1', false],
  ['198.19.0.1', false],
  ['203.0.113.7', false],
  ['239.255.255.250', false],
  ['255.255.255.255', false],
  ['0.0.0.0', false],
  ['1.1.1.1', true],
  ['8.8.8.8', true],
  ['17.188.143.1', true],
  ['172.32.0.1', true],
  ['100.128.0.1', true],
  ['192.31.196.1', true],
  ['192.175.48.1', true],
  ['223.255.255.255', true],
])('%s is public: %p', (address, expected) => {
  const number = ipv4(address)!;
  const excluded = notPublic().some((cidr) => overlaps(ipv4Network(cidr)!, { first: number, last: number }));
  expect(!excluded).toBe(expected);
});

test('further networks are added once, and only where the list does not contain them', () => {
  expect(notPublic(['10.244.0.0/16', '20.0.0.0/8', '20.0.0.0/8'])).toEqual([...NOT_PUBLIC, '20.0.0.0/8']);
});

test('an address gives variables of its name, or under the names that an image wants', () => {
  const { chart, client } = service({ PGHOST: Env.from('ledger', 'host'), PGPORT: Env.from('ledger', 'port') });
  client.connectTo(new OutsideAddress({ address: '192.168.1.40', port: 5432 }), { as: 'ledger' });
  expect(variables(chart)).toEqual({
    LEDGER_HOST: '192.168.1.40',
    LEDGER_PORT: '5432',
    PGHOST: '192.168.1.40',
    PGPORT: '5432',
  });
});

test('a field that only Env.from asks for renders nothing otherwise', () => {
  const { chart, client } = service();
  client.connectTo(new MongoReplicaSet(chart, 'mongodb', { storage, resources }), { database: 'documents' });
  expect(Object.keys(variables(chart))).toEqual([
    'MONGODB_USERNAME',
    'MONGODB_PASSWORD',
    'MONGODB_PASSWORD_IN_URI',
    'MONGODB_DATABASE',
    'MONGODB_URI',
  ]);
});

test('Env.from works in a job, and text may refer to its variable', () => {
  const chart = chartIn('db');
  const job = new HashNamedJob(chart, 'job', {
    name: 'import',
    namespace: 'db',
    image,
    command: ['import', '--into=$(KEYSPACE)'],
    resources,
    user: 999,
    reads: {},
  });
  job.addEnv({ KEYSPACE: Env.from('ring', 'keyspace'), LOG: '$(KEYSPACE).log' });
  job.connectTo(new CassandraStatefulSet(chart, 'ring', { clusterName: 'shop', storage, resources }), {
    keyspace: 'shop',
  });
  const given = environmentOf(
    chart.toJson().find(({ kind, metadata }) => kind === 'Job' && metadata.name.startsWith('import-')).spec.template
      .spec.containers[0],
  );
  expect(given).toMatchObject({ KEYSPACE: 'shop', LOG: 'shop.log' });
});

test('two services under one name each, and a connection to the same service under two names', () => {
  const { chart, client } = service();
  const search = new MicroserviceDeployment(chart, 'search', { image, port: 7700 });
  client.connectTo(search);
  client.connectTo(search, { as: 'full-text' });
  expect(variables(chart)).toMatchObject({ SEARCH_PORT: '7700', FULL_TEXT_PORT: '7700' });
});

test.each<[string, (client: MicroserviceDeployment) => void, string]>([
  [
    'a DNS name',
    (client) => client.connectTo(new OutsideAddress({ address: 'nas', port: 1 }), { as: 'nas' }),
    'apps/documents: address must be an IPv4 address, got "nas"; give the machine a fixed address',
  ],
  [
    'an address without a name',
    (client) => client.connectTo(new OutsideAddress({ address: '192.168.1.4', port: 1 }), {} as never),
    '`as` must be the name of a connection, got nothing',
  ],
  [
    'the internet without a reason',
    (client) => client.connectTo(new InternetAccess({ ports: [443] } as never)),
    'because must be the reason for the way out, in words, got nothing',
  ],
  [
    'a network of its own that is none',
    (client) => client.connectTo(new InternetAccess({ ports: [443], because: 'push', except: ['20.0.0.1/8'] })),
    'got "20.0.0.1/8"',
  ],
  [
    'a prefix that starts with a digit',
    (client) =>
      client.connectTo(new OutsideAddress({ address: '192.168.1.4', port: 1 }), { as: 'nas', envPrefix: '2ND' }),
    '`envPrefix` must be 1 to 50 letters, digits and _, not starting with a digit, got "2ND"',
  ],
  [
    'a port that the target does not have',
    (client) => {
      const ports = { http: 3000, ssh: { port: 2222, protocol: 'tcp' } } as const;
      client.connectTo(new MicroserviceDeployment(client, 'forge', { image, ports }), { port: 'shh' });
    },
    'a connection must name a port of its target, got "shh" (allowed: http, ssh)',
  ],
  [
    'one name for two connections',
    (client) => {
      client.connectTo(new OutsideAddress({ address: '192.168.1.4', port: 1 }), { as: 'nas' });
      client.connectTo(new OutsideAddress({ address: '192.168.1.5', port: 1 }), { as: 'nas' });
    },
    '`as` must be the name of one connection, got "nas"; give one of the two another name',
  ],
])('rejects %s with a fix', (_name, connect, message) => {
  expect(() => connect(service().client)).toThrow(message);
});

test.each<[Record<string, EnvValue>, string]>([
  [{ A: Env.from('nas', 'host') }, 'environment variable A must take its value from a connection of the same service'],
  [{ A: Env.from('ledger', 'uri') }, 'got "uri" (allowed: host, port, address)'],
])('rejects %j at synthesis', (env, message) => {
  const { chart, client } = service(env);
  client.connectTo(new OutsideAddress({ address: '192.168.1.40', port: 5432 }), { as: 'ledger' });
  expect(synthesized(chart)).toThrow(message);
});

test('an exception outside of its network is refused, as the API server would', () => {
  const { client } = service();
  for (const except of ['10.0.0.0/8', '192.168.0.0/15', '192.168.0.0/16'])
    expect(() => client.connections.allowTo({ cidr: '192.168.0.0/16', except: [except] }, { port: 1 })).toThrow(
      `got "${except}" (allowed: A.B.C.D/N without host bits); except only networks inside 192.168.0.0/16`,
    );
});
