import * as fs from 'node:fs';

/** The comment that the editor shows beside a property of an interface. */
function docstring(file: string, type: string, property: string): string {
  const text = fs.readFileSync(file, 'utf8');
  const body = text.slice(text.indexOf(`export interface ${type} `)).split('\n}\n')[0]!;
  const before = body.slice(0, body.search(new RegExp(`^  readonly ${property}\\??:`, 'm')));
  return before.slice(before.lastIndexOf('/**')).replace(/\s*\n\s*\*\s*/g, ' ');
}

/** Each identity that a rule of checks/step/data holds, and where an owner or a package user writes it. */
const IDENTITIES: Readonly<Record<string, readonly (readonly [file: string, type: string, property: string])[]>> = {
  name: [
    ['inventory/homelab.ts', 'Homelab', 'databases'],
    ['constructs/database.ts', 'DatabaseProps', 'name'],
  ],
  clusterName: [
    ['inventory/databases.ts', 'Cassandra', 'clusterName'],
    ['constructs/cassandra-stateful-set.ts', 'CassandraStatefulSetProps', 'clusterName'],
  ],
  datacenter: [
    ['inventory/databases.ts', 'Cassandra', 'datacenter'],
    ['constructs/cassandra-stateful-set.ts', 'CassandraStatefulSetProps', 'datacenter'],
  ],
  racks: [
    ['inventory/databases.ts', 'Cassandra', 'racks'],
    ['constructs/cassandra-stateful-set.ts', 'CassandraStatefulSetProps', 'racks'],
  ],
  replicaSet: [
    ['inventory/databases.ts', 'MongoDb', 'replicaSet'],
    ['constructs/mongo-replica-set.ts', 'MongoReplicaSetProps', 'replicaSetName'],
  ],
  storageClass: [['constructs/database.ts', 'DatabaseProps', 'storage']],
  networks: [
    ['inventory/homelab.ts', 'NetworkPlan', 'podCidr'],
    ['inventory/homelab.ts', 'NetworkPlan', 'serviceCidr'],
  ],
};

test.each(Object.values(IDENTITIES).flat())(
  '%s: the docs of %s.%s state that it may never change, and why',
  (...place) => {
    expect(docstring(...place)).toMatch(/May never change[^:]*: \w+/);
  },
);

test.each([
  ['inventory/databases.ts', 'Cassandra'],
  ['constructs/cassandra-stateful-set.ts', 'CassandraStatefulSetProps'],
])('%s: the docs of %s.nodesPerRack state that membersPerRack must be lowered first', (file, type) => {
  expect(docstring(file, type, 'nodesPerRack')).toMatch(
    /May never be lowered while the pods that leave are members: \w+/,
  );
});
