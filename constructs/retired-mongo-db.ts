import { Construct } from 'constructs';
import type { Connections } from './connections';
import { keptMongo, MongoMembers } from './mongo-members';
import type { MongoReplicaSetProps } from './mongo-replica-set';
import { overrideManifests } from './rendering';
import type { DeclaredSecret } from './secrets';

/**
 * A replica set that runs no pods. Its policy, claims and volumes stay, and so do the login of root and the keyfile: with the
 * same props MongoReplicaSet starts it again on the same data. Nothing can connect to it.
 */
export class RetiredMongoDb extends Construct {
  /** As that of the set. */
  readonly name: string;
  /** As that of the set. */
  readonly namespace: string;
  /** The policy of the set, without ingress rules. An annotation records what the disks hold. */
  readonly connections: Connections;
  /** Login of the user root, as the disks know it. */
  readonly rootSecret: DeclaredSecret;
  /** The keyfile by which members authenticate each other. */
  readonly keyfile: DeclaredSecret;

  constructor(scope: Construct, id: string, props: MongoReplicaSetProps) {
    super(scope, id);
    const members = new MongoMembers(this, props);
    ({ name: this.name, namespace: this.namespace } = members.names);
    const kept = keptMongo(this, members, props.storage);
    this.connections = kept.connections;
    this.keyfile = kept.keyfile;
    this.rootSecret = kept.rootSecret;
    overrideManifests(this, props.overrideManifest);
  }
}
