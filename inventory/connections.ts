import type { Llm } from './homelab';
import type { Connection, Service } from './services';
import { hasKey } from './models';

type Of<Key extends string> = Extract<Connection, { readonly [key in Key]: string }>;

/** One handler for each kind of target of a connection. */
export interface ByTarget<T> {
  /** For a service or web app. */
  readonly service: (connection: Of<'service'>) => T;
  /** For a MongoDB database. */
  readonly mongodb: (connection: Of<'mongodb'>) => T;
  /** For a keyspace of a ring. */
  readonly cassandra: (connection: Of<'cassandra'>) => T;
  /** For a language model. */
  readonly model: (connection: Of<'model'>) => T;
}

/** Calls the handler for the kind of target. Add a new kind here: the compiler then reports every caller that does not handle it. */
export function byTarget<T>(connection: Connection, cases: ByTarget<T>): T {
  if ('service' in connection) return cases.service(connection);
  if ('mongodb' in connection) return cases.mongodb(connection);
  return 'cassandra' in connection ? cases.cassandra(connection) : cases.model(connection);
}

/** Kind and name of the target of a connection. */
export function targetOf(connection: Connection): readonly [kind: keyof ByTarget<unknown>, name: string] {
  return byTarget<readonly [keyof ByTarget<unknown>, string]>(connection, {
    service: ({ service }) => ['service', service],
    mongodb: ({ mongodb }) => ['mongodb', mongodb],
    cassandra: ({ cassandra }) => ['cassandra', cassandra],
    model: ({ model }) => ['model', model],
  });
}

/** Names of a connection's variables after the prefix, by the kind of its target. */
const VARIABLES = {
  service: ['HOST', 'PORT', 'URL'],
  mongodb: ['USERNAME', 'PASSWORD', 'PASSWORD_IN_URI', 'DATABASE', 'URI'],
  cassandra: ['CONTACT_POINTS', 'PORT', 'LOCAL_DATACENTER', 'KEYSPACE', 'USERNAME', 'PASSWORD'],
  model: ['HOST', 'PORT', 'BASE_URL', 'MODEL'],
} as const;

/** Prefix of the variables of a connection. A second model does not change the prefix of the first. */
export function envPrefixOf({ connects }: Service, connection: Connection): string {
  if (connection.envPrefix !== undefined) return connection.envPrefix;
  const [kind, name] = targetOf(connection);
  const ofName = name.toUpperCase().replace(/-/g, '_');
  if (kind !== 'model') return kind === 'service' ? ofName : kind.toUpperCase();
  return connection === connects.find((each) => 'model' in each) ? 'LLM' : `LLM_${ofName}`;
}

/** Names of the variables that a connection sets. */
export function variablesOf(service: Service, connection: Connection, llm?: Llm): string[] {
  const prefix = envPrefixOf(service, connection);
  const [kind, name] = targetOf(connection);
  const own: readonly string[] = VARIABLES[kind];
  return [...own, ...(kind === 'model' ? ofModel(name, llm) : [])].map((variable) => `${prefix}_${variable}`);
}

/** The key of the gateway, and what a model's fallback sets. */
function ofModel(name: string, llm: Llm | undefined): string[] {
  const fallback = llm?.models[name]?.fallback;
  return [
    ...(llm?.gateway ? ['API_KEY'] : []),
    ...(fallback ? VARIABLES.model.map((variable) => `FALLBACK_${variable}`) : []),
    ...(fallback && hasKey(fallback) ? ['FALLBACK_API_KEY'] : []),
  ];
}

/** Login of a client, and its database or keyspace. Undefined when the target is not a database. */
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
