import { Duration, Size } from 'cdk8s';
import { Cpu, type k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { repairIntervalProblem } from '../values/repair';
import { PORTS } from './cassandra-ring';
import type { Peer } from './connections';
import { assertValid } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import { RESTRICTED_CONTAINER } from './security';

/** The container `ops` beside each node, which repairs it. */
export interface CassandraOps {
  /**
   * Interval between repairs of a keyspace, 1 hour to 5 days. Deleted rows reappear when a replica missed the deletion and is
   * repaired later than gc_grace_seconds, 10 days by default. For a table with less, use half of its gc_grace_seconds.
   * @default 5 days, half of gc_grace_seconds
   */
  readonly repairEvery?: Duration;
  /**
   * Of the container. Measured in repairs of 320 MiB a node, with a second nodetool beside each: at most 184 MiB. At worst Python takes 15
   * MiB, two nodetools with full heaps of 64 MiB 125 MiB each, and cqlsh of a backup 50 MiB: 315 MiB.
   * @default 384 MiB, 50m
   */
  readonly resources?: Resources;
  /** Pods that may read the metrics on port 7011, such as Prometheus': opens the network for them. @default none */
  readonly scrapedBy?: Peer;
}

/** Files of the container, beside node.json, by their names in /scripts. They restart the ring when they change. */
export function opsScripts(): Record<string, string> {
  return {
    'ops.py': scriptFile('cassandra-ops.py'),
    'ops_decisions.py': scriptFile('cassandra-ops-decisions.py'),
    'ops_telling.py': scriptFile('cassandra-ops-telling.py'),
  };
}

/** Configuration that ops reads at each round, so that a change restarts nothing. */
export function opsJson(owner: IConstruct, { repairEvery = Duration.days(5) }: CassandraOps): string {
  assertValid(owner, repairIntervalProblem(repairEvery, 'ops.repairEvery'));
  const config = {
    repairSeconds: repairEvery.toSeconds(),
    retrySeconds: 1800,
    limitSeconds: 86400,
    intervalSeconds: 10,
    freshSeconds: 60,
    lookSeconds: 600,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** The container: the image of Cassandra, which holds python3 and nodetool. */
export function opsContainer(owner: IConstruct, image: string, { resources }: CassandraOps): k8s.Container {
  const field = (fieldPath: string): k8s.EnvVarSource => ({ fieldRef: { fieldPath } });
  return {
    name: 'ops',
    image,
    command: ['python3', '/scripts/ops.py'],
    env: [
      { name: 'HOME', value: '/tmp' },
      { name: 'POD_NAME', valueFrom: field('metadata.name') },
      { name: 'POD_IP', valueFrom: field('status.podIP') },
      // The heap of each nodetool, by default 128 MiB.
      { name: 'MAX_HEAP_SIZE', value: '64M' },
    ],
    ports: [{ name: 'ops-metrics', containerPort: PORTS.ops, protocol: 'TCP' }],
    resources: resourceRequirements(owner, resources ?? { memory: Size.mebibytes(384), cpu: Cpu.millis(50) }),
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [
      { name: 'data', mountPath: '/var/lib/cassandra' },
      // nodetool reads the configuration of its node.
      { name: 'conf', mountPath: '/etc/cassandra', readOnly: true },
      { name: 'ops-tmp', mountPath: '/tmp' },
      { name: 'scripts', mountPath: '/scripts', readOnly: true },
    ],
  };
}
