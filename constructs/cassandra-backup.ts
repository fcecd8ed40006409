import { Size } from 'cdk8s';
import { Cpu, type k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { DatabaseBackup, type BackupProps } from './backup';
import { openBetween, type Connections } from './connections';
import { DatabaseRestore } from './database-restore';
import type { Labels } from './labels';
import { scriptFile } from './script-file';
import type { DeclaredSecret } from './secrets';

/** What the backups of a ring need to know about it. */
export interface CassandraBackupProps {
  readonly backup: BackupProps;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly image: string;
  readonly dataPath: string;
  /** Name and host of each member, in the order in which they join. */
  readonly nodes: readonly { readonly pod: string; readonly host: string }[];
  /** Host name of the ring's client Service. */
  readonly host: string;
  readonly admin: DeclaredSecret;
  readonly priorityClassName?: string;
  readonly pullSecrets?: readonly string[];
}

/** Memory of the Job that restores: sstableloader with 256 MiB of heap, and cqlsh. A drill also runs a node with 384 MiB of heap. */
const RESTORE = { memory: Size.mebibytes(1536), cpu: Cpu.millis(100) };

/** Each node stores its own snapshot. A restore sends the rows of all snapshots to the nodes that own them at that time. */
export class CassandraBackup extends Construct {
  /** The backup container of each pod, and its volumes. */
  readonly backup: DatabaseBackup;
  /** The Job that restores, and its NetworkPolicy. */
  readonly restore: DatabaseRestore;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CassandraBackupProps,
  ) {
    super(scope, id);
    const { name, namespace, backup, nodes, admin } = props;
    const [first] = nodes;
    const group = 'host,tags';
    this.backup = new DatabaseBackup(this, 'backup', { ...props, keeper: first!.pod, group });
    admin.readBy(this, namespace);
    this.restore = new DatabaseRestore(this, 'restore', {
      backup: this.backup,
      name,
      namespace,
      image: props.image,
      command: ['python3', '/config/restore.py'],
      files: {
        'cql.py': scriptFile('cassandra-cql.py'),
        'drill.py': scriptFile('cassandra-drill.py'),
        'restore.py': scriptFile('cassandra-restore.py'),
        'snapshots.py': scriptFile('cassandra-snapshots.py'),
        'statements.py': scriptFile('cassandra-statements.py'),
      },
      env: [
        { name: 'CASSANDRA_HOST', value: props.host },
        { name: 'CASSANDRA_NODES', value: nodes.map(({ host }) => host).join(' ') },
        { name: 'ADMIN_PASSWORD', valueFrom: { secretKeyRef: { name: admin.name, key: 'password' } } },
      ],
      resources: RESTORE,
      claim: `data-${first!.pod}`,
      group,
      drill: backup.drill,
      priorityClassName: props.priorityClassName,
      pullSecrets: props.pullSecrets,
    });
  }

  /** Scripts of the container `ops`, which makes the snapshots. */
  scripts(): Record<string, string> {
    return { 'cql.py': scriptFile('cassandra-cql.py'), 'snapshots.py': scriptFile('cassandra-snapshots.py') };
  }

  /** Adds what snapshots need to the container `ops`. */
  intoOps(container: k8s.Container): k8s.Container {
    return {
      ...container,
      env: [...(container.env ?? []), { name: 'OPS_MODULES', value: 'snapshots' }],
      volumeMounts: [
        ...(container.volumeMounts ?? []),
        this.backup.handover,
        { name: 'admin-login', mountPath: '/admin-login', readOnly: true },
      ],
    };
  }

  /** Volumes of a pod of the ring. The login of admin is a file, so that its rotation restarts no node. */
  volumes(): k8s.Volume[] {
    return [...this.backup.volumes(), { name: 'admin-login', secret: { secretName: this.props.admin.name } }];
  }

  /** Lets each node reach the target, and the Job the ports of the ring that it needs. */
  openFor(ring: Connections, ports: readonly number[]): void {
    this.backup.openFor(ring);
    openBetween(this.restore.connections, ring, ...ports);
  }
}
