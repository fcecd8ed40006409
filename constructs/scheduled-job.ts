import { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { dnsLabelProblem } from '../values/names';
import type { ScheduleOptions } from '../values/schedule';
import { optionProblems, type ServiceOptions } from '../values/service-options';
import { Client, Connections } from './connections';
import type { EnvValue } from './env';
import { labels, selectorLabels } from './labels';
import { late } from './late';
import { overrideManifests, type ManifestOverride } from './rendering';
import { mountFiles } from './service-files';
import { mountVolumeOf, type VolumeMountOptions, type VolumeOwner } from './shared-volumes';
import { giveSecrets, ownSecrets } from './service-secrets';
import { ServicePod, type PodProps } from './service-pod';
import { assertValid, namespaceOf } from './validation';

/** Options of a service that a job has no use for, or that the pods' own take the place of. */
type OfServices =
  'secrets' | 'kind' | 'port' | 'ports' | 'probes' | 'replicas' | 'autoscaling' | 'drain' | 'beforeRollout' | 'volumes';

/** Props of a job that runs by a schedule. */
export interface ScheduledJobProps extends Omit<ServiceOptions, OfServices>, ScheduleOptions, PodProps {
  /** Cron schedule of five fields, as '30 3 * * *': each day at 3:30. */
  readonly schedule: string;
  /** Name of all its objects: a DNS label of at most 52 characters, because a run appends its time. @default the construct's id */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/**
 * A job that runs by a schedule: CronJob, ServiceAccount without a token, and only the declared connections. A run that was due
 * while the cluster was off starts once when it is back.
 */
export class ScheduledJob extends Client {
  /** Name of all its objects, and of its role or user in databases. */
  readonly name: string;
  /** Namespace of its pods. */
  readonly namespace: string;
  /** Its NetworkPolicy: DNS and its targets. */
  readonly connections: Connections;
  /** Makes a Job for each run. */
  readonly cronJob: k8s.KubeCronJob;
  /** Holds `files`; undefined without them. */
  readonly configMap?: k8s.KubeConfigMap;
  /** Has no permissions, and its token is not mounted. */
  readonly serviceAccount: k8s.KubeServiceAccount;
  private readonly pod: ServicePod;

  constructor(scope: Construct, id: string, props: ScheduledJobProps) {
    super(scope, id);
    const name = (this.name = props.name ?? id);
    const namespace = (this.namespace = namespaceOf(this, props.namespace));
    // A Job's name is that of the CronJob and 11 characters, at most 63.
    assertValid(
      this,
      dnsLabelProblem(name, 'the name of a job', 52),
      ...optionProblems({ ...props, secrets: ownSecrets(props.secrets), kind: 'job' }),
    );
    const identity = { app: 'job', instance: name, component: 'job' };
    const metadata = { name, namespace, labels: { ...labels(identity) } };
    this.pod = new ServicePod(this, { ...props, name, namespace });
    this.connections = new Connections(this, 'connections', { ...metadata, selector: selectorLabels(identity) });
    this.serviceAccount = new k8s.KubeServiceAccount(this, 'account', {
      metadata,
      automountServiceAccountToken: false,
    });
    giveSecrets(this, this, this.pod, props.secrets);
    this.configMap = mountFiles(this, this.pod, metadata, props.files);
    this.cronJob = new k8s.KubeCronJob(this, 'cron-job', {
      metadata,
      spec: late(() => this.spec(props, metadata.labels)),
    });
    overrideManifests(this, props.overrideManifest);
  }

  /** Adds environment variables. @throws on a name that is taken or invalid */
  addEnv(env: Readonly<Record<string, EnvValue>>): void {
    this.pod.addEnv(env);
  }

  /** Mounts a volume of another service of the same namespace too. @throws on a volume that its pods cannot mount together */
  mountVolume(owner: VolumeOwner, options: VolumeMountOptions): void {
    mountVolumeOf(this, this.pod, owner, options);
  }

  private spec(props: ScheduledJobProps, podLabels: Record<string, string>): k8s.CronJobSpec {
    const { annotations, spec } = this.pod.render({
      // Each try is a pod of its own, so that the log of a failed one stays.
      restartPolicy: 'Never',
    });
    return {
      schedule: props.schedule,
      timeZone: props.timeZone ?? 'Etc/UTC',
      concurrencyPolicy: props.concurrency ?? 'Forbid',
      successfulJobsHistoryLimit: props.history?.succeeded ?? 1,
      failedJobsHistoryLimit: props.history?.failed ?? 3,
      jobTemplate: {
        metadata: { labels: podLabels },
        spec: {
          backoffLimit: props.retries ?? 2,
          activeDeadlineSeconds: (props.deadline ?? Duration.hours(1)).toSeconds(),
          template: { metadata: { labels: podLabels, annotations }, spec },
        },
      },
    };
  }
}
