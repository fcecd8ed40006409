import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { sentence } from '../values/problem';
import type { DatabaseBackup } from './backup';
import { BACKUP_FILES } from './backup-target';
import { Connections } from './connections';
import { DATABASE_USER } from './database';
import { images } from './images';
import { labels, selectorLabels } from './labels';
import { assertValid } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';

/** How to restore one database from its backups. */
export interface DatabaseRestoreProps {
  readonly backup: DatabaseBackup;
  /** Of the database. */
  readonly name: string;
  readonly namespace: string;
  /** Of the database: its programs load what was fetched. */
  readonly image: string;
  /** Reads /restore/fetched.json, loads what stands there, and ends with 3 where another try would end in the same way. */
  readonly command: readonly string[];
  /** Scripts of the restore command, mounted at /config. */
  readonly files: Readonly<Record<string, string>>;
  readonly env: readonly k8s.EnvVar[];
  readonly resources: Resources;
  /** The claim whose disk holds the fetched files during a restore, in the folder `restore`. */
  readonly claim: string;
  /** What forms one series of backups, as for the container `backup`. */
  readonly group: 'tags' | 'host,tags';
  /** Cron schedule of the drill. */
  readonly drill?: string;
  readonly priorityClassName?: string;
  readonly pullSecrets?: readonly string[];
}

/**
 * A suspended CronJob from which `npm run homelab -- restore` and `restore-drill` create a Job. It never runs by itself, but is
 * reviewed, counted in the budget and limited by a NetworkPolicy. With a schedule, a second CronJob runs restore drills.
 */
export class DatabaseRestore extends Construct {
  /** NetworkPolicy of the pods that restore: DNS, the target, and the database after it opened its ports for them. */
  readonly connections: Connections;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: DatabaseRestoreProps,
  ) {
    super(scope, id);
    const { namespace, backup } = props;
    const name = `${props.name}-restore`;
    this.connections = new Connections(this, 'connections', {
      name,
      namespace,
      selector: selectorLabels(this.identity()),
      labels: labels(this.identity()),
    });
    backup.openFor(this.connections);
    const config = new k8s.KubeConfigMap(this, 'config', {
      metadata: { name, namespace, labels: { ...labels(this.identity()) } },
      data: { ...props.files },
    });
    this.cronJob('job', name, config.name);
    if (props.drill !== undefined) {
      assertValid(this, scheduleProblem(props.drill));
      this.cronJob('drill', `${props.name}-drill`, config.name, props.drill);
    }
  }

  private identity() {
    return { app: 'job', instance: `${this.props.name}-restore`, component: 'restore' };
  }

  private cronJob(id: string, name: string, config: string, schedule?: string): void {
    const metadata = { labels: { ...labels(this.identity()) } };
    new k8s.KubeCronJob(this, id, {
      metadata: { name, namespace: this.props.namespace, ...metadata },
      spec: {
        // The CronJob is suspended: any valid schedule will do.
        schedule: schedule ?? '0 0 1 1 *',
        suspend: schedule === undefined,
        concurrencyPolicy: 'Forbid',
        successfulJobsHistoryLimit: 1,
        failedJobsHistoryLimit: 1,
        jobTemplate: {
          metadata,
          spec: {
            backoffLimit: 3,
            activeDeadlineSeconds: 24 * 3600,
            podFailurePolicy: {
              // The 1.28 type requires both kinds of conditions; the API accepts one.
              rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [3] } } as k8s.PodFailurePolicyRule],
            },
            template: { metadata, spec: this.podSpec(config, schedule !== undefined) },
          },
        },
      },
    });
  }

  private podSpec(config: string, drill: boolean): k8s.PodSpec {
    const { props } = this;
    const { backup } = props;
    // Omits an empty value: the API server drops it, so Argo CD would always show a diff.
    const asked = ['AT', 'ONLY', 'REPLACE', 'FROM', 'HOSTS', 'DRILL'].map((each) => ({
      name: `RESTORE_${each}`,
      ...(drill && each === 'DRILL' && { value: 'yes' }),
    }));
    const stage: k8s.VolumeMount = { name: 'data', mountPath: '/restore', subPath: 'restore' };
    const resources = resourceRequirements(this, props.resources);
    return {
      restartPolicy: 'Never',
      ...hardenedPod(DATABASE_USER, props),
      initContainers: [
        {
          name: 'fetch',
          image: images.restic,
          command: ['sh', `${BACKUP_FILES}/restore-fetch.sh`],
          env: [...backup.environment(), { name: 'BACKUP_GROUP', value: props.group }, ...asked],
          resources,
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [stage, ...backup.mounts()],
        },
      ],
      containers: [
        {
          name: 'restore',
          image: props.image,
          command: [...props.command],
          env: [{ name: 'HOME', value: '/tmp' }, ...props.env, ...asked],
          resources,
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            stage,
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'config', mountPath: '/config', readOnly: true },
          ],
        },
      ],
      volumes: [
        { name: 'data', persistentVolumeClaim: { claimName: props.claim } },
        { name: 'tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('256Mi') } },
        { name: 'config', configMap: { name: config } },
        ...backup.resticVolumes(),
      ],
    };
  }
}

function scheduleProblem(schedule: string): string | undefined {
  if (/^(\S+ ){4}\S+$/.test(schedule) && /^[\d*,/ A-Za-z-]+$/.test(schedule)) return undefined;
  return sentence({
    what: 'drill must be a cron schedule of five fields',
    got: schedule,
    fix: "write it like '0 4 * * 0', Sundays at 4:00 UTC",
  });
}
