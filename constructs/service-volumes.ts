import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { sharingProblem } from '../values/shared-volumes';
import type { VolumeMount } from '../values/volumes';
import { KEEP } from './argo-cd';
import { identityAnnotation } from './identity';
import { images } from './images';
import type { Labels } from './labels';
import { late } from './late';
import { resourceRequirements } from './resources';
import { RESTRICTED_CONTAINER } from './security';
import type { ServicePod } from './service-pod';
import type { VolumeMountOptions } from './shared-volumes';
import { assertValid, fail } from './validation';
import { mountCheck, withClaimDefaults, type DataStorage } from './volumes';

/** A volume of a service, and the storage that it is on. It stays when the service is removed. */
export interface ServiceVolume extends VolumeMount {
  /**
   * A disk of a node, or a volume of a storage class. Its disks are named SERVICE-VOLUME, and with `perReplica`
   * SERVICE-VOLUME-0 and so on. May never change: a claim keeps its storage class, and data does not move.
   */
  readonly storage: DataStorage;
}

/** The service whose volumes these are. */
export interface ServiceVolumesProps {
  /** Name of the service. */
  readonly name: string;
  /** Namespace in which it runs. */
  readonly namespace: string;
  /** Labels of the claims. */
  readonly labels: Labels;
  /** Number of its pods. */
  readonly replicas: number;
  /** Its volumes by name. */
  readonly volumes: Readonly<Record<string, ServiceVolume>>;
}

/** Resources of the containers that check a mount or make a folder. */
const INIT_RESOURCES = { memory: Size.mebibytes(32), cpu: Cpu.millis(10) };

