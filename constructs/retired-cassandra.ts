import { Construct } from 'constructs';
import { CassandraRing, keptCassandra } from './cassandra-ring';
import type { CassandraStatefulSetProps } from './cassandra-stateful-set';
import type { Connections } from './connections';
import { overrideManifests } from './rendering';
import type { DeclaredSecret } from './secrets';

/**
 * A ring that runs no pods. Its policy, claims and volumes stay, and so does the login of its admin: with the same props
 * CassandraStatefulSet starts it again on the same data. Nothing can connect to it.
 */
export class RetiredCassandra extends Construct {
  /** As that of the ring. */
  readonly name: string;
  /** As that of the ring. */
  readonly namespace: string;
  /** The policy of the ring, without ingress rules. An annotation records what the disks hold. */
  readonly connections: Connections;
  /** Login of the role admin, as the disks know it. */
  readonly adminSecret: DeclaredSecret;

  constructor(scope: Construct, id: string, props: CassandraStatefulSetProps) {
    super(scope, id);
    const ring = new CassandraRing(this, props);
    ({ name: this.name, namespace: this.namespace } = ring.names);
    const admin = props.joins?.adminSecret;
    ({ connections: this.connections, adminSecret: this.adminSecret } = keptCassandra(
      this,
      ring,
      props.storage,
      admin,
    ));
    overrideManifests(this, props.overrideManifest);
  }
}
