import type { Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { Construct, type IConstruct } from 'constructs';
import { bytes, memoryQuantity, sizeProblem } from '../values/quantity';
import { LOCAL_STORAGE_CLASS } from '../values/volumes';
import { KEEP } from './argo-cd';
import { clusterScoped, onRender } from './rendering';
import { scriptFile } from './script-file';
import { sentence } from '../values/problem';
import { assertValid, validateTree } from './validation';
import { RESTRICTED_CONTAINER } from './security';

/** Node and folder of each disk. Disks of a database are named like its pods. */
export interface LocalDisksProps {
  /** The node that holds a disk. */
  readonly nodeOf: (disk: string) => string;
  /** Where the disk is mounted on that node. @default /var/mnt/DISK, where Talos mounts a user volume of the disk's name */
  readonly pathOf?: (disk: string) => string;
  /** @default local-data */
  readonly storageClassName?: string;
}

/** Storage of a database or of a volume of a service: disks of nodes, or volumes of a StorageClass. */
export class DataStorage {
  /**
   * One disk per pod, as a static `local` PersistentVolume bound in advance to the pod's claim: each disk can grow alone, a replica
   * cannot fill the disk of another, and no claim can bind another pod's data. `PersistentVolumes` renders them.
   */
  static localDisks(size: Size, props: LocalDisksProps): DataStorage {
    return new DataStorage(size, props.storageClassName ?? LOCAL_STORAGE_CLASS, props);
  }

  /** Volumes that the provisioner of a StorageClass creates. */
  static storageClass(size: Size, storageClassName: string): DataStorage {
    return new DataStorage(size, storageClassName);
  }

  private constructor(
    /** Size of each volume, the same for every pod: a claim template has one. At least 1 KiB. */
    readonly size: Size,
    /** Class of the claims, and of the volumes that `PersistentVolumes` renders for them. */
    readonly storageClassName: string,
    private readonly disks?: LocalDisksProps,
  ) {}

  /**
   * Whether a missing disk would go unnoticed: an unmounted Talos mount point is a folder of the system disk, the kubelet does not
   * wait for the mount, and a program would find no data there.
   */
  get mountCanBeMissing(): boolean {
    return this.disks !== undefined;
  }

  /**
   * The claim for a StatefulSet's volumeClaimTemplates; its name is the volume's name in the pod.
   * @param request what the claim asks for, by default all of the volume
   * @throws when the size is a plain number, NaN or under 1 KiB
   */
  claimTemplate(
    scope: IConstruct,
    name: string,
    claimLabels: Readonly<Record<string, string>>,
    request = this.size,
  ): k8s.KubePersistentVolumeClaimProps {
    assertValid(scope, sizeProblem(this.size, 'the size of a data volume'));
    return {
      metadata: { name, labels: { ...claimLabels } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: this.storageClassName,
        volumeMode: 'Filesystem',
        resources: { requests: { storage: k8s.Quantity.fromString(memoryQuantity(bytes(request))) } },
      },
    };
  }

  /** Declares one volume per pod; does nothing when a provisioner creates them. */
  declare(scope: Construct, namespace: string, claimTemplateName: string, pods: readonly string[]): void {
    for (const pod of pods) this.declareVolume(scope, namespace, `${claimTemplateName}-${pod}`, pod);
  }

  /** Declares the volume of one claim; does nothing when a provisioner creates it. */
  declareVolume(scope: Construct, namespace: string, claim: string, disk: string): void {
    const { disks, size, storageClassName } = this;
    if (!disks) return;
    new DeclaredVolume(scope, `volume-${disk}`, {
      claim,
      namespace,
      node: disks.nodeOf(disk),
      path: disks.pathOf?.(disk) ?? `/var/mnt/${disk}`,
      size,
      storageClassName,
    });
  }
}

/**
 * Writes the defaults that the API server adds to claim templates: Argo CD compares that list as a whole, and would always show a
 * diff. The typed class does not have these fields.
 */
export function withClaimDefaults(statefulSet: k8s.KubeStatefulSet): k8s.KubeStatefulSet {
  onRender(statefulSet, (json) => {
    const volumeClaimTemplates = json.spec.volumeClaimTemplates.map((template: object) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      ...template,
      status: { phase: 'Pending' },
    }));
    return { ...json, spec: { ...json.spec, volumeClaimTemplates } };
  });
  return statefulSet;
}

