import { Size, type ApiObject } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { mountPathsProblem } from '../values/files';
import { dnsNameProblem, imageProblem } from '../values/names';
import { transportOf, type ServicePort } from '../values/ports';
import { GRACE } from '../values/service-kinds';
import type { ServiceOptions } from '../values/service-options';
import { userOf } from '../values/shared-volumes';
import { scratchMemoryProblem } from '../values/volumes';
import { Environment, type EnvValue } from './env';
import { podSpecOf } from './footprint';
import { extraContainers } from './extra-containers';
import { requiredNodes, type Placement } from './placement';
import { containerProbes } from './probes';
import { contentHash, filled, onRender } from './rendering';
import { resourceRequirements, withDevices, type Resources } from './resources';
import { scratchVolumes } from './scratch';
import { allowedAnnotations, containerSecurity, hardenedPod } from './security';
import type { ServiceSecret } from './service-secrets';
import { assertValid } from './validation';

/** What pods of every kind take, besides what homelab.ts can say. */
export interface PodProps {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Resources of its container. The memory is request and limit. @default 256 MiB, 100m */
  readonly resources?: Resources;
  /** Environment variables; `$(NAME)` refers to any other one, including those of connections. @default none */
  readonly env?: Readonly<Record<string, EnvValue>>;
  /** Secrets by the name of the variable that holds the value: its own, shared ones, or keys of declared secrets. @default none */
  readonly secrets?: Readonly<Record<string, ServiceSecret>>;
  /** @default any node */
  readonly placement?: Placement;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** @default none */
  readonly priorityClassName?: string;
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
}

/** Options of a service that are of its pods, whatever runs them. */
type OfPods =
  | 'allow'
  | 'args'
  | 'capabilities'
  | 'command'
  | 'devices'
  | 'drain'
  | 'initContainers'
  | 'on'
  | 'probes'
  | 'scratch'
  | 'sidecars'
  | 'terminationGracePeriod'
  | 'user';

/** What the pods of one construct run. */
export interface ServicePodProps extends PodProps, Pick<ServiceOptions, OfPods> {
  /** Name of the container and of the ServiceAccount. */
  readonly name: string;
  readonly namespace: string;
  /** @default none */
  readonly ports?: readonly ServicePort[];
  /** Port of the metrics, where it is none of `ports`. @default none */
  readonly metricsPort?: number;
  readonly preStop?: readonly string[];
}

/**
 * The pods of a service: environment, volumes, container, security, and the annotations whose change rolls them. Constructs add
 * to it before rendering; `render` is pure, so that a `late` value may call it.
 */
export class ServicePod {
  private readonly environment: Environment;
  private readonly resources: k8s.ResourceRequirements;
  private readonly mounted: { readonly volume: k8s.Volume; readonly mount: k8s.VolumeMount }[] = [];
  private readonly initContainers: k8s.Container[] = [];
  private readonly annotations: Record<string, () => string> = {};

  constructor(
    private readonly owner: Construct,
    private readonly props: ServicePodProps,
  ) {
    const resources = props.resources ?? { memory: Size.mebibytes(256), cpu: Cpu.millis(100) };
    assertValid(
      owner,
      imageProblem(props.image, 'image'),
      scratchMemoryProblem(props.scratch, resources.memory, props.name),
      ...(props.pullSecrets ?? []).map((name) => dnsNameProblem(name, 'the name of a pull secret')),
    );
    this.resources = resourceRequirements(owner, resources);
    this.environment = new Environment(owner, props.namespace, props.env);
    this.annotate(allowedAnnotations(props));
    for (const { volume, path } of scratchVolumes(props.scratch)) this.addVolume(volume, { mountPath: path });
  }

  /** User and group of its processes. */
  get user(): number {
    return userOf(this.props);
  }

  /** Adds environment variables. @throws on a name that is taken or invalid */
  addEnv(env: Readonly<Record<string, EnvValue>>): void {
    this.environment.add(env);
  }

  /**
   * Adds a volume and its mount. A volume of the same name is rendered once, with all its mounts. One that has only a name comes
   * from a claim template.
   */
  addVolume(volume: k8s.Volume, mount: Omit<k8s.VolumeMount, 'name'>): void {
    const paths = this.mounted.map(({ mount: { mountPath } }) => mountPath);
    assertValid(this.owner, mountPathsProblem([...paths, mount.mountPath], 'each path of a volume, file or secret'));
    this.mounted.push({ volume, mount: { ...mount, name: volume.name } });
  }

