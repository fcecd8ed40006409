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

/** How one database is loaded again from its backups. */
export interface DatabaseRestoreProps {
  readonly backup: DatabaseBackup;
  /** Of the database. */
  readonly name: string;
  readonly namespace: string;
  /** Of the database: its programs load what was fetched. */
  readonly image: string;
  /** Reads /restore/fetched.json, loads what stands there, and ends with 3 where another try would end in the same way. */
  readonly command: readonly string[];
  /** Scripts of the command, below /config. */
  readonly files: Readonly<Record<string, string>>;
  readonly env: readonly k8s.EnvVar[];
  readonly resources: Resources;
  /** The claim on whose disk the fetched files lie meanwhile, in the folder `restore`. */
  readonly claim: string;
  /** What is one series of backups, as for the container `backup`. */
  readonly group: 'tags' | 'host,tags';
  /** Cron schedule of the drill. */
  readonly drill?: string;
  readonly priorityClassName?: string;
  readonly pullSecrets?: readonly string[];
}

/**
 * A suspended CronJob from which `npm run homelab -- restore` and `restore-drill` make a Job: it is reviewed, counted in the budget
 * and held by a policy like everything else, and runs nothing by itself. With a schedule, another one that tries a restore.
 */
export class DatabaseRestore extends Construct {
  /** Of the pods that restore: DNS, the target, and the database once it opened its ports for them. */
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
        // Suspended, the schedule only has to be one.
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
              // The class of 1.28 asks for both kinds of reasons; the API takes one.
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
    // Without a value where there is none: the API server drops an empty one, so Argo CD would always show a diff.
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
