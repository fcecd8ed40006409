import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { mountPathsProblem } from '../values/files';
import { dnsLabelProblem, dnsNameProblem, imageProblem } from '../values/names';
import { syncWave } from './argo-cd';
import { Client, Connections } from './connections';
import { Environment, type EnvValue } from './env';
import { labels, selectorLabels } from './labels';
import { late } from './late';
import { jsonOf, nameByHash } from './rendering';
import { assertValid } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';

/** Props of a job. All are part of the hash, except namespace and sync wave. */
export interface HashNamedJobProps {
  /** Name before the hash; at most 52 characters. */
  readonly name: string;
  /** Namespace of the job. The chart's namespace is not used. */
  readonly namespace: string;
  /** Image with an exact version: with a moving tag the hash would not change, and the job would not run again. */
  readonly image: string;
  /** Command instead of the image's entrypoint. Must be idempotent: on failure it is restarted, up to 100 times. */
  readonly command: readonly string[];
  /** Resources of its one container. A changed job starts before Argo CD prunes its predecessor: plan for both. */
  readonly resources: Resources;
  /** Numeric user and group of the process. */
  readonly user: number;
  /** ConfigMaps that it reads, by mount path. Their content is part of the hash. */
  readonly reads: Readonly<Record<string, k8s.KubeConfigMap>>;
  /** @default none */
  readonly priorityClassName?: string;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** Sync wave. @default 0 */
  readonly wave?: number;
}

/**
 * A Job that runs again when its spec or its input changes. A Job's pod template is immutable, so its name ends in a hash over
 * its whole spec and over the ConfigMaps that it reads; Argo CD creates the new one and prunes the old one. It has no TTL:
 * Argo CD would create a finished Job again after its deletion.
 */
export class HashNamedJob extends Client {
  /** Its name without the hash: a role or user in a database stays the same when the job changes. */
  readonly name: string;
  /** Its namespace, in which the secrets that it reads must exist. */
  readonly namespace: string;
  /** Its NetworkPolicy: DNS and its connections. */
  readonly connections: Connections;
  /** The Job. Only the rendered name has the hash; `job.name` is the name without it. */
  readonly job: k8s.KubeJob;
  private readonly environment: Environment;

  constructor(scope: Construct, id: string, props: HashNamedJobProps) {
    super(scope, id);
    assertValid(
      this,
      dnsLabelProblem(props.name, 'the name of a job', 52),
      imageProblem(props.image, 'image'),
      mountPathsProblem(['/tmp', ...Object.keys(props.reads)], 'the path of a ConfigMap in `reads`'),
      ...(props.pullSecrets ?? []).map((name) => dnsNameProblem(name, 'the name of a pull secret')),
    );
    this.name = props.name;
    this.namespace = props.namespace;
    this.environment = new Environment(this, props.namespace);
    this.environment.add({ HOME: '/tmp' });
    const identity = { app: 'job', instance: props.name, component: 'job' };
    const { name, namespace } = props;
    this.connections = new Connections(this, 'connections', {
      name,
      namespace,
      selector: selectorLabels(identity),
      labels: labels(identity),
    });
    const resources = resourceRequirements(this, props.resources);
    const mounts = Object.entries(props.reads).map(([mountPath, map], index) => ({
      mountPath,
      map,
      name: `files-${index}`,
    }));
    this.job = new k8s.KubeJob(this, 'job', {
      metadata: { name, namespace, labels: { ...labels(identity) }, annotations: syncWave(props.wave ?? 0) },
      spec: late((): k8s.JobSpec => ({
        // OnFailure restarts the container in the same pod; the limit ends a loop of failures.
        backoffLimit: 100,
        template: {
          metadata: { labels: { ...labels(identity) } },
          spec: {
            restartPolicy: 'OnFailure',
            ...hardenedPod(props.user, props),
            containers: [
              {
                name: 'job',
                image: props.image,
                command: [...props.command],
                env: this.environment.render(),
                resources,
                securityContext: RESTRICTED_CONTAINER,
                volumeMounts: [
                  { name: 'tmp', mountPath: '/tmp' },
                  ...mounts.map((mount) => ({ name: mount.name, mountPath: mount.mountPath, readOnly: true })),
                ],
              },
            ],
            volumes: [
              { name: 'tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('64Mi') } },
              ...mounts.map((mount) => ({ name: mount.name, configMap: { name: mount.map.name } })),
            ],
          },
        },
      })),
    });
    nameByHash(this.job, name, () => Object.values(props.reads).map((map) => jsonOf(map).data));
  }

  /**
   * Adds environment variables. Of a secret only name and key are part of the hash: a changed password does not run the job
   * again. @throws on a name that is taken or invalid
   */
  addEnv(env: Readonly<Record<string, EnvValue>>): void {
    this.environment.add(env);
  }
}
