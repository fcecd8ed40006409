import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { prefixOfName } from '../values/connection-fields';
import { portProblem, serviceNameProblem } from '../values/names';
import { commandProblem } from '../values/processes';
import { defaultProbes, portsOf, transportOf, type ServicePort } from '../values/ports';
import { sentence } from '../values/problem';
import type { Autoscaling } from '../values/scale';
import { DRAIN } from '../values/service-kinds';
import { optionProblems, type ServiceOptions } from '../values/service-options';
import { Client, Connections, openBetween, type Connectable, type ConnectionName, type Peer } from './connections';
import { addBeforeRollout } from './before-rollout';
import { disruptionBudget } from './disruption-budget';
import type { EnvValue } from './env';
import { scrapeAnnotations } from './exporter';
import { labels, selectorLabels, type Labels } from './labels';
import { late } from './late';
import { OutsideRoute } from './outside-route';
import { spreadOverNodes } from './placement';
import { overrideManifests, type ManifestOverride } from './rendering';
import { mountFiles } from './service-files';
import { ServicePod, type PodProps } from './service-pod';
import { giveSecrets, ownSecrets } from './service-secrets';
import { mountVolumeOf, type VolumeMountOptions, type VolumeOwner } from './shared-volumes';
import { serviceVolumes, type ServiceVolume, type ServiceVolumes } from './service-volumes';
import { assertValid, namespaceOf, fail } from './validation';

/** Port and path of the metrics, and which pods may read them. */
export interface Metrics {
  /** @default the port of the service */
  readonly port?: number;
  /** @default /metrics */
  readonly path?: string;
  /** Pods that may read them, such as those of Prometheus. Opens the network for them. @default none */
  readonly scrapedBy?: Peer;
}

/** Props of a service. Only the image is required; the defaults are valid in a restricted namespace. */
export interface MicroserviceDeploymentProps extends Omit<ServiceOptions, 'secrets'>, PodProps {
  /** Folders that outlive the pods, by name, each on a disk of a node or of a storage class. @default none */
  readonly volumes?: Readonly<Record<string, ServiceVolume>>;
  /** A worker has no port and no Service, and nothing connects to it. For a job see ScheduledJob. @default server */
  readonly kind?: 'server' | 'worker';
  /** Name of all its objects: a DNS label of at most 52 characters. @default the construct's id */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Routes from outside the cluster. @default none */
  readonly routes?: readonly OutsideRoute[];
  /** Annotates the pods for a Prometheus that scrapes annotated pods. @default no annotations */
  readonly metrics?: Metrics;
  /** Runs before SIGTERM, within `terminationGracePeriod`. @default nothing */
  readonly preStop?: readonly string[];
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** The new pod must be ready before an old one stops, so that there are never fewer than wanted. */
const NEW_POD_FIRST: k8s.DeploymentStrategy = {
  type: 'RollingUpdate',
  rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(0), maxSurge: k8s.IntOrString.fromNumber(1) },
};
/** Two pods would write to one volume at once, and a program that locks its files would never become ready. */
const ONE_AFTER_ANOTHER: k8s.DeploymentStrategy = { type: 'Recreate' };

/** Which port of a service a client uses, and the name of the connection. */
export interface ServiceConnection extends ConnectionName {
  /** Name of a port. @default the first */
  readonly port?: string;
}

