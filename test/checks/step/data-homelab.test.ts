import { Duration, Size } from 'cdk8s';
import * as change from './changes';
import { homelabStep, risksOf, told } from './steps';

const stored =
  (path: string, more: object = {}, target: object = {}): change.Change =>
  (h) =>
    (h.databases.mongodb.backup = {
      target: { kind: 'sftp', host: 'mac', user: 'backup', path, hostKeys: ['ssh-ed25519 AAAA'], ...target },
      ...more,
    });

const cases: readonly (readonly [string, change.Change, readonly string[], change.Change?])[] = [
  ['another cluster name', (h) => (h.databases.cassandra.clusterName = 'x'), ['cassandra.clusterName: collab -> x']],
  ['another datacenter', (h) => (h.databases.cassandra.datacenter = 'dc2'), ['cassandra.datacenter: dc1 -> dc2']],
  ['another replica set', (h) => (h.databases.mongodb.replicaSet = 'rs1'), ['mongodb.replicaSet: rs0 -> rs1']],
  ['a rack renamed', change.racks(['r1', 'r2', 'a']), ['cassandra.racks: r1, r2, r3 -> a, r1, r2']],
  ['a rack less', change.racks(['r1', 'r2']), ['cassandra.racks: r1, r2, r3 -> r1, r2']],
  ['a rack more', change.racks(['r1', 'r2', 'r3', 'r4']), ['cassandra.racks: r1, r2, r3 -> r1, r2, r3, r4']],
  ['racks in another order', (h) => (h.databases.cassandra.racks = ['r3', 'r1', 'r2']), []],
  ['more nodes per rack', change.nodesPerRack(2), []],
  ['fewer nodes per rack', () => undefined, ['cassandra.nodesPerRack: 2 -> 1'], change.nodesPerRack(2)],
  ['fewer nodes wanted, pods stay', change.nodesPerRack(2, 1), [], change.nodesPerRack(2)],
  ['nodes one commit after members', change.nodesPerRack(1), [], change.nodesPerRack(2, 1)],
  [
    'nodes below the committed members',
    change.nodesPerRack(1),
    ['cassandra.nodesPerRack: 3 -> 1'],
    change.nodesPerRack(3, 2),
  ],
  ['a first backup', stored('/backup'), []],
  ['backups more often', stored('/backup', { every: Duration.hours(1) }), [], stored('/backup')],
  [
    'backups to another place',
    stored('/other'),
    ['mongodb.backup: sftp:192.168.1.50:22:/backup/mongodb -> sftp:192.168.1.50:22:/other/mongodb'],
    stored('/backup'),
  ],
  [
    'backups to another machine, into a folder of the same name',
    stored('/backup', {}, { host: '192.168.1.60' }),
    ['mongodb.backup: sftp:192.168.1.50:22:/backup/mongodb -> sftp:192.168.1.60:22:/backup/mongodb'],
    stored('/backup'),
  ],
  ['backups by another user of the same folder', stored('/backup', {}, { user: 'other' }), [], stored('/backup')],
  [
    'no backups any more',
    () => undefined,
    ['mongodb.backup: sftp:192.168.1.50:22:/backup/mongodb -> none'],
    stored('/backup'),
  ],
  ['other repairs', (h) => (h.databases.cassandra.repairEvery = Duration.days(2)), []],
  ['3 members to 1 at once', change.members(1), ['mongodb.members: 3 members, 3 pods -> 1 member, 1 pod']],
  [
    '5 members to 1 at once',
    change.members(1),
    ['mongodb.members: 5 members, 5 pods -> 1 member, 1 pod'],
    change.members(5),
  ],
  [
    '5 members to 3 at once',
    change.members(3),
    ['mongodb.members: 5 members, 5 pods -> 3 members, 3 pods'],
    change.members(5),
  ],
  ['3 members to 1, pods stay', change.members(1, 3), []],
  ['pods one commit after members', change.members(1), [], change.members(1, 3)],
  [
    'a pod below the committed members',
    change.members(1, 1),
    ['mongodb.members: 3 members, 5 pods -> 1 member, 1 pod'],
    change.members(3, 5),
  ],
  [
    'a form of data that older versions do not read',
    change.compatibility('8.0'),
    ['mongodb.featureCompatibilityVersion: 7.0 -> 8.0'],
    change.compatibility('7.0'),
  ],
  [
    'the form of data is said for the first time',
    change.compatibility('8.0'),
    ['mongodb.featureCompatibilityVersion: none -> 8.0'],
  ],
  [
    'the form of data lowered',
    change.compatibility('7.0'),
    ['mongodb.featureCompatibilityVersion: 8.0 -> 7.0'],
    change.compatibility('8.0'),
  ],
  ['the form of data no longer said', () => undefined, [], change.compatibility('8.0')],
  ['3 members to 5', change.members(5), []],
  ['a hidden member', change.hidden({ hidden: true }), []],
  ['a hidden member becomes plain', () => undefined, [], change.hidden({ hidden: true })],
  ['a delayed member more', change.both(change.members(4), change.hidden({ delay: Duration.hours(1) }, 3)), []],
  [
    'another delay',
    change.both(change.members(4), change.hidden({ delay: Duration.hours(2) }, 3)),
    [],
    change.both(change.members(4), change.hidden({ delay: Duration.hours(1) }, 3)),
  ],
  [
    'settings and heap of Cassandra',
    (h) => Object.assign(h.databases.cassandra, { config: { concurrent_reads: 64 }, heap: Size.gibibytes(2) }),
    [],
  ],
  ['settings of MongoDB', (h) => (h.databases.mongodb.config = { net: { maxIncomingConnections: 500 } }), []],
  [
    'fewer copies of a keyspace',
    (h) => (h.databases.cassandra.keyspaces = { chat: { copies: 1 } }),
    ['cassandra.keyspaces.chat.copies: 3 -> 1'],
  ],
  ['a keyspace more', (h) => (h.databases.cassandra.keyspaces = { archive: {} }), []],
  ['a fix within a version', (h) => (h.databases.cassandra.version = '5.0.9'), []],
  ['an older version', (h) => (h.databases.cassandra.version = '5.0.6'), ['cassandra.version: 5.0.8 -> 5.0.6']],
  [
    'all disks elsewhere',
    change.moved('mongodb-0', 'mongodb-1', 'mongodb-2'),
    [
      'mongodb.disks: mongodb-0 on talos-worker-02, mongodb-1 on talos-worker-02, mongodb-2 on talos-worker-02 -> mongodb-0 on talos-worker-01, mongodb-1 on talos-worker-01, mongodb-2 on talos-worker-01',
    ],
  ],
  [
    'two disks elsewhere',
    change.moved('mongodb-0', 'mongodb-2'),
    [
      'mongodb.disks: mongodb-0 on talos-worker-02, mongodb-2 on talos-worker-02 -> mongodb-0 on talos-worker-01, mongodb-2 on talos-worker-01',
    ],
  ],
  ['one disk of three elsewhere', change.moved('mongodb-2'), []],
  [
    'the only disk elsewhere',
    change.both(change.members(1), change.moved('mongodb-0')),
    ['mongodb-0.machine: talos-worker-02 -> talos-worker-01'],
    change.members(1),
  ],
  ['an active database deleted', change.deleted, ['mongodb.state: active -> deleted']],
  ['a database retired', change.retired, []],
  ['a retired database deleted', change.deleted, [], change.retired],
  [
    'a replica set renamed while it retires',
    change.both(change.retired, (h) => (h.databases.mongodb.replicaSet = 'rs1')),
    ['mongodb.replicaSet: rs0 -> rs1'],
  ],
  [
    'a replica set that comes back under another name',
    (h) => (h.databases.mongodb.replicaSet = 'rs1'),
    ['mongodb.replicaSet: rs0 -> rs1'],
    change.retired,
  ],
  ['a replica set that comes back smaller', change.members(1), ['mongodb.members: 3 -> 1'], change.retired],
  ['a replica set that comes back', () => undefined, [], change.retired],
  ['a retired database back', () => undefined, [], change.retired],
  ['smaller disks', change.diskSize(50), ['cassandra.diskSize: 100Gi -> 50Gi']],
  ['larger disks', change.diskSize(150), ['cassandra.diskSize: 100Gi -> 150Gi']],
  ['a database renamed', change.renamed, ['cassandra.name: cassandra -> ring']],
  ['a keyspace nobody asks for', (h) => (h.services.chat.connects = []), []],
  ['a new keyspace', (h) => h.services.identity.connects.push({ cassandra: 'cassandra', keyspace: 'new' }), []],
  ['more memory', (h) => (h.databases.mongodb.memory = Size.gibibytes(3)), []],
  ['the homelab renamed', (h) => (h.name = 'other'), []],
  ['keys in another order', (h) => (h.services = Object.fromEntries(Object.entries(h.services).reverse())), []],
];