/** One disk, and the claim that may bind it. */
export interface DeclaredVolumeProps {
  /** Name of the claim that the StatefulSet creates, TEMPLATE-POD. No other claim can bind the volume. */
  readonly claim: string;
  /** Namespace of the claim; the volume itself is cluster-scoped. */
  readonly namespace: string;
  /** Label kubernetes.io/hostname of the node with the disk; the pod can only run there. */
  readonly node: string;
  /** Where the disk is mounted on that node. */
  readonly path: string;
  /** Capacity of the volume; a claim that asks for more does not bind. */
  readonly size: Size;
  /** Storage class of the claim. `PersistentVolumes` creates the class, without a provisioner. */
  readonly storageClassName: string;
}

/** A disk that a database or service needs. `PersistentVolumes` renders its volume, in a chart that is kept longer than theirs. */
export class DeclaredVolume extends Construct {
  /** All disks that a tree declares, in the order of the tree. */
  static all(root: IConstruct): DeclaredVolume[] {
    return root.node.findAll().filter((node): node is DeclaredVolume => node instanceof DeclaredVolume);
  }

  constructor(
    scope: Construct,
    id: string,
    /** Props from which `PersistentVolumes` renders the volume. */
    readonly props: DeclaredVolumeProps,
  ) {
    super(scope, id);
    validateTree(this, unrendered);
  }
}

/** Reports disks without a volume: their claims would stay Pending. */
function unrendered(root: IConstruct): string[] {
  const rendered = root.node.findAll().flatMap((node) => (node instanceof PersistentVolumes ? node.volumes : []));
  return DeclaredVolume.all(root)
    .filter((volume) => !rendered.includes(volume))
    .map(({ node, props: { claim } }) =>
      sentence({
        what: `${node.path}: the disk of claim ${claim} must be rendered as a volume`,
        got: 'no PersistentVolumes created after it',
        fix: "add new PersistentVolumes(chart, 'volumes') after the databases, or use DataStorage.storageClass",
      }),
    );
}

/** Renders every declared disk of the tree, and their storage class. Make it after databases and services. */
export class PersistentVolumes extends Construct {
  /** The disks that it renders. */
  readonly volumes: readonly DeclaredVolume[];

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.volumes = DeclaredVolume.all(this.node.root);
    const classes = this.volumes.map(({ props }) => props.storageClassName);
    for (const name of [...new Set(classes)].sort()) {
      clusterScoped(
        new k8s.KubeStorageClass(this, `class-${name}`, {
          metadata: { name, annotations: { ...KEEP } },
          provisioner: 'kubernetes.io/no-provisioner',
          reclaimPolicy: 'Retain',
          volumeBindingMode: 'WaitForFirstConsumer',
        }),
      );
    }
    for (const { props } of this.volumes) this.persistentVolume(props);
  }

  private persistentVolume(volume: DeclaredVolumeProps): void {
    const name = `${volume.namespace}-${volume.claim}`;
    clusterScoped(
      new k8s.KubePersistentVolume(this, name, {
        metadata: { name, annotations: { ...KEEP } },
        spec: {
          capacity: { storage: k8s.Quantity.fromString(memoryQuantity(bytes(volume.size))) },
          accessModes: ['ReadWriteOnce'],
          volumeMode: 'Filesystem',
          persistentVolumeReclaimPolicy: 'Retain',
          storageClassName: volume.storageClassName,
          local: { path: volume.path },
          nodeAffinity: {
            required: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [volume.node] }] },
              ],
            },
          },
          // Without uid: the volume binds only to this claim, also after the claim is created again in a new cluster.
          claimRef: {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            namespace: volume.namespace,
            name: volume.claim,
          },
        },
      }),
    );
  }
}

/** An init container for a volume on a local disk: fails when the disk is not mounted. */
export function mountCheck(
  image: string,
  resources: k8s.ResourceRequirements,
  volume: string,
  path: string,
): k8s.Container {
  return {
    name: 'check-data-mount',
    image,
    command: ['sh', '-ec', scriptFile('check-data-mount.sh'), 'check-data-mount', path],
    resources,
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: volume, mountPath: path }],
  };
}
