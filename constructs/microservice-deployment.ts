import type { Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { prefixOfName } from '../values/connection-fields';
import { dnsNameProblem, portProblem, serviceNameProblem } from '../values/names';
import { filesProblem, mountPathsProblem } from '../values/files';
import { Probes } from '../values/probes';
import type { ServiceOptions } from '../values/service-options';
import { Client, Connections, openBetween, type Connectable, type ConnectionName, type Peer } from './connections';
import { disruptionBudget } from './disruption-budget';
import type { EnvValue } from './env';
import { scrapeAnnotations } from './exporter';
import { labels, selectorLabels, type Labels } from './labels';
import { late } from './late';
import { OutsideRoute } from './outside-route';
import { spreadOverNodes, type Placement } from './placement';
import { overrideManifests, type ManifestOverride } from './rendering';
import type { Resources } from './resources';
import { ServicePod } from './service-pod';
import { assertValid, namespaceOf, fail } from './validation';

/** Number of pods by load. Requires a metrics server in the cluster: CPU use is compared with the request. */
export interface Autoscaling {
  /** Minimum number of pods, from 1. From 2 on a PodDisruptionBudget is rendered. */
  readonly minReplicas: number;
  /** Maximum number of pods: more than `minReplicas`, up to 50. */
  readonly maxReplicas: number;
  /** Target average use of the requested CPU, in percent. @default 70: leaves a reserve for the minute that a new pod needs */
  readonly cpuPercent?: number;
}

/** Port and path of the metrics, and which pods may read them. */
export interface Metrics {
  /** @default the port of the service */
  readonly port?: number;
  /** @default /metrics */
  readonly path?: string;
  /** Pods that may read them, such as those of Prometheus. Opens the network for them. @default none */
  readonly scrapedBy?: Peer;
}

/** Props of a stateless service. Only the image is required; the defaults are valid in a restricted namespace. */
export interface MicroserviceDeploymentProps extends ServiceOptions {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Resources of its one container. The memory is request and limit. @default 256 MiB, 100m */
  readonly resources?: Resources;
  /** Name of all its objects: a DNS label of at most 52 characters. @default the construct's id */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Autoscaling instead of a fixed number of pods. The manifest then has no `replicas`, which each sync would reset. */
  readonly autoscaling?: Autoscaling;
  /** Environment variables; `$(NAME)` refers to any other one, including those of connections. @default none */
  readonly env?: Readonly<Record<string, EnvValue>>;
  /** Files by name, mounted at `configPath`; a change rolls the pods. @default none */
  readonly config?: Readonly<Record<string, string>>;
  /** @default /etc/config */
  readonly configPath?: string;
  /** @default any node */
  readonly placement?: Placement;
  /** Routes from outside the cluster. @default none */
  readonly routes?: readonly OutsideRoute[];
  /** Annotates the pods for a Prometheus that scrapes annotated pods. @default no annotations */
  readonly metrics?: Metrics;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** @default none */
  readonly priorityClassName?: string;
  /** Numeric user and group of the process. @default 10001: above 10000, so that no user of the node has the same number */
  readonly user?: number;
  /** Largest size of /tmp, the one writable folder. @default 64 MiB */
  readonly tmp?: Size;
  /** Runs before SIGTERM, within `terminationGracePeriod`. @default nothing */
  readonly preStop?: readonly string[];
  /** Command and arguments instead of the image's. @default the image's */
  readonly command?: readonly string[];
  /** @default the image's */
  readonly args?: readonly string[];
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** A long-running stateless service: Deployment, Service, ServiceAccount without a token, and only the declared connections. */
export class MicroserviceDeployment extends Client implements Connectable<ConnectionName | undefined> {
  /** Name of the service and of all its objects, and of its role or user in databases. */
  readonly name: string;
  /** Its namespace: part of the host name that other services get. */
  readonly namespace: string;
  /** Port of the container and of the Service; other services get it as NAME_PORT. */
  readonly port: number;
  /** Its NetworkPolicy: DNS, its targets, its clients, and the controllers of its routes. */
  readonly connections: Connections;
  /** Replaces one pod at a time and starts the new one first. Has no `replicas` with an autoscaler. */
  readonly deployment: k8s.KubeDeployment;
  /** Address of its pods inside the cluster; outside clients need a route. */
  readonly service: k8s.KubeService;
  /** Has no permissions, and its token is not mounted: these pods do not use the API server. */
  readonly serviceAccount: k8s.KubeServiceAccount;
  /** The files of `config`; undefined without it. Its hash is in the pod template, so a change rolls the pods. */
  readonly configMap?: k8s.KubeConfigMap;
  /** Lets a drain evict one pod at a time. Undefined when there may be only one pod. */
  readonly podDisruptionBudget?: k8s.KubePodDisruptionBudget;
  /** Sets the number of pods by CPU use. Undefined without `autoscaling`. */
  readonly autoscaler?: k8s.KubeHorizontalPodAutoscalerV2;
  private readonly pod: ServicePod;
  private readonly selector: Labels;
  private readonly allLabels: Labels;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: MicroserviceDeploymentProps,
  ) {
    super(scope, id);
    this.name = props.name ?? id;
    this.namespace = namespaceOf(this, props.namespace);
    this.port = props.port ?? 8080;
    this.validate();
    const identity = { app: 'microservice', instance: this.name, component: 'service' };
    this.selector = selectorLabels(identity);
    this.allLabels = labels(identity);
    this.pod = this.makePod();
    this.connections = new Connections(this, 'connections', {
      ...this.metadata(),
      selector: this.selector,
      labels: this.allLabels,
    });
    this.serviceAccount = new k8s.KubeServiceAccount(this, 'account', {
      metadata: this.metadata(),
      automountServiceAccountToken: false,
    });
    if (props.config) this.configMap = this.mountConfig(props.config);
    if (props.metrics?.scrapedBy)
      this.connections.allowFrom(props.metrics.scrapedBy, { port: props.metrics.port ?? this.port });
    this.deployment = this.makeDeployment();
    this.service = new k8s.KubeService(this, 'service', {
      metadata: this.metadata(),
      spec: {
        selector: { ...this.selector },
        ports: [{ name: 'http', port: this.port, targetPort: k8s.IntOrString.fromString('http'), protocol: 'TCP' }],
      },
    });
    if ((props.autoscaling?.minReplicas ?? props.replicas ?? 1) > 1)
      this.podDisruptionBudget = disruptionBudget(this, this.metadata(), this.selector, {
        // A pod that was never ready must not block the drain of its node.
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
      });
    if (props.autoscaling) this.autoscaler = this.makeAutoscaler(props.autoscaling);
    OutsideRoute.render(
      this,
      {
        ...this.metadata(),
        service: this.service,
        ports: [{ name: 'http', container: this.port, service: this.port, protocol: 'http' }],
        connections: this.connections,
      },
      props.routes ?? [],
    );
    overrideManifests(this, props.overrideManifest);
  }

  /** Connects another service, which gets NAME_HOST, NAME_PORT and NAME_URL, with this service's name, `as` or `envPrefix`. */
  accept(client: Client, name: ConnectionName | undefined): void {
    if (client === this)
      fail(this, {
        what: 'a service must connect to another',
        got: this.name,
        fix: 'remove the connection to itself: a pod always reaches itself',
      });
    const host = `${this.name}.${this.namespace}.svc.cluster.local`;
    const address = `${host}:${this.port}`;
    client.addConnection(
      name,
      { name: this.name, prefix: prefixOfName(this.name) },
      { kind: 'service', fields: { host, port: String(this.port), url: `http://${address}`, address } },
    );
    openBetween(client.connections, this.connections, this.port);
  }

  /** Adds environment variables. @throws on a name that is taken or invalid */
  addEnv(env: Readonly<Record<string, EnvValue>>): void {
    this.pod.addEnv(env);
  }

  private validate(): void {
    const { replicas, autoscaling, terminationGracePeriod, metrics, config, configPath, pullSecrets } = this.props;
    assertValid(
      this,
      serviceNameProblem(this.name, 'the name of a service', 52),
      portProblem(this.port, 'port'),
      metrics?.port === undefined ? undefined : portProblem(metrics.port, 'metrics.port'),
      config && filesProblem(config, 'config'),
      mountPathsProblem(['/tmp', configPath ?? '/etc/config'], 'configPath'),
      ...(pullSecrets ?? []).map((name) => dnsNameProblem(name, 'the name of a pull secret')),
    );
    if (replicas !== undefined && autoscaling) {
      fail(this, {
        what: 'a service must have either replicas or autoscaling',
        got: { replicas, autoscaling },
        fix: 'leave `replicas` out: the autoscaler sets it',
      });
    }
    if (replicas !== undefined && !(Number.isInteger(replicas) && replicas >= 1 && replicas <= 50)) {
      fail(this, {
        what: 'replicas must be between 1 and 50',
        got: replicas,
        fix: 'use MicroserviceDeployment only for services that run, or remove it from homelab.ts',
      });
    }
    if (autoscaling) {
      const { minReplicas, maxReplicas, cpuPercent = 70 } = autoscaling;
      if (!(
        Number.isInteger(minReplicas) &&
        Number.isInteger(maxReplicas) &&
        minReplicas >= 1 &&
        minReplicas < maxReplicas &&
        maxReplicas <= 50
      )) {
        fail(this, {
          what: 'autoscaling must have 1 <= minReplicas < maxReplicas <= 50',
          got: { minReplicas, maxReplicas },
          fix: 'use `replicas` for a fixed number',
        });
      }
      if (!(Number.isInteger(cpuPercent) && cpuPercent >= 1 && cpuPercent <= 100))
        fail(this, {
          what: 'autoscaling.cpuPercent must be a whole number from 1 to 100',
          got: cpuPercent,
          fix: 'leave it out for 70',
        });
    }
    if (terminationGracePeriod && terminationGracePeriod.toSeconds() < 1)
      fail(this, {
        what: 'terminationGracePeriod must be at least 1 s',
        got: terminationGracePeriod.toSeconds(),
        fix: 'leave it out for 30 s',
      });
  }

  private metadata(): { name: string; namespace: string; labels: Record<string, string> } {
    return { name: this.name, namespace: this.namespace, labels: { ...this.allLabels } };
  }

  private makePod(): ServicePod {
    const { props } = this;
    const metricsPort = props.metrics?.port;
    const pod = new ServicePod(this, {
      ...props,
      name: this.name,
      namespace: this.namespace,
      ports: [
        { name: 'http', containerPort: this.port, protocol: 'TCP' },
        ...(metricsPort !== undefined && metricsPort !== this.port
          ? [{ name: 'metrics', containerPort: metricsPort, protocol: 'TCP' }]
          : []),
      ],
      probes: props.probes ?? Probes.http(),
    });
    pod.annotate(scrapeAnnotations(props.metrics && { ...props.metrics, port: metricsPort ?? this.port }));
    return pod;
  }

  private mountConfig(config: Readonly<Record<string, string>>): k8s.KubeConfigMap {
    this.pod.addVolume(
      { name: 'config', configMap: { name: this.name } },
      { mountPath: this.props.configPath ?? '/etc/config', readOnly: true },
    );
    this.pod.rollsWith('config', config);
    return new k8s.KubeConfigMap(this, 'config', { metadata: this.metadata(), data: { ...config } });
  }

  private makeDeployment(): k8s.KubeDeployment {
    // Also with one replica: adding it with the second would change the template and restart the first.
    // Counts only pods of one revision: otherwise the old pod would push the new one off the preferred node.
    const topologySpreadConstraints = spreadOverNodes(this.selector, ['pod-template-hash']);
    return new k8s.KubeDeployment(this, 'deployment', {
      metadata: this.metadata(),
      spec: late((): k8s.DeploymentSpec => {
        const { annotations, spec } = this.pod.render({ topologySpreadConstraints });
        return {
          replicas: this.props.autoscaling ? undefined : (this.props.replicas ?? 1),
          selector: { matchLabels: { ...this.selector } },
          // The new pod must be ready before an old one stops, so that there are never fewer than wanted.
          strategy: {
            type: 'RollingUpdate',
            rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(0), maxSurge: k8s.IntOrString.fromNumber(1) },
          },
          revisionHistoryLimit: 3,
          template: { metadata: { labels: { ...this.allLabels }, annotations }, spec },
        };
      }),
    });
  }

  private makeAutoscaler({ minReplicas, maxReplicas, cpuPercent }: Autoscaling): k8s.KubeHorizontalPodAutoscalerV2 {
    // The class without a version in its name is autoscaling/v1; the list of metrics needs v2.
    return new k8s.KubeHorizontalPodAutoscalerV2(this, 'autoscaler', {
      metadata: this.metadata(),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: this.name },
        minReplicas,
        maxReplicas,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpuPercent ?? 70 } },
          },
        ],
      },
    });
  }
}
