import { DatabaseLogins, type DataAccess } from './database-logins';
import { loginVariables, passwordVariable } from './env';

/** The schema that the schema job applies to the ring. */
export interface CassandraSchema {
  readonly datacenter: string;
  /** Host names of all nodes: the job makes them repair keyspaces that got more replicas. */
  readonly nodes: readonly string[];
  /** Replication factor of the keyspace that holds roles and permissions. */
  readonly copies: number;
  /** Other datacenters of the ring, with the most copies that each can hold. */
  readonly elsewhere: readonly (readonly [string, number])[];
  /** Replication factor by keyspace. */
  readonly keyspaces: ReadonlyMap<string, number>;
  /** Keyspaces of each role by its name: the role gets permissions only on these. */
  readonly roles: ReadonlyMap<string, ReadonlyMap<string, DataAccess>>;
}

/** The schema as `cassandra-schema.py` reads it. It contains names of environment variables instead of passwords. */
export function schemaJson({ keyspaces, roles, elsewhere, ...schema }: CassandraSchema): string {
  const clients = inOrder(roles).map(([role, uses]) => {
    const { own, readOnly } = DatabaseLogins.parted(uses);
    return [role, { ...loginVariables(role), passwordFrom: passwordVariable(role), keyspaces: own, readOnly }];
  });
  return `${JSON.stringify(
    {
      ...schema,
      ...(elsewhere.length > 0 && { elsewhere: Object.fromEntries(elsewhere) }),
      keyspaces: Object.fromEntries(inOrder(keyspaces)),
      roles: Object.fromEntries(clients),
    },
    null,
    2,
  )}\n`;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
