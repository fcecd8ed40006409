import { DatabaseLogins, type DataAccess } from './database-logins';
import { loginVariables, passwordVariable } from './env';

/** What the schema job brings the ring to. */
export interface CassandraSchema {
  readonly datacenter: string;
  /** Host names of all nodes: the job has them repair what got more copies. */
  readonly nodes: readonly string[];
  /** Copies of the keyspace that holds roles and rights. */
  readonly copies: number;
  /** Other datacenters of the ring, with the most copies that each can hold. */
  readonly elsewhere: readonly (readonly [string, number])[];
  /** Copies by name of keyspace. */
  readonly keyspaces: ReadonlyMap<string, number>;
  /** Keyspaces of each role by its name: it gets rights on those and on nothing else. */
  readonly roles: ReadonlyMap<string, ReadonlyMap<string, DataAccess>>;
}

/** The schema as `cassandra-schema.py` reads it. A password stands there by the variable that holds it. */
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
