import { connectionNameProblem, envPrefixProblem } from '../values/connection-fields';
import { portNameProblem } from '../values/ports';
import { becauseProblem, internetPortsProblem, outsideAddressProblem, outsidePortProblem } from '../values/ways-out';
import type * as lab from './connections';
import { keyspaceName } from './name-shapes';
import * as is from './shape';

type Of<Kind extends string> = Extract<lab.Connection, { readonly [K in Kind]: unknown }>;

/** Shorter than the maximum, because the connection to the fallback of a model is named NAME-fallback. */
const connectionName = is.by((value, path) => connectionNameProblem(value, path, 40));
const naming = {
  as: is.optional(connectionName),
  envPrefix: is.optional(is.by(envPrefixProblem)),
};

/** The form of each kind of connection, by the property that only it has. */
const connectionKinds: Readonly<Record<string, is.Rule>> = {
  service: is.shape<Of<'service'>>({
    service: is.text,
    port: is.optional(is.by(portNameProblem)),
    namespace: is.optional(is.dnsLabel),
    ...naming,
  }),
  mongodb: is.shape<Of<'mongodb'>>({
    mongodb: is.text,
    user: is.optional(is.dnsLabel),
    access: is.optional(is.mongoRoles),
    database: is.matching(/^[a-z][a-z0-9_-]{0,37}$/, 'a database name of at most 38 of a-z, 0-9, _ and -', 'documents'),
    ...naming,
  }),
  cassandra: is.shape<Of<'cassandra'>>({
    cassandra: is.text,
    role: is.optional(is.dnsLabel),
    access: is.optional(is.oneOf('read', 'readWrite')),
    keyspace: keyspaceName,
    ...naming,
  }),
  model: is.shape<Of<'model'>>({ model: is.text, ...naming }),
  internet: is.shape<Of<'internet'>>({
    internet: is.by(internetPortsProblem),
    because: is.by(becauseProblem),
    ...naming,
  }),
  address: is.shape<Of<'address'>>({
    address: is.by(outsideAddressProblem),
    port: is.by(outsidePortProblem),
    because: is.optional(is.by(becauseProblem)),
    ...naming,
    as: connectionName,
  }),
};

/** The form of a connection. */
export const connection = is.byKey(
  connectionKinds,
  '{ service } with an optional port and namespace, { mongodb, database }, { cassandra, keyspace }, { model }, { internet, because } or { address, port, as }, each with an optional `as` and envPrefix',
);