/** The volumes of a service with their claims. Exists also when the service is retired; only a running one mounts them. */
export class ServiceVolumes extends Construct {
  /** Whether each replica has its own. Its StatefulSet makes the claims then. */
  readonly perReplica: boolean;
  /** Claims of a service that has one pod. */
  readonly claims: readonly k8s.KubePersistentVolumeClaim[];
  /** User of the pods that own the files; undefined while the service is retired. */
  private user?: number;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: ServiceVolumesProps,
  ) {
    super(scope, id);
    const volumes = Object.entries(props.volumes);
    this.perReplica = volumes.some(([, { perReplica }]) => perReplica === true);
    this.claims = volumes.flatMap(([volume, { storage }]) => (this.perReplica ? [] : [this.claim(volume, storage)]));
    for (const [volume, { storage }] of volumes) this.declare(volume, storage);
  }

  /** Annotation of the policy, which stays when the service is retired: what the plan compares while no pod runs. */
  get identity(): Readonly<Record<string, string>> {
    const { volumes, replicas } = this.props;
    const { perReplica } = this;
    return identityAnnotation({ volumes: Object.keys(volumes), perReplica, ...(perReplica && { replicas }) });
  }

  /** Adds the volumes to the pods. Disks are checked first: an unmounted one is an empty folder of the system disk. */
  mountInto(pod: ServicePod): void {
    this.user = pod.user;
    const { name, volumes } = this.props;
    for (const [volume, { path, folder, storage }] of Object.entries(volumes)) {
      const claim = this.perReplica ? undefined : { persistentVolumeClaim: { claimName: `${name}-${volume}` } };
      pod.addVolume({ name: volume, ...claim }, { mountPath: path, subPath: folder });
      if (storage.mountCanBeMissing) pod.addInitContainer(this.check(volume));
      if (folder !== undefined) pod.addInitContainer(this.makeFolder(volume, folder));
    }
  }

  /** Mounts one of the volumes into the pods of another service. Its disk ties them to its node. */
  shareWith(client: Construct, pod: ServicePod, { volume, path, readOnly }: VolumeMountOptions): void {
    const { name, volumes } = this.props;
    const shared = Object.hasOwn(volumes, volume) ? volumes[volume] : undefined;
    if (shared === undefined)
      return fail(client, {
        what: `a mounted volume must be one of ${name}`,
        got: volume,
        allowed: Object.keys(volumes).join(', '),
        fix: 'correct its name',
      });
    const problem = sharingProblem({
      what: `the volume at ${path}`,
      name: `${name}.volumes.${volume}`,
      perReplica: this.perReplica,
      isDisk: shared.storage.mountCanBeMissing,
      users: { owner: this.user!, other: pod.user },
    });
    assertValid(client, problem);
    const claim = { persistentVolumeClaim: { claimName: `${name}-${volume}` } };
    const own = `shared-${pod.count('shared-')}`;
    pod.addVolume({ name: own, ...claim }, { mountPath: path, subPath: shared.folder, readOnly });
    pod.addInitContainer(this.check(own));
  }

  /** The StatefulSet of a service whose replicas have volumes of their own. Updates one pod at a time, and keeps every claim. */
  statefulSet(
    scope: Construct,
    metadata: k8s.ObjectMeta,
    selector: Labels,
    template: () => k8s.PodTemplateSpec,
  ): k8s.KubeStatefulSet {
    const headless = `${this.props.name}-pods`;
    new k8s.KubeService(scope, 'pods', {
      metadata: { ...metadata, name: headless },
      // Pods find each other before they are ready.
      spec: { clusterIp: 'None', publishNotReadyAddresses: true, selector: { ...selector } },
    });
    const volumeClaimTemplates = Object.entries(this.props.volumes).map(([volume, { storage }]) =>
      storage.claimTemplate(this, volume, selector, requestOf(storage)),
    );
    return withClaimDefaults(
      new k8s.KubeStatefulSet(scope, 'stateful-set', {
        metadata,
        spec: late((): k8s.StatefulSetSpec => ({
          serviceName: headless,
          replicas: this.props.replicas,
          // All at once: with the default, pod 1 waits for pod 0, whose disk may be away with its machine.
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: { ...selector } },
          revisionHistoryLimit: 3,
          persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
          template: template(),
          volumeClaimTemplates,
        })),
      }),
    );
  }

  private claim(volume: string, storage: DataStorage): k8s.KubePersistentVolumeClaim {
    const { namespace, labels } = this.props;
    const name = `${this.props.name}-${volume}`;
    const { spec } = storage.claimTemplate(this, volume, labels, requestOf(storage));
    return new k8s.KubePersistentVolumeClaim(this, `claim-${volume}`, {
      metadata: { name, namespace, labels: { ...labels }, annotations: { ...KEEP } },
      // A disk by name: no other volume that happens to fit.
      spec: { ...spec, volumeName: storage.mountCanBeMissing ? `${namespace}-${name}` : undefined },
    });
  }

  private declare(volume: string, storage: DataStorage): void {
    const { name, namespace, replicas } = this.props;
    const disks = new Construct(this, volume);
    if (!this.perReplica) return storage.declareVolume(disks, namespace, `${name}-${volume}`, `${name}-${volume}`);
    for (let ordinal = 0; ordinal < replicas; ordinal++)
      storage.declareVolume(disks, namespace, `${volume}-${name}-${ordinal}`, `${name}-${volume}-${ordinal}`);
  }

  private check(volume: string): k8s.Container {
    return {
      ...mountCheck(images.python, resourceRequirements(this, INIT_RESOURCES), volume, `/volumes/${volume}`),
      name: `check-${volume}-mount`,
    };
  }

  /** Made by the service's user, who then owns it: the kubelet would make it as root. */
  private makeFolder(volume: string, folder: string): k8s.Container {
    return {
      name: `make-${volume}-folder`,
      image: images.python,
      command: ['mkdir', '-p', `/volumes/${volume}/${folder}`],
      resources: resourceRequirements(this, INIT_RESOURCES),
      securityContext: RESTRICTED_CONTAINER,
      volumeMounts: [{ name: volume, mountPath: `/volumes/${volume}` }],
    };
  }
}

/**
 * Next to nothing of a disk, which is reserved for the claim anyway: the API server refuses a claim that grows without a provisioner,
 * so the disk could not grow.
 */
function requestOf(storage: DataStorage): Size {
  return storage.mountCanBeMissing ? Size.mebibytes(1) : storage.size;
}

/** Volumes of a service with at least one; undefined otherwise. */
export function serviceVolumes(
  scope: Construct,
  props: Omit<ServiceVolumesProps, 'volumes'> & { readonly volumes?: ServiceVolumesProps['volumes'] },
): ServiceVolumes | undefined {
  const { volumes } = props;
  if (volumes === undefined || Object.keys(volumes).length === 0) return undefined;
  return new ServiceVolumes(scope, 'volumes', { ...props, volumes });
}