  /** Number of mounted volumes whose name starts so. */
  count(start: string): number {
    return this.mounted.filter(({ volume }) => volume.name.startsWith(start)).length;
  }

  /** Adds a container that must succeed before the others start. They run one after another. */
  addInitContainer(container: k8s.Container): void {
    this.initContainers.push(container);
  }

  /** Rolls the pods when this content changes, by the annotation `checksum/KEY`. Call with a function for content that is known late. */
  rollsWith(key: string, content: unknown): void {
    this.annotations[`checksum/${key}`] = () =>
      contentHash(typeof content === 'function' ? (content as () => unknown)() : content);
  }

  /** Adds annotations of the pods. */
  annotate(annotations: Readonly<Record<string, string>> = {}): void {
    for (const [key, value] of Object.entries(annotations)) this.annotations[key] = () => value;
  }

  /** The pod template without labels. `more` adds fields that depend on the kind of workload. */
  render(more: Partial<k8s.PodSpec> = {}): {
    readonly annotations?: Record<string, string>;
    readonly spec: k8s.PodSpec;
  } {
    return {
      annotations:
        Object.keys(this.annotations).length > 0
          ? Object.fromEntries(Object.entries(this.annotations).map(([key, value]) => [key, value()]))
          : undefined,
      spec: (this.props.overridePodSpec ?? ((spec) => spec))({ ...this.spec(), ...more }),
    };
  }

  private spec(): k8s.PodSpec {
    const { props } = this;
    const volumes = new Map(this.mounted.map(({ volume }) => [volume.name, volume]));
    const placement = props.on === undefined ? props.placement : requiredNodes(props.on);
    const own = this.container();
    // What makes volumes usable comes first.
    const initContainers = [...this.initContainers, ...extraContainers(this.owner, own, props)];
    return {
      serviceAccountName: props.name,
      ...hardenedPod(this.user, props),
      terminationGracePeriodSeconds: (props.terminationGracePeriod ?? GRACE).toSeconds(),
      affinity: placement && { nodeAffinity: placement.nodeAffinity },
      initContainers: initContainers.length > 0 ? initContainers : undefined,
      containers: [{ ...own, resources: withDevices(own.resources!, props.devices) }],
      volumes: [...volumes.values()].filter((volume) => Object.keys(volume).length > 1),
    };
  }

  /** Undefined instead of an empty list: the API server drops empty lists, so Argo CD would always show a diff. */
  private containerPorts(): k8s.ContainerPort[] | undefined {
    const { ports = [], metricsPort } = this.props;
    const all = ports.map((port) => ({
      name: port.name,
      containerPort: port.container,
      protocol: transportOf(port) as string,
    }));
    if (metricsPort !== undefined && !all.some(({ containerPort }) => containerPort === metricsPort))
      all.push({ name: 'metrics', containerPort: metricsPort, protocol: 'TCP' });
    return all.length > 0 ? all : undefined;
  }

  /** Adds to a workload what the types of Kubernetes 1.28 lack: the native sleep before SIGTERM, which needs no shell in the image. */
  finish(workload: ApiObject): void {
    const drain = this.props.drain?.toSeconds() ?? 0;
    if (drain === 0) return;
    onRender(workload, (json) => {
      const [container] = podSpecOf(json)!.containers;
      container.lifecycle = { preStop: { sleep: { seconds: drain } }, ...container.lifecycle };
      return json;
    });
  }

  private container(): k8s.Container {
    const { props } = this;
    return {
      name: props.name,
      image: props.image,
      command: props.command && [...props.command],
      args: filled(props.args),
      ports: this.containerPorts(),
      env: this.environment.render(),
      resources: this.resources,
      ...(props.probes && containerProbes(props.probes, props.ports ?? [])),
      lifecycle: props.preStop && { preStop: { exec: { command: [...props.preStop] } } },
      securityContext: containerSecurity(props),
      volumeMounts: this.mounted.map(({ mount }) => mount),
    };
  }
}
