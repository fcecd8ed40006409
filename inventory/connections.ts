import {
  fieldsOfKind,
  prefixOfName,
  variableOfField,
  type ConnectionField,
  type ConnectionKind,
} from '../values/connection-fields';
import type { NamedConnection } from '../values/env';
import type { MongoAccess } from '../values/mongo-roles';
import type { OutsidePort } from '../values/ways-out';
import { portsOf, type ServicePort } from '../values/ports';
import type { Homelab } from './homelab';
import { hasKey } from './models';
import { NAMESPACES } from './names';
import type { Service } from './services';

/** A target that a client may reach; NetworkPolicies block everything else. */
export type Connection = (
  | {
      readonly service: string;
      /** Name of one of its ports. @default the first */
      readonly port?: string;
      /** Namespace of a web app (`web`), or of a chart of your own, whose Service it names. @default services */
      readonly namespace?: string;
    }
  /**
   * `user` is its login. @default its own name, which no other client of that database may have. With `access: 'read'` it can
   * only read. @default readWrite
   */
  | {
      readonly mongodb: string;
      readonly database: string;
      readonly user?: string;
      readonly access?: MongoAccess;
    }
  /** `role` is its login. @default its own name, which no other client of that ring may have */
  | {
      readonly cassandra: string;
      readonly keyspace: string;
      readonly role?: string;
      /** `read` permits only SELECT. @default readWrite */
      readonly access?: 'read' | 'readWrite';
    }
  | { readonly model: string }
  /**
   * All public IPv4 addresses at these ports, and no private ones: `{ internet: [443], because: 'push notifications' }`. A policy
   * knows no names, so it cannot be limited to one provider.
   */
  | {
      readonly internet: readonly OutsidePort[];
      /** Stands in the policy and in `npm run homelab -- connections`. */
      readonly because: string;
    }
  /** One machine outside the cluster, by its IPv4 address: `{ address: '192.168.1.40', port: 5432, as: 'ledger' }`. */
  | {
      readonly address: string;
      /** TCP as a plain number. */
      readonly port: OutsidePort;
      /** Its name: LEDGER_HOST and LEDGER_PORT hold the address. */
      readonly as: string;
      /** Stands in the policy and in `npm run homelab -- connections`. @default no reason */
      readonly because?: string;
    }
) & {
  /** Name of the connection, for `Env.from`; its variables start with it. @default the name of the target */
  readonly as?: string;
  /** Prefix of its environment variables. @default that of `as`, else the name of the service, MONGODB, CASSANDRA, LLM or LLM_NAME */
  readonly envPrefix?: string;
};

type Of<Key extends string> = Extract<Connection, { readonly [key in Key]: unknown }>;

/** A connection to a service. */
export type ServiceTarget = Of<'service'>;

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
  /** For all public addresses. */
  readonly internet: (connection: Of<'internet'>) => T;
  /** For an address outside the cluster. */
  readonly address: (connection: Of<'address'>) => T;
}

/** Calls the handler for the kind of target. Add a new kind here: the compiler then reports every caller that does not handle it. */
export function byTarget<T>(connection: Connection, cases: ByTarget<T>): T {
  if ('service' in connection) return cases.service(connection);
  if ('mongodb' in connection) return cases.mongodb(connection);
  if ('cassandra' in connection) return cases.cassandra(connection);
  if ('model' in connection) return cases.model(connection);
  return 'internet' in connection ? cases.internet(connection) : cases.address(connection);
}

/** Kind and name of the target of a connection. An address has the name of its connection. */
export function targetOf(connection: Connection): readonly [kind: ConnectionKind, name: string] {
  return byTarget<readonly [ConnectionKind, string]>(connection, {
    service: ({ service }) => ['service', service],
    mongodb: ({ mongodb }) => ['mongodb', mongodb],
    cassandra: ({ cassandra }) => ['cassandra', cassandra],
    model: ({ model }) => ['model', model],
    internet: () => ['internet', 'internet'],
    address: ({ as }) => ['address', as],
  });
}

