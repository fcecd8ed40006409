import { Duration, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { bytes, mebibytes } from '../values/quantity';
import { databasePod, emptyFolder } from './database';
import type { MongoBackup } from './mongo-backup';
import { GIB, PORT, type MongoMembers } from './mongo-members';
import type { MongoReplicaSetProps } from './mongo-replica-set';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import type { DeclaredSecret } from './secrets';
import { RESTRICTED_CONTAINER } from './security';

const DATA_PATH = '/data/db';
/** Port of the metrics of `reconcile`. */
export const METRICS_PORT = 7012;
/** Resources of a mongosh that runs a script: an idle one was measured at 126 MiB. */
export const MONGOSH_RESOURCES: Resources = { memory: Size.mebibytes(192), cpu: Cpu.millis(50) };

/** What the constructs of a set add to its pods. */
export interface MongoPodParts {
  readonly keyfile: DeclaredSecret;
  readonly rootSecret: DeclaredSecret;
  readonly exporter?: k8s.Container;
  readonly backup?: MongoBackup;
}

/** A pod of the set: mongod, its reconciler, and optional containers. */
export function mongoPod(
  scope: IConstruct,
  members: MongoMembers,
  props: MongoReplicaSetProps,
  { keyfile, rootSecret, exporter, backup }: MongoPodParts,
): k8s.PodSpec {
  const { names, image } = members;
  const reconcile = reconciler(scope, members, props);
  return databasePod(scope, names, props, {
    image,
    dataPath: DATA_PATH,
    terminationGracePeriod: Duration.seconds(90),
    initResources: { memory: Size.mebibytes(32), cpu: Cpu.millis(10) },
    init: {
      // Copies the keyfile: mongod refuses one that a group may read, and fsGroup makes every secret readable by the group.
      name: 'keyfile',
      command: ['install', '-m', '0400', '/secret/keyfile', '/keyfile/keyfile'],
      volumeMounts: [
        { name: 'secret', mountPath: '/secret', readOnly: true },
        { name: 'keyfile', mountPath: '/keyfile' },
      ],
    },
    containers: [
      mongod(scope, members, props),
      backup ? backup.reconciler(reconcile) : reconcile,
      backup?.backup.container(),
      exporter,
    ],
    volumes: [
      emptyFolder('tmp', '64Mi'),
      emptyFolder('configdb', '16Mi'),
      emptyFolder('keyfile', '1Mi', 'Memory'),
      { name: 'secret', secret: { secretName: keyfile.name } },
      { name: 'root-login', secret: { secretName: rootSecret.name } },
      { name: 'config', configMap: { name: names.name } },
      ...(backup?.backup.volumes() ?? []),
    ],
  });
}

function mongod(scope: IConstruct, { image, replicaSet }: MongoMembers, props: MongoReplicaSetProps): k8s.Container {
  const startup = (props.startup ?? Duration.minutes(10)).toSeconds();
  // A TCP probe: one mongosh probe costs 300 to 900 m of CPU.
  const probe: k8s.Probe = { tcpSocket: { port: k8s.IntOrString.fromString('mongodb') } };
  return {
    name: 'mongod',
    image,
    // Without the image's entrypoint: mongod becomes process 1 and gets SIGTERM, on which it steps down and flushes its data.
    command: [
      'sh',
      '/config/start.sh',
      'mongod',
      `--replSet=${replicaSet}`,
      '--keyFile=/keyfile/keyfile',
      `--dbpath=${DATA_PATH}`,
      '--bind_ip_all',
      `--port=${PORT}`,
      `--wiredTigerCacheSizeGB=${cacheGigabytes(bytes(props.resources.memory))}`,
      ...(props.config ? ['--config=/config/mongod.conf'] : []),
    ],
    env: [{ name: 'HOME', value: '/tmp' }],
    ports: [{ name: 'mongodb', containerPort: PORT, protocol: 'TCP' }],
    resources: resourceRequirements(scope, props.resources),
    startupProbe: { ...probe, periodSeconds: 5, failureThreshold: Math.ceil(startup / 5) },
    livenessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...probe, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [
      { name: 'data', mountPath: DATA_PATH },
      { name: 'configdb', mountPath: '/data/configdb' },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'keyfile', mountPath: '/keyfile', readOnly: true },
      { name: 'config', mountPath: '/config', readOnly: true },
    ],
  };
}

/** Reconciles the replica set, and reports by its readiness whether its member serves clients. */
function reconciler(scope: IConstruct, { image }: MongoMembers, props: MongoReplicaSetProps): k8s.Container {
  return {
    name: 'reconcile',
    image,
    command: ['mongosh', '--nodb', '--norc', '--quiet', '/config/reconcile.js'],
    // The script reports primary or secondary within the last minute; a member in its initial sync is not ready.
    readinessProbe: {
      exec: { command: ['sh', '-c', scriptFile('mongo-serves.sh').trimEnd()] },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    env: [
      { name: 'HOME', value: '/tmp' },
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ...(props.scrapedBy ? [{ name: 'METRICS_PORT', value: String(METRICS_PORT) }] : []),
    ],
    ...(props.scrapedBy && {
      ports: [{ name: 'metrics-set', containerPort: METRICS_PORT, protocol: 'TCP' }],
    }),
    resources: resourceRequirements(scope, props.reconcileResources ?? MONGOSH_RESOURCES),
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'config', mountPath: '/config', readOnly: true },
      { name: 'config', mountPath: '/etc/mongosh.conf', subPath: 'mongosh.conf', readOnly: true },
      { name: 'root-login', mountPath: '/root-login', readOnly: true },
      // With it the reconciler checks whether the other members accept this one's keyfile.
      { name: 'keyfile', mountPath: '/keyfile', readOnly: true },
    ],
  };
}

/** Half of the memory after the first GiB. mongod computes the same from the whole machine, because it ignores the pod's limit. */
function cacheGigabytes(limit: number): string {
  const cache = Math.max(GIB / 4, (limit - GIB) / 2);
  return (mebibytes(cache) / 1024).toFixed(2);
}
