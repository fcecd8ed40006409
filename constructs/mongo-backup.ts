import { Size } from 'cdk8s';
import { Cpu, type k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { DatabaseBackup, type BackupProps } from './backup';
import type { Connections } from './connections';
import { DatabaseRestore } from './database-restore';
import type { Labels } from './labels';
import { scriptFile } from './script-file';
import type { DeclaredSecret } from './secrets';

/** What the backups of a replica set need to know about it. */
export interface MongoBackupProps {
  readonly backup: BackupProps;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly image: string;
  /** Pods that run, in their order. */
  readonly pods: readonly string[];
  /** Addresses of the members, as NAME:PORT. */
  readonly hosts: readonly string[];
  readonly root: DeclaredSecret;
  readonly priorityClassName?: string;
  readonly pullSecrets?: readonly string[];
}

/** Folder of mongod's data and of the copies for backups. */
const DATA = '/data/db';

/**
 * Backups of a replica set: the container `reconcile` of one secondary prepares a copy of its files, and the container `backup`
 * beside it stores the copy. A restore copies collection by collection into the running set.
 */
export class MongoBackup extends Construct {
  /** Secret, files and the container `backup`. */
  readonly backup: DatabaseBackup;
  /** Connections of the pods of a restore, which the set admits. */
  readonly restoreConnections: Connections;

  constructor(scope: Construct, id: string, props: MongoBackupProps) {
    super(scope, id);
    const { backup, name, namespace, image, pods, root, priorityClassName, pullSecrets } = props;
    const group = 'tags';
    this.backup = new DatabaseBackup(this, 'store', {
      backup,
      name,
      namespace,
      labels: props.labels,
      dataPath: DATA,
      keeper: pods[0]!,
      group,
    });
    const fromSecret = (key: string): k8s.EnvVarSource => ({ secretKeyRef: { name: root.name, key } });
    this.restoreConnections = new DatabaseRestore(this, 'restore', {
      backup: this.backup,
      name,
      namespace,
      image,
      command: ['mongosh', '--nodb', '--norc', '--quiet', '--eval', "require('/config/restore.js').start()"],
      files: {
        'restore.js': scriptFile('mongo-restore.js'),
        'mongo-wire.js': scriptFile('mongo-wire.js'),
        'target.json': `${JSON.stringify({ hosts: props.hosts }, null, 2)}\n`,
      },
      env: [
        { name: 'ROOT_USERNAME', valueFrom: fromSecret('username') },
        { name: 'ROOT_PASSWORD', valueFrom: fromSecret('password') },
      ],
      resources: { memory: Size.mebibytes(1024), cpu: Cpu.millis(100) },
      // The claim of the last pod: member 0 is the primary while it is healthy.
      claim: `data-${pods.at(-1)!}`,
      group,
      drill: backup.drill,
      priorityClassName,
      pullSecrets,
    }).connections;
  }

  /** Scripts of the container `reconcile`, beside its own. */
  static scripts(): Readonly<Record<string, string>> {
    return { 'snapshot.js': scriptFile('mongo-snapshot.js') };
  }

  /** Adds to the container `reconcile` what it needs to prepare copies. */
  reconciler(container: k8s.Container): k8s.Container {
    return {
      ...container,
      env: [...container.env!, { name: 'HANDOVER', value: this.backup.handover.mountPath }],
      volumeMounts: [...container.volumeMounts!, { name: 'data', mountPath: DATA }, this.backup.handover],
    };
  }
}
