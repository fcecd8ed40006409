import type { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct, IConstruct } from 'constructs';
import type { BackupProps, DatabaseBackup } from './backup';
import { Connections } from './connections';
import type { Exporter } from './exporter';
import { identityAnnotation } from './identity';
import { labels, selectorLabels, type Labels } from './labels';
import { spreadOverNodes, type Placement } from './placement';
import type { ManifestOverride } from './rendering';
import { resourceRequirements, type Resources } from './resources';
import { DeclaredSecret } from './secrets';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';
import { mountCheck, withClaimDefaults, type DataStorage } from './volumes';

/** Props of both databases. */
export interface DatabaseProps {
  /**
   * Name of all its objects; the names of its pods start with it. May never change: the claims of another name are new and
   * empty. @default the construct's id
   */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Image, instead of `version`. @default the official image, in the version of `images` */
  readonly image?: string;
  /** One volume per pod, claimed as data-POD. May never change: the claim templates of a StatefulSet are immutable. */
  readonly storage: DataStorage;
  /** Resources of the database container in each pod. At least 2.5 GiB of memory for Cassandra, 1 GiB for MongoDB. */
  readonly resources: Resources;
  /** @default any node */
  readonly placement?: Placement;
  /** @default none */
  readonly priorityClassName?: string;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** A container that exports metrics; it reaches the database over loopback. @default none */
  readonly exporter?: Exporter;
  /** Encrypted backups on another machine, and the Job that restores them. @default none: data is lost when the disks are lost */
  readonly backup?: BackupProps;
  /** Time between SIGTERM and SIGKILL. @default 120 s for Cassandra to drain, 90 s for MongoDB to step down and write everything */
  readonly terminationGracePeriod?: Duration;
  /**
   * Time limit for a start: recovery for MongoDB; for Cassandra the replay of the commit log, the wait for other nodes and a
   * bootstrap. @default 1 hour for Cassandra, 10 minutes for MongoDB
   */
  readonly startup?: Duration;
  /** Changes the pods as far as the Kubernetes 1.28 types know them. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** User and group of both databases in their official images. */
export const DATABASE_USER = 999;
/** Name of the data volume and of its claim template. */
export const DATA_VOLUME = 'data';

/** Names and labels of the objects of a database. */
export interface DatabaseNames {
  readonly name: string;
  readonly namespace: string;
  /** Labels that select its pods. */
  readonly selector: Labels;
  /** Labels of all its objects. */
  readonly labels: Labels;
}

export function databaseNames(app: 'cassandra' | 'mongodb', name: string, namespace: string): DatabaseNames {
  const identity = { app, instance: name, component: 'database' };
  return { name, namespace, selector: selectorLabels(identity), labels: labels(identity) };
}

/** Metadata of one of its objects. */
export function metadataOf({ name, namespace, labels }: DatabaseNames, suffix = '') {
  return { name: `${name}${suffix}`, namespace, labels: { ...labels } };
}

/** What remains without pods: the policy, which records what the disks hold, and the disks. */
export function keptData(
  scope: Construct,
  names: DatabaseNames,
  {
    storage,
    pods,
    identity,
  }: {
    readonly storage: DataStorage;
    readonly pods: readonly string[];
    readonly identity: Readonly<Record<string, unknown>>;
  },
): Connections {
  storage.declare(scope, names.namespace, DATA_VOLUME, pods);
  return new Connections(scope, 'connections', {
    ...metadataOf(names),
    selector: names.selector,
    keep: true,
    annotations: identityAnnotation(identity),
  });
}

/** Login of the administrator that the database creates at its first start. */
export function superuser(
  scope: Construct,
  { name, namespace }: DatabaseNames,
  user: 'admin' | 'root',
): DeclaredSecret {
  return new DeclaredSecret(scope, user, {
    name: `${name}-${user}`,
    namespaces: [namespace],
    keys: { username: { value: user }, password: { generate: 'alphanumeric', length: 32 } },
  });
}

/** Parts of a StatefulSet that differ between the databases. */
export interface DatabaseStatefulSetProps {
  readonly metadata: k8s.ObjectMeta;
  /** Labels of the pods and of their claims. */
  readonly selector: Labels;
  readonly serviceName: string;
  readonly replicas: number;
  readonly podLabels: Labels;
  /** Annotations of the pods, besides the checksum of the backup. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly storage: DataStorage;
  readonly backup?: DatabaseBackup;
  readonly pod: k8s.PodSpec;
}

/** Starts all pods at once and keeps every claim. */
export function databaseStatefulSet(
  scope: Construct,
  id: string,
  props: DatabaseStatefulSetProps,
): k8s.KubeStatefulSet {
  const { metadata, selector, serviceName, replicas, storage, backup } = props;
  const annotations = { ...props.annotations, ...(backup && { 'checksum/backup': backup.checksum }) };
  return withClaimDefaults(
    new k8s.KubeStatefulSet(scope, id, {
      metadata,
      spec: {
        serviceName,
        replicas,
        // All at once: a replica set or a ring is created only after every pod has reported that it is empty.
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { ...selector } },
        revisionHistoryLimit: 3,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        template: { metadata: { labels: { ...props.podLabels }, annotations }, spec: props.pod },
        volumeClaimTemplates: [storage.claimTemplate(scope, DATA_VOLUME, selector)],
      },
    }),
  );
}

/** Parts of a pod that differ between the databases. */
export interface DatabasePodProps {
  readonly image: string;
  /** Where the data volume is mounted. */
  readonly dataPath: string;
  readonly terminationGracePeriod: Duration;
  /** Resources of each init container. */
  readonly initResources: Resources;
  /** Prepares the configuration, after the check of the data mount. */
  readonly init: Omit<k8s.Container, 'image' | 'resources' | 'securityContext'>;
  readonly containers: readonly (k8s.Container | undefined)[];
  readonly volumes: readonly k8s.Volume[];
}

/** The pod of a database, which does not start when its disk is missing. */
export function databasePod(scope: IConstruct, names: DatabaseNames, props: DatabaseProps, made: DatabasePodProps) {
  const { storage, placement, overridePodSpec } = props;
  const { image, dataPath, init } = made;
  const resources = resourceRequirements(scope, made.initResources);
  const spec: k8s.PodSpec = {
    ...hardenedPod(DATABASE_USER, props),
    serviceAccountName: names.name,
    terminationGracePeriodSeconds: (props.terminationGracePeriod ?? made.terminationGracePeriod).toSeconds(),
    affinity: placement && { nodeAffinity: placement.nodeAffinity },
    topologySpreadConstraints: spreadOverNodes(names.selector),
    initContainers: [
      ...(storage.mountCanBeMissing ? [mountCheck(image, resources, DATA_VOLUME, dataPath)] : []),
      { ...init, image, resources, securityContext: RESTRICTED_CONTAINER },
    ],
    containers: made.containers.filter((container) => container !== undefined),
    volumes: [...made.volumes],
  };
  return overridePodSpec ? overridePodSpec(spec) : spec;
}

/** An emptyDir volume, in memory or on the disk of the node. */
export function emptyFolder(name: string, sizeLimit: string, medium?: 'Memory'): k8s.Volume {
  return { name, emptyDir: { medium, sizeLimit: k8s.Quantity.fromString(sizeLimit) } };
}