test.each(cases.map(([name, after, expected, before]) => ({ name, after, expected, before })))(
  '$name',
  ({ after, expected, before }) => expect(told(homelabStep(after, before))).toEqual(expected),
);

test('renaming a machine moves every disk of its database', () => {
  const step = homelabStep((h) => {
    const { [change.CASSANDRA_NODE]: machine, ...others } = h.machines;
    h.machines = { ...others, other: machine };
  });
  expect(risksOf(step).map(({ what }) => what)).toEqual(['cassandra.disks']);
});

test('each risk gives its reason, the safe way in commits, the section of the docs, and its objects', () => {
  const [risk] = risksOf(homelabStep(change.members(1)));
  expect(risk).toMatchObject({
    verdict: 'data',
    docs: 'docs/change.md#members',
    objects: ['apps/StatefulSet mongodb/mongodb'],
    problem:
      'mongodb-1 and mongodb-2 end at once while they are members of the set: 1 of 3 voters stays, which is no majority, so the set cannot elect a primary and takes no writes.',
  });
  expect(risk!.way).toEqual([
    'first commit: members: 1, pods: 3. The primary removes one member after the other',
    expect.stringMatching(/^check: kubectl -n mongodb logs .* until the primary says "as wanted" with one host$/),
    'second commit: remove pods again (1); the pods that end are then no members',
  ]);
  const [racks] = risksOf(homelabStep(change.racks(['r1', 'r2', 'r3', 'r4'])));
  expect(racks!.way!.join(' ')).toContain('raise nodesPerRack');
});
