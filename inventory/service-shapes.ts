import { probesProblem } from '../values/probes';
import * as is from './shape';
import { keyspaceName, variableName } from './name-shapes';
import type * as lab from './services';

const envPrefix = is.optional(
  is.matching(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, '1 to 50 letters, digits and _, not starting with a digit', 'ARCHIVE'),
);
const connectionKinds: Readonly<Record<string, is.Rule>> = {
  service: is.shape<Connection<'service'>>({ service: is.text, envPrefix }),
  mongodb: is.shape<Connection<'mongodb'>>({
    mongodb: is.text,
    user: is.optional(is.dnsLabel),
    access: is.optional(is.mongoRoles),
    database: is.matching(/^[a-z][a-z0-9_-]{0,37}$/, 'a database name of at most 38 of a-z, 0-9, _ and -', 'documents'),
    envPrefix,
  }),
  cassandra: is.shape<Connection<'cassandra'>>({
    cassandra: is.text,
    role: is.optional(is.dnsLabel),
    access: is.optional(is.oneOf('read', 'readWrite')),
    keyspace: keyspaceName,
    envPrefix,
  }),
  model: is.shape<Connection<'model'>>({ model: is.text, envPrefix }),
};
type Connection<Kind extends string> = Extract<lab.Connection, { readonly [K in Kind]: string }>;

const connection = is.byKey(
  connectionKinds,
  '{ service }, { mongodb, database }, { cassandra, keyspace } or { model }, each with an optional envPrefix',
);

/** The form of a service. */
export const service: is.Shape<lab.Service> = {
  image: is.optional(is.image),
  port: is.optional(is.port),
  probes: is.optional(is.by(probesProblem)),
  memory: is.optional(is.size),
  cpu: is.optional(is.cpu),
  replicas: is.optional(is.whole(1, 50)),
  terminationGracePeriod: is.optional(is.duration),
  env: is.optional(is.byName(variableName, is.anyText)),
  connects: is.listOf(connection),
};

/** The form of a web app. */
export const webApp: is.Shape<lab.WebApp> = { ...service, host: is.dnsLabel };
