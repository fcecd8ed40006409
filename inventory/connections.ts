import type { Connection, Service } from './homelab';

type Of<Key extends string> = Extract<Connection, { readonly [key in Key]: string }>;

/** What to do with a connection, by the kind of its target. */
export interface ByTarget<T> {
  readonly service: (connection: Of<'service'>) => T;
  readonly mongodb: (connection: Of<'mongodb'>) => T;
  readonly cassandra: (connection: Of<'cassandra'>) => T;
  readonly model: (connection: Of<'model'>) => T;
}

/** Handles a connection by the kind of its target. A new kind is added here, and the compiler names every place that lacks it. */
export function byTarget<T>(connection: Connection, cases: ByTarget<T>): T {
  if ('service' in connection) return cases.service(connection);
  if ('mongodb' in connection) return cases.mongodb(connection);
  return 'cassandra' in connection ? cases.cassandra(connection) : cases.model(connection);
}

/** Which kind of target a connection has, and its name. */
export function targetOf(connection: Connection): readonly [kind: keyof ByTarget<unknown>, name: string] {
  return byTarget<readonly [keyof ByTarget<unknown>, string]>(connection, {
    service: ({ service }) => ['service', service],
    mongodb: ({ mongodb }) => ['mongodb', mongodb],
    cassandra: ({ cassandra }) => ['cassandra', cassandra],
    model: ({ model }) => ['model', model],
  });
}

/** What a connection's variables are called behind their prefix, by the kind of its target. */
const VARIABLES = {
  service: ['HOST', 'PORT', 'URL'],
  mongodb: ['USERNAME', 'PASSWORD', 'PASSWORD_IN_URI', 'DATABASE', 'URI'],
  cassandra: ['CONTACT_POINTS', 'PORT', 'LOCAL_DATACENTER', 'KEYSPACE', 'USERNAME', 'PASSWORD'],
  model: ['HOST', 'PORT', 'BASE_URL', 'MODEL'],
} as const;

/** What the variables of one of a client's connections start with. A second model changes nothing for the first. */
export function envPrefixOf({ connects }: Service, connection: Connection): string {
  if (connection.envPrefix !== undefined) return connection.envPrefix;
  const [kind, name] = targetOf(connection);
  const ofName = name.toUpperCase().replace(/-/g, '_');
  if (kind !== 'model') return kind === 'service' ? ofName : kind.toUpperCase();
  return connection === connects.find((each) => 'model' in each) ? 'LLM' : `LLM_${ofName}`;
}

/** Names of the variables that a connection sets. */
export function variablesOf(service: Service, connection: Connection): string[] {
  const prefix = envPrefixOf(service, connection);
  return VARIABLES[targetOf(connection)[0]].map((name) => `${prefix}_${name}`);
}

/** Who a client logs in as, and to which database or keyspace. Undefined where the target is no database. */
export function clientLoginOf(
  client: string,
  connection: Connection,
): { readonly user: string; readonly data: string } | undefined {
  return byTarget<{ user: string; data: string } | undefined>(connection, {
    service: () => undefined,
    mongodb: ({ user, database }) => ({ user: user ?? client, data: database }),
    cassandra: ({ role, keyspace }) => ({ user: role ?? client, data: keyspace }),
    model: () => undefined,
  });
}
