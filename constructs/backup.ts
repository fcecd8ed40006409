import { Duration, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { sentence } from '../values/problem';
import { BACKUP_FILES, validateTarget, TARGET_MOUNT, type BackupTarget } from './backup-target';
import type { Connections } from './connections';
import { images } from './images';
import type { Labels } from './labels';
import { contentHash } from './rendering';
import { assertValid } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import { DeclaredSecret } from './secrets';
import { RESTRICTED_CONTAINER } from './security';

/** Backups of a database, always encrypted by restic. */
export interface BackupProps {
  /** Where to store backups. A target on the same disk or host is lost with the database. */
  readonly target: BackupTarget;
  /**
   * Time between two backups, 1 hour to 7 days. Writes since the last backup are lost when the disks are lost.
   * @default 24 hours
   */
  readonly every?: Duration;
  /** Which backups to keep. @default all of the last 2 days, then 7 daily, 4 weekly and 6 monthly ones */
  readonly keep?: BackupKeep;
  /** Resources of the container `backup` in each pod. @default 192 MiB, 50m: at most 97 MiB were measured */
  readonly resources?: Resources;
  /** Cron schedule in UTC for automatic restore drills, such as `0 4 * * 0`. @default none: run npm run homelab -- restore-drill NAME */
  readonly drill?: string;
}

/**
 * Number of backups to keep besides those of the last 2 days. Most mistakes are noticed within days; monthly backups cover data
 * that is rarely read. Data that does not change between two backups is stored once.
 */
export interface BackupKeep {
  /** Daily backups: the last of each day. @default 7 */
  readonly daily?: number;
  /** Weekly backups: the last of each week. @default 4 */
  readonly weekly?: number;
  /** Monthly backups: the last of each month. @default 6 */
  readonly monthly?: number;
}

/** What the backups need to know about a database. */
export interface DatabaseBackupProps {
  readonly backup: BackupProps;
  /** Of the database. */
  readonly name: string;
  readonly namespace: string;
  /** Of the objects. */
  readonly labels: Labels;
  /** Mount path of the data volume, in the containers of the database and of the backup. */
  readonly dataPath: string;
  /** The only pod that removes old backups and checks the repository. */
  readonly keeper: string;
  /** What forms one series of backups: the database when one pod stores all of it, otherwise each pod. */
  readonly group: 'tags' | 'host,tags';
}

const HOUR = 3600;

/** The backups of one database: secret, files, and a container in each of its pods. */
export class DatabaseBackup extends Construct {
  /** The repository's password and the credentials of the target. Without the password no backup can be read. */
  readonly secret: DeclaredSecret;
  /** Changes when the pods must restart. */
  readonly checksum: string;
  /** The volume through which this container and that of the database exchange requests and status. */
  readonly handover: k8s.VolumeMount = { name: 'handover', mountPath: '/handover' };
  private readonly files: k8s.KubeConfigMap;
  private readonly claim?: string;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: DatabaseBackupProps,
  ) {
    super(scope, id);
    const { backup, namespace } = props;
    const name = `${props.name}-backup`;
    this.validate();
    const keys = backup.target.keys();
    this.secret = new DeclaredSecret(this, 'secret', {
      name,
      namespaces: [namespace],
      keys: {
        password: { generate: 'alphanumeric', length: 40 },
        ...Object.fromEntries(Object.entries(keys).map(([key, { source }]) => [key, source])),
      },
    });
    this.secret.readBy(this, namespace);
    const files = {
      'backup.sh': scriptFile('backup.sh'),
      'repository.sh': scriptFile('repository.sh'),
      'restore-fetch.sh': scriptFile('restore-fetch.sh'),
      // ssh exits at once when its user is not in /etc/passwd.
      passwd: scriptFile('backup-passwd'),
      ...backup.target.files(),
    };
    this.checksum = contentHash(files);
    this.files = new k8s.KubeConfigMap(this, 'files', {
      metadata: { name, namespace, labels: { ...props.labels } },
      data: files,
    });
    this.claim = backup.target.claimIn(this, { name, namespace });
  }

  /** The container beside the database. */
  container(): k8s.Container {
    const { backup, dataPath, keeper, group } = this.props;
    const { daily = 7, weekly = 4, monthly = 6 } = backup.keep ?? {};
    return {
      name: 'backup',
      image: images.restic,
      command: ['sh', `${BACKUP_FILES}/backup.sh`],
      env: [
        ...this.environment(),
        { name: 'BACKUP_POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'BACKUP_KEEPER', value: keeper },
        { name: 'BACKUP_GROUP', value: group },
        { name: 'BACKUP_EVERY_SECONDS', value: String(every(backup).toSeconds()) },
        {
          name: 'BACKUP_KEEP',
          value: `--keep-within 2d --keep-daily ${daily} --keep-weekly ${weekly} --keep-monthly ${monthly}`,
        },
      ],
      resources: resourceRequirements(this, backup.resources ?? DEFAULT_RESOURCES),
      securityContext: RESTRICTED_CONTAINER,
      volumeMounts: [{ name: 'data', mountPath: dataPath, readOnly: true }, this.handover, ...this.mounts()],
    };
  }

  /** Of restic in any pod of this database. */
  environment(): k8s.EnvVar[] {
    const { target } = this.props.backup;
    const plain = {
      HOME: '/tmp',
      BACKUP_DATABASE: this.props.name,
      RESTIC_REPOSITORY: target.repository(this.props.name),
      RESTIC_PASSWORD_FILE: '/secret/password',
      ...target.environment(),
      // One thread and an early garbage collection, because memory is the scarcest resource of the nodes.
      GOMAXPROCS: '1',
      GOGC: '20',
    };
    const secret = Object.entries(target.keys()).flatMap(([key, { variable }]) =>
      variable === undefined ? [] : [{ name: variable, valueFrom: { secretKeyRef: { name: this.secret.name, key } } }],
    );
    return [...Object.entries(plain).map(([name, value]) => ({ name, value })), ...secret];
  }

  /** Mounts of restic in any pod of this database. */
  mounts(): k8s.VolumeMount[] {
    return [
      { name: 'backup-tmp', mountPath: '/tmp' },
      { name: 'backup-files', mountPath: BACKUP_FILES, readOnly: true },
      { name: 'backup-files', mountPath: '/etc/passwd', subPath: 'passwd', readOnly: true },
      { name: 'backup-secret', mountPath: '/secret', readOnly: true },
      ...(this.claim === undefined ? [] : [{ name: 'backup-target', mountPath: TARGET_MOUNT }]),
    ];
  }

  /** Volumes of a pod of the database, besides `data`. */
  volumes(): k8s.Volume[] {
    return [{ name: 'handover', emptyDir: { sizeLimit: k8s.Quantity.fromString('1Mi') } }, ...this.resticVolumes()];
  }

  /** Volumes of any pod that runs restic for this database. */
  resticVolumes(): k8s.Volume[] {
    return [
      // Holds packs of 16 MiB while they are sent. There is no cache, because it would grow with the repository.
      { name: 'backup-tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('512Mi') } },
      { name: 'backup-files', configMap: { name: this.files.name } },
      { name: 'backup-secret', secret: { secretName: this.secret.name } },
      ...(this.claim === undefined
        ? []
        : [{ name: 'backup-target', persistentVolumeClaim: { claimName: this.claim } }]),
    ];
  }

  /** Lets pods reach the target. */
  openFor(connections: Connections): void {
    this.props.backup.target.openFor(connections);
  }

  private validate(): void {
    const { backup } = this.props;
    validateTarget(this, backup.target);
    const seconds = every(backup).toSeconds();
    const counts = Object.entries(backup.keep ?? {}).filter(
      ([, count]) => !Number.isInteger(count) || count < 0 || count > 1000,
    );
    assertValid(
      this,
      seconds >= HOUR && seconds <= 168 * HOUR
        ? undefined
        : sentence({
            what: 'the time between two backups must be 1 hour to 7 days',
            got: `${seconds} s`,
            fix: 'write Duration.hours(24)',
          }),
      ...counts.map(([name, count]) =>
        sentence({ what: `keep.${name} must be a whole number from 0 to 1000`, got: count, fix: 'write it like 7' }),
      ),
    );
  }
}

/** restic 0.14 on 1.5 GB: 75 MiB to store, 63 to prune, 64 to check, 97 to restore; more of it grows with the index alone. */
const DEFAULT_RESOURCES: Resources = { memory: Size.mebibytes(192), cpu: Cpu.millis(50) };

function every({ every = Duration.hours(24) }: BackupProps): Duration {
  return every;
}
