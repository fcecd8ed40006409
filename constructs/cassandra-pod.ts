import { Duration, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import type { CassandraBackup } from './cassandra-backup';
import { opsContainer } from './cassandra-ops';
import { PORTS, type CassandraRing } from './cassandra-ring';
import type { CassandraStatefulSetProps } from './cassandra-stateful-set';
import { databasePod, emptyFolder } from './database';
import { resourceRequirements } from './resources';
import { scriptFile } from './script-file';
import { RESTRICTED_CONTAINER } from './security';

/** Data folder of Cassandra. */
export const DATA_PATH = '/var/lib/cassandra';

/** What the constructs of a ring add to its pods. */
export interface CassandraPodParts {
  readonly exporter?: k8s.Container;
  readonly backup?: CassandraBackup;
}

/** A pod of one rack: Cassandra, ops, and optional containers. */
export function cassandraPod(
  scope: IConstruct,
  ring: CassandraRing,
  props: CassandraStatefulSetProps,
  rack: string,
  { exporter, backup }: CassandraPodParts,
): k8s.PodSpec {
  const { names, image } = ring;
  const ops = opsContainer(scope, image, props.ops ?? {});
  return databasePod(scope, names, props, {
    image,
    dataPath: DATA_PATH,
    terminationGracePeriod: Duration.seconds(120),
    initResources: { memory: Size.mebibytes(64), cpu: Cpu.millis(50) },
    init: {
      // Copies the image's folder first, so that further files of a version are kept. Not cp -a: the user may
      // not set the times of an emptyDir, which belongs to root.
      name: 'config',
      command: ['sh', '-ec', scriptFile('cassandra-conf.sh', { RACK: rack })],
      volumeMounts: [
        { name: 'conf', mountPath: '/conf' },
        { name: 'config', mountPath: '/config', readOnly: true },
      ],
    },
    containers: [
      cassandraContainer(scope, image, props),
      backup ? backup.intoOps(ops) : ops,
      exporter,
      backup?.backup.container(),
    ],
    volumes: [
      emptyFolder('conf', '16Mi'),
      emptyFolder('logs', '256Mi'),
      emptyFolder('tmp', '128Mi'),
      emptyFolder('ops-tmp', '64Mi'),
      { name: 'config', configMap: { name: `${names.name}-config` } },
      { name: 'scripts', configMap: { name: `${names.name}-scripts` } },
      ...(backup?.volumes() ?? []),
    ],
  });
}

/** Cassandra itself. */
function cassandraContainer(scope: IConstruct, image: string, props: CassandraStatefulSetProps): k8s.Container {
  const tcp = (name: string): k8s.Probe => ({ tcpSocket: { port: k8s.IntOrString.fromString(name) } });
  const field = (fieldPath: string): k8s.EnvVarSource => ({ fieldRef: { fieldPath } });
  const startup = (props.startup ?? Duration.hours(1)).toSeconds();
  return {
    name: 'cassandra',
    image,
    command: ['python3', '/scripts/node.py'],
    env: [
      { name: 'HOME', value: '/tmp' },
      { name: 'POD_NAME', valueFrom: field('metadata.name') },
      { name: 'POD_IP', valueFrom: field('status.podIP') },
    ],
    ports: [
      { name: 'cql', containerPort: PORTS.cql, protocol: 'TCP' },
      { name: 'storage', containerPort: PORTS.storage, protocol: 'TCP' },
      { name: 'tell', containerPort: PORTS.tell, protocol: 'TCP' },
    ],
    resources: resourceRequirements(scope, props.resources),
    // TCP, because each nodetool starts a Java process for 2 to 5 s. A node serves clients after it has joined.
    startupProbe: { ...tcp('storage'), periodSeconds: 10, failureThreshold: Math.ceil(startup / 10) },
    // Fails only when Cassandra accepts connections and does not answer. A drained node has closed its ports and is healthy.
    livenessProbe: {
      httpGet: { path: '/live', port: k8s.IntOrString.fromString('tell') },
      periodSeconds: 15,
      timeoutSeconds: 10,
      failureThreshold: 8,
    },
    readinessProbe: { ...tcp('cql'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    lifecycle: { preStop: { exec: { command: ['nodetool', 'drain'] } } },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [
      { name: 'data', mountPath: DATA_PATH },
      { name: 'conf', mountPath: '/etc/cassandra' },
      { name: 'logs', mountPath: '/var/log/cassandra' },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'scripts', mountPath: '/scripts', readOnly: true },
    ],
  };
}
