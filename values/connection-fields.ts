import { sentence } from './problem';

/**
 * What a connection gives to its client, by the kind of the target. A field with a variable is always set as PREFIX_VARIABLE;
 * the others only exist where `Env.from` asks for them, so that a new field restarts no client.
 */
export const CONNECTION_FIELDS = {
  /** A service or web app. `address` is HOST:PORT; `url` exists for HTTP ports only. */
  service: { host: 'HOST', port: 'PORT', url: 'URL', address: undefined },
  /** A MongoDB replica set. `hosts` is HOST:PORT,HOST:PORT; `passwordInUri` is percent-encoded. */
  mongodb: {
    username: 'USERNAME',
    password: 'PASSWORD',
    passwordInUri: 'PASSWORD_IN_URI',
    database: 'DATABASE',
    uri: 'URI',
    hosts: undefined,
    replicaSet: undefined,
  },
  /** A keyspace of a ring. */
  cassandra: {
    contactPoints: 'CONTACT_POINTS',
    port: 'PORT',
    localDatacenter: 'LOCAL_DATACENTER',
    keyspace: 'KEYSPACE',
    username: 'USERNAME',
    password: 'PASSWORD',
  },
  /** A language model. `apiKey` exists where the endpoint has one. */
  model: { host: 'HOST', port: 'PORT', baseUrl: 'BASE_URL', model: 'MODEL', apiKey: 'API_KEY' },
  /** An address outside the cluster. `address` is HOST:PORT. */
  address: { host: 'HOST', port: 'PORT', address: undefined },
  /** The internet gives nothing. */
  internet: {},
} as const;

/** Kind of the target of a connection. */
export type ConnectionKind = keyof typeof CONNECTION_FIELDS;

type FieldsOf<Kind> = Kind extends ConnectionKind ? keyof (typeof CONNECTION_FIELDS)[Kind] : never;

/** A field of some kind of connection. */
export type ConnectionField = FieldsOf<ConnectionKind>;

/** Variable of a field after the prefix; undefined when only `Env.from` gives it. */
export function variableOfField(kind: ConnectionKind, field: string): string | undefined {
  const variables: Readonly<Record<string, string | undefined>> = CONNECTION_FIELDS[kind];
  return variables[field];
}

/** The fields of a kind, in the order of its variables. */
export function fieldsOfKind(kind: ConnectionKind): ConnectionField[] {
  return Object.keys(CONNECTION_FIELDS[kind]) as ConnectionField[];
}

/** A name as the prefix of variables: event-store becomes EVENT_STORE. */
export function prefixOfName(name: string): string {
  return name.toUpperCase().replace(/-/g, '_');
}

/** What is wrong with the name of a connection (`as`), as a sentence, or undefined. */
export function connectionNameProblem(value: unknown, what: string, maximum = 50): string | undefined {
  if (typeof value === 'string' && value.length <= maximum && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(value))
    return undefined;
  return sentence({
    what: `${what} must be the name of a connection`,
    got: value,
    allowed: `1 to ${maximum} of a-z, 0-9 and -, first a letter, last no -`,
    fix: "write it like 'ledger': its variables then start with LEDGER_",
  });
}

/** What is wrong with the prefix of a connection's variables, as a sentence, or undefined. */
export function envPrefixProblem(value: unknown, what: string): string | undefined {
  if (typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_]{0,49}$/.test(value)) return undefined;
  return sentence({
    what: `${what} must be 1 to 50 letters, digits and _, not starting with a digit`,
    got: value,
    fix: 'write it like ARCHIVE',
  });
}