/** A long-running service or worker: Deployment, Service, ServiceAccount without a token, and only the declared connections. */
export class MicroserviceDeployment extends Client implements Connectable<ServiceConnection | undefined> {
  /** Name of the service and of all its objects, and of its role or user in databases. */
  readonly name: string;
  /** Its namespace: part of the host name that other services get. */
  readonly namespace: string;
  /** Its ports, the default first. Empty for a worker. */
  readonly ports: readonly ServicePort[];
  /** Default port of the Service; other services get it as NAME_PORT. Undefined for a worker. */
  readonly port?: number;
  /** Its NetworkPolicy: DNS, its targets, its clients, and the controllers of its routes. */
  readonly connections: Connections;
  /** Replaces one pod at a time and starts the new one first. Has no `replicas` with an autoscaler. Undefined with `statefulSet`. */
  readonly deployment?: k8s.KubeDeployment;
  /** Instead of the Deployment if each replica has volumes of its own. */
  readonly statefulSet?: k8s.KubeStatefulSet;
  /** Address of its pods inside the cluster; outside clients need a route. Undefined for a worker. */
  readonly service?: k8s.KubeService;
  /** Has no permissions, and its token is not mounted: these pods do not use the API server. */
  readonly serviceAccount: k8s.KubeServiceAccount;
  /** Holds `files`; undefined without them. Its hash is in the pod template, so a change replaces the pods. */
  readonly configMap?: k8s.KubeConfigMap;
  /** Lets a drain evict one pod at a time. Undefined when there may be only one pod. */
  readonly podDisruptionBudget?: k8s.KubePodDisruptionBudget;
  /** Sets the number of pods by CPU use. Undefined without `autoscaling`. */
  readonly autoscaler?: k8s.KubeHorizontalPodAutoscalerV2;
  /** Runs before new pods start. Undefined without `beforeRollout`. Only the rendered name has the hash. */
  readonly beforeRollout?: k8s.KubeJob;
  private readonly pod: ServicePod;
  /** Its volumes with their claims; undefined without. */
  readonly volumes?: ServiceVolumes;
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
    this.validate();
    this.ports = portsOf(props);
    this.port = this.ports[0]?.service;
    const identity = { app: 'microservice', instance: this.name, component: 'service' };
    this.selector = selectorLabels(identity);
    this.allLabels = labels(identity);
    this.pod = this.makePod();
    this.volumes = serviceVolumes(this, {
      name: this.name,
      namespace: this.namespace,
      labels: this.allLabels,
      replicas: props.replicas ?? 1,
      volumes: props.volumes,
    });
    this.volumes?.mountInto(this.pod);
    this.connections = new Connections(this, 'connections', {
      ...this.metadata(),
      selector: this.selector,
      labels: this.allLabels,
      // Stays with the volumes: it says what they hold.
      keep: this.volumes !== undefined,
      annotations: this.volumes?.identity,
    });
    this.serviceAccount = new k8s.KubeServiceAccount(this, 'account', {
      metadata: this.metadata(),
      automountServiceAccountToken: false,
    });
    giveSecrets(this, this, this.pod, props.secrets);
    this.configMap = mountFiles(this, this.pod, this.metadata(), props.files);
    if (props.metrics?.scrapedBy) this.connections.allowFrom(props.metrics.scrapedBy, { port: this.metricsPort()! });
    if (this.volumes?.perReplica) this.statefulSet = this.makeStatefulSet(this.volumes);
    else this.deployment = this.makeDeployment();
    this.pod.finish((this.statefulSet ?? this.deployment)!);
    if (this.ports.length > 0) this.service = this.makeService();
    if ((props.autoscaling?.minReplicas ?? props.replicas ?? 1) > 1)
      this.podDisruptionBudget = disruptionBudget(this, this.metadata(), this.selector, {
        // A pod that was never ready must not block the drain of its node.
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
      });
    if (props.autoscaling) this.autoscaler = this.makeAutoscaler(props.autoscaling);
    if (this.service)
      OutsideRoute.render(
        this,
        {
          ...this.metadata(),
          service: this.service,
          ports: this.ports,
          connections: this.connections,
        },
        props.routes ?? [],
      );
    this.beforeRollout = addBeforeRollout(this, this.pod, props.beforeRollout);
    overrideManifests(this, props.overrideManifest);
  }

  /** Connects another service, which gets NAME_HOST, NAME_PORT and NAME_URL, with this service's name, `as` or `envPrefix`. */
  accept(client: Client, options: ServiceConnection = {}): void {
    if (client === this)
      fail(this, {
        what: 'a service must connect to another',
        got: this.name,
        fix: 'remove the connection to itself: a pod always reaches itself',
      });
    const port = this.portOf(options.port);
    const host = `${this.name}.${this.namespace}.svc.cluster.local`;
    const address = `${host}:${port.service}`;
    const url = port.protocol === 'http' ? `http://${address}` : undefined;
    client.addConnection(
      options,
      { name: this.name, prefix: prefixOfName(this.name) },
      { kind: 'service', fields: { host, port: String(port.service), url, address } },
    );
    openBetween(client.connections, this.connections, { port: port.container, protocol: transportOf(port) });
  }

  /** A port by name, or the default one. @throws on a worker, and on a name that it does not have */
  portOf(name?: string): ServicePort {
    const found = name === undefined ? this.ports[0] : this.ports.find((port) => port.name === name);
    if (found !== undefined) return found;
    if (this.ports.length > 0)
      return fail(this, {
        what: 'a connection must name a port of its target',
        got: name,
        allowed: this.ports.map((port) => port.name).join(', '),
        fix: `name one of them, or add it to ports of ${this.name}`,
      });
    return fail(this, {
      what: 'a connection must lead to a server',
      got: `${this.name}, which is a worker and listens on no port`,
      fix: "remove the connection, or kind: 'worker'",
    });
  }

  /** Adds environment variables. @throws on a name that is taken or invalid */
  addEnv(env: Readonly<Record<string, EnvValue>>): void {
    this.pod.addEnv(env);
  }

  /** Mounts a volume of another service of the same namespace too. @throws on a volume that its pods cannot mount together */
  mountVolume(owner: VolumeOwner, options: VolumeMountOptions): void {
    mountVolumeOf(this, this.pod, owner, options);
  }

  private validate(): void {
    const { metrics, routes = [] } = this.props;
    assertValid(
      this,
      serviceNameProblem(this.name, 'the name of a service', 52),
      this.props.kind === ('job' as string)
        ? 'kind must be server or worker, got "job"; use new ScheduledJob'
        : undefined,
      ...optionProblems({ ...this.props, secrets: ownSecrets(this.props.secrets) }),
      this.props.preStop && this.props.drain
        ? sentence({ what: 'preStop must be left out with drain', got: this.props.preStop, fix: 'use one of the two' })
        : undefined,
      this.props.preStop && commandProblem(this.props.preStop, 'preStop'),
      metrics?.port === undefined ? undefined : portProblem(metrics.port, 'metrics.port'),
      this.props.kind === 'worker' && routes.length > 0
        ? sentence({
            what: 'routes must lead to a server',
            got: 'a worker, which listens on no port',
            fix: "remove routes, or kind: 'worker'",
          })
        : undefined,
      this.props.kind === 'worker' && metrics && metrics.port === undefined
        ? sentence({
            what: 'metrics.port must be given for a worker',
            got: undefined,
            fix: 'write the port of the metrics',
          })
        : undefined,
    );
  }

  private metadata(): { name: string; namespace: string; labels: Record<string, string> } {
    return { name: this.name, namespace: this.namespace, labels: { ...this.allLabels } };
  }

  private metricsPort(): number | undefined {
    const named = this.ports.find(({ name }) => name === 'metrics')?.container;
    return this.props.metrics ? (this.props.metrics.port ?? named ?? this.ports[0]?.container) : named;
  }

  private makePod(): ServicePod {
    const { props } = this;
    const metricsPort = this.metricsPort();
    const pod = new ServicePod(this, {
      ...props,
      name: this.name,
      namespace: this.namespace,
      ports: this.ports,
      metricsPort,
      probes: props.probes ?? defaultProbes(this.ports),
      // A command of the owner drains by itself.
      drain: this.ports.length > 0 && !props.preStop ? (props.drain ?? DRAIN) : undefined,
    });
    if (props.probes?.reason !== undefined) pod.annotate({ 'collab-homelab/no-probes': props.probes.reason });
    if (metricsPort !== undefined) pod.annotate(scrapeAnnotations({ ...props.metrics, port: metricsPort }));
    return pod;
  }

  private makeService(): k8s.KubeService {
    return new k8s.KubeService(this, 'service', {
      metadata: this.metadata(),
      spec: {
        selector: { ...this.selector },
        ports: this.ports.map((port) => ({
          name: port.name,
          port: port.service,
          targetPort: k8s.IntOrString.fromString(port.name),
          protocol: transportOf(port),
          // A gateway reads there that pods speak HTTP/2 without TLS.
          appProtocol: port.protocol === 'grpc' ? 'kubernetes.io/h2c' : undefined,
        })),
      },
    });
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
          strategy: this.volumes ? ONE_AFTER_ANOTHER : NEW_POD_FIRST,
          revisionHistoryLimit: 3,
          template: { metadata: { labels: { ...this.allLabels }, annotations }, spec },
        };
      }),
    });
  }

  private makeStatefulSet(volumes: ServiceVolumes): k8s.KubeStatefulSet {
    const topologySpreadConstraints = spreadOverNodes(this.selector);
    return volumes.statefulSet(this, this.metadata(), this.selector, () => {
      const { annotations, spec } = this.pod.render({ topologySpreadConstraints });
      return { metadata: { labels: { ...this.allLabels }, annotations }, spec };
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
