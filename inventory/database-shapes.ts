import type { MemberOptions } from '../values/members';
import { backupOrNone } from './backup-shape';
import type * as lab from './databases';
import { fixedName, keyspaceName, labelValue, nodeLabel, variableName } from './name-shapes';
import * as is from './shape';

const exporter: is.Shape<lab.DatabaseExporter> = {
  image: is.image,
  port: is.port,
  memory: is.size,
  cpu: is.cpu,
  args: is.optional(is.listOf(is.text)),
  env: is.optional(is.byName(variableName, is.variableText)),
  scrapedBy: is.optional(
    is.shape<NonNullable<lab.DatabaseExporter['scrapedBy']>>({
      namespace: is.dnsLabel,
      labels: is.byName(is.text, labelValue),
    }),
  ),
};

/** The form of what both kinds of databases have. */
const database = {
  kind: is.oneOf('cassandra', 'mongodb'),
  memory: is.size,
  cpu: is.cpu,
  nodeLabel,
  state: is.optional(is.oneOf('active', 'retired')),
  exporter: is.optional(is.shape(exporter)),
  backup: is.optional(backupOrNone),
};

/** The form of a Cassandra ring. */
export const cassandra: is.Shape<lab.Cassandra> = {
  ...database,
  clusterName: fixedName,
  datacenter: fixedName,
  racks: is.listOf(is.dnsLabel, 1),
  nodesPerRack: is.optional(is.whole(1, 50)),
  membersPerRack: is.optional(is.whole(1, 50)),
  repairEvery: is.optional(is.repairInterval),
  version: is.optional(is.cassandraVersion),
  heap: is.optional(is.size),
  config: is.optional(is.cassandraSettings),
  keyspaces: is.optional(
    is.byName(keyspaceName, is.shape<{ copies?: number }>({ copies: is.optional(is.whole(1, 50)) })),
  ),
};

/** The form of a MongoDB replica set. */
export const mongodb: is.Shape<lab.MongoDb> = {
  ...database,
  replicaSet: fixedName,
  members: is.whole(1, 50),
  pods: is.optional(is.whole(1, 50)),
  memberOptions: is.optional(
    is.byName(
      is.matching(/^\d{1,2}$/, 'the ordinal of a member', '3'),
      is.shape<MemberOptions>({ hidden: is.optional(is.flag), delay: is.optional(is.delay) }),
    ),
  ),
  version: is.optional(is.mongodbVersion),
  featureCompatibilityVersion: is.optional(is.compatibility),
  config: is.optional(is.mongodSettings),
};
