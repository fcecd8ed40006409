import { passwordVariable } from './env';

/** The CQL that the schema job runs. `@NAME@` stands for a password, which the job puts in from its environment. */

/** Run once as the default superuser, which the schema then disables. */
export function adminCql(datacenter: string, copies: number): string {
  return [
    `ALTER KEYSPACE system_auth WITH replication = ${replication(datacenter, copies)};`,
    "CREATE ROLE IF NOT EXISTS admin WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '@ADMIN_PASSWORD@';",
    '',
  ].join('\n');
}

/**
 * Run as admin, any number of times.
 * @param keyspaces copies by name
 * @param roles keyspaces of each role by its name: it gets rights on those and on nothing else
 */
export function schemaCql(
  datacenter: string,
  keyspaces: ReadonlyMap<string, number>,
  roles: ReadonlyMap<string, ReadonlySet<string>>,
): string {
  return [
    'ALTER ROLE cassandra WITH SUPERUSER = false AND LOGIN = false;',
    ...inOrder(keyspaces).map(
      ([keyspace, copies]) =>
        `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ${replication(datacenter, copies)} AND durable_writes = true;`,
    ),
    ...inOrder(roles).flatMap(([role, own]) => [
      `CREATE ROLE IF NOT EXISTS "${role}" WITH LOGIN = true AND PASSWORD = '@${passwordVariable(role)}@';`,
      `ALTER ROLE "${role}" WITH PASSWORD = '@${passwordVariable(role)}@';`,
      ...[...own]
        .sort()
        .flatMap((keyspace) =>
          ['CREATE', 'ALTER', 'SELECT', 'MODIFY'].map(
            (right) => `GRANT ${right} ON KEYSPACE ${keyspace} TO "${role}";`,
          ),
        ),
    ]),
    '',
  ].join('\n');
}

function replication(datacenter: string, copies: number): string {
  return `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${copies}}`;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