type Connects = { readonly connects: readonly Connection[] };

/** Prefix of the variables of a connection. A second model does not change the prefix of the first. */
export function envPrefixOf({ connects }: Connects, connection: Connection): string {
  const { envPrefix, as } = connection;
  if (envPrefix !== undefined || as !== undefined) return envPrefix ?? prefixOfName(as!);
  const [kind, name] = targetOf(connection);
  if (kind !== 'model') return kind === 'service' ? prefixOfName(name) : kind.toUpperCase();
  return connection === connects.find((each) => 'model' in each) ? 'LLM' : `LLM_${prefixOfName(name)}`;
}

/** What a connection gives, with the prefix of its variables. */
export interface Given extends NamedConnection {
  /** Start of the names of its variables. */
  readonly prefix: string;
}

/** The parts of a homelab that connections lead to. */
export type Targets = Pick<Homelab, 'services' | 'webApps' | 'llm'>;

/** The service or web app of homelab.ts that a connection names; undefined for a Service of a chart of the owner. */
export function serviceOf(
  { services, webApps }: Pick<Targets, 'services' | 'webApps'>,
  { service, namespace = NAMESPACES.services }: Of<'service'>,
): Service | undefined {
  const known = namespace === NAMESPACES.services ? services : namespace === NAMESPACES.web ? webApps : {};
  return Object.hasOwn(known, service) ? known[service] : undefined;
}

/** Whether a connection leads to a chart of the owner, which only the charts know. */
export function isOwn({ namespace = NAMESPACES.services }: Of<'service'>): boolean {
  return namespace !== NAMESPACES.services && namespace !== NAMESPACES.web;
}

/** The port of a connection to a service: the stand-in has one HTTP port. Services of own charts count as HTTP. */
export function portOf(
  homelab: Pick<Targets, 'services' | 'webApps'>,
  connection: ServiceTarget,
): ServicePort | undefined {
  const target = serviceOf(homelab, connection);
  const ports = portsOf(target === undefined || target.image === undefined ? {} : target);
  const { port } = connection;
  return port === undefined || isOwn(connection) ? ports[0] : ports.find(({ name }) => name === port);
}

/** What a connection gives: one entry, and for a model with a fallback another one, which is named NAME-fallback. */
export function givenBy(service: Connects, connection: Connection, homelab: Targets): Given[] {
  const { llm } = homelab;
  const prefix = envPrefixOf(service, connection);
  const [kind, target] = targetOf(connection);
  const name = connection.as ?? target;
  const fallback = kind === 'model' ? llm?.models[target]?.fallback : undefined;
  const lacks: ConnectionField[] = [
    ...(kind === 'model' && !llm?.gateway ? (['apiKey'] as const) : []),
    ...('service' in connection && portOf(homelab, connection)?.protocol !== 'http' ? (['url'] as const) : []),
  ];
  const given = { kind, name, prefix, fields: fieldsOfKind(kind).filter((field) => !lacks.includes(field)) };
  if (fallback === undefined) return [given];
  const fields = fieldsOfKind(kind).filter((field) => field !== 'apiKey' || hasKey(fallback));
  return [given, { kind, ...fallbackOf(name, prefix), fields }];
}

/** Name and prefix of the connection to the fallback of a model. */
export function fallbackOf(name: string, prefix: string): { readonly name: string; readonly prefix: string } {
  return { name: `${name}-fallback`, prefix: `${prefix}_FALLBACK` };
}

/** Names of the variables that a connection sets. */
export function variablesOf(service: Connects, connection: Connection, homelab: Targets): string[] {
  return givenBy(service, connection, homelab).flatMap(({ kind, prefix, fields }) =>
    fields.flatMap((field) => {
      const variable = variableOfField(kind, field);
      return variable === undefined ? [] : [`${prefix}_${variable}`];
    }),
  );
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
    internet: () => undefined,
    address: () => undefined,
  });
}
