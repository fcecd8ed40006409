import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import type { Settings } from '../values/database-settings';
import { syncWave } from './argo-cd';
import type { BackupProps } from './backup';
import { CassandraBackup } from './cassandra-backup';
import {
  cassandraYaml,
  divideMemory,
  jvmServerOptions,
  rackProperties,
  type CassandraMemory,
} from './cassandra-config';
import { opsJson, opsScripts, type CassandraOps } from './cassandra-ops';
import { cassandraPod, DATA_PATH } from './cassandra-pod';
import { CassandraRing, keptCassandra, PORTS } from './cassandra-ring';
import { schemaJson } from './cassandra-schema';
import { openBetween, type Client, type Connectable, type ConnectionName, type Connections } from './connections';
import { DATABASE_USER, databaseStatefulSet, metadataOf, type DatabaseProps } from './database';
import { DatabaseLogins, widest, type DataAccess } from './database-logins';
import { disruptionBudget } from './disruption-budget';
import { exporterContainer, scrapeAnnotations } from './exporter';
import { HashNamedJob } from './hash-named-job';
import { late } from './late';
import { contentHash, onRender, overrideManifests } from './rendering';
import { scriptFile } from './script-file';
import type { DeclaredSecret } from './secrets';
import { fail } from './validation';

/** Props of a ring. With Argo CD a change rolls rack by rack, by sync waves. */
export interface CassandraStatefulSetProps extends DatabaseProps {
  /**
   * Exact version of the official image, such as 5.0.8. 5.0 or newer, because of the rendered cassandra.yaml. Raise one major
   * version at a time and never go back: `plan` prints the steps. @default that of images.cassandra
   */
  readonly version?: string;
  /** May never change: nodes keep it on their disks, and refuse to start under another one. */
  readonly clusterName: string;
  /** May never change: nodes refuse to start in another one, and keyspaces count their replicas per datacenter. @default dc1 */
  readonly datacenter?: string;
  /**
   * The ring that this one joins as a datacenter of its own: for reports that must not slow the others down, or in another
   * place. It has the same `clusterName` and namespace, and other names for `datacenter` and `racks`. Its nodes join once the
   * ring runs. Then the schema job gives it a copy of every keyspace, up to as many as there, one after the other, each
   * repaired. Clients that connect to it have roles of the ring, and write or read at LOCAL_ONE or LOCAL_QUORUM here. Keyspaces
   * and backups stand on the first datacenter. Before it is removed its nodes must leave: docs/constructs has the steps.
   * @default none: a ring of its own
   */
  readonly joins?: CassandraStatefulSet;
  /**
   * One StatefulSet for each rack; pods are NAME-RACK-0. May never change, neither names nor number: a node keeps its rack, and
   * replicas are placed by rack. A rack can move to its own host later. @default r1, r2, r3
   */
  readonly racks?: readonly string[];
  /**
   * Running pods of each rack. Can be raised later: the new nodes join one at a time, then the schema job gives keyspaces up to
   * three replicas. May never be lowered while the pods that leave are members: lower `membersPerRack` one commit before.
   * @default 1
   */
  readonly nodesPerRack?: number;
  /**
   * Wanted nodes of each rack. When it is less than `nodesPerRack`, the last pods of each rack leave the ring one at a time: the
   * container `ops` decommissions them, and their rows move to the remaining nodes. @default nodesPerRack
   */
  readonly membersPerRack?: number;
  /** Java heap. @default min(limit / 2, (limit - 1 GiB) / 1.25) */
  readonly heap?: Size;
  /**
   * Further settings of cassandra.yaml, such as { compaction_throughput: '32MiB/s' }; a change restarts node by node. Settings
   * that the construct sets are refused, and the error names the alternative. Cassandra validates the others: a node with an
   * invalid setting does not start, and the rollout stops at that node. @default none
   */
  readonly config?: Settings;
  /** Keyspaces besides those that clients connect to, with their replication factor. @default none */
  readonly keyspaces?: Readonly<Record<string, { readonly replicationFactor?: number }>>;
  /** Whether all replicas run on one physical host. A write is then synced to disk before it is acknowledged. @default true, the safe choice */
  readonly allReplicasOnOneHost?: boolean;
  /** The container beside each node that repairs it. @default each keyspace every 5 days */
  readonly ops?: CassandraOps;
}

/**
 * Options of a client's connection to the ring. The client gets the environment variables PREFIX_CONTACT_POINTS, _PORT,
 * _LOCAL_DATACENTER, _KEYSPACE, _USERNAME and _PASSWORD.
 */
export interface CassandraConnection extends ConnectionName {
  /** The one keyspace that the client may use; created if it does not exist. */
  readonly keyspace: string;
  /** Permissions: `read` permits only SELECT on the tables. @default readWrite */
  readonly access?: DataAccess;
  /** The role of the client. Two clients of the same name need different roles. @default the client's name */
  readonly role?: string;
}

const RACK_LABEL = 'cassandra-rack';

/** A Cassandra ring without an operator: the official image, one StatefulSet per rack; nodes join one at a time. */
export class CassandraStatefulSet extends Construct implements Connectable<CassandraConnection> {
  /** Name of the ring and of its client Service; all other names start with it. At most 30 characters. */
  readonly name: string;
  /** Its namespace: part of the DNS names that nodes and clients use. */
  readonly namespace: string;
  /** Its NetworkPolicy. For Prometheus use `connections.allowFrom(peer, { port })`. */
  readonly connections: Connections;
  /** Login of the role admin. The schema job creates it at the first start and disables the default superuser. */
  readonly adminSecret: DeclaredSecret;
  /** One per rack. */
  readonly statefulSets: readonly k8s.KubeStatefulSet[];
  /** The client Service, over all racks. */
  readonly service: k8s.KubeService;
  /** The headless Service, which gives each node a DNS name. */
  readonly nodesService: k8s.KubeService;
  /** Lets a drain take one node of the whole ring at a time. */
  readonly podDisruptionBudget: k8s.KubePodDisruptionBudget;
  /** Creates the roles and keyspaces of clients. Runs again when they change. */
  readonly schemaJob: HashNamedJob;
  /** How the memory of each node is divided, as in jvm-server.options. */
  readonly memory: CassandraMemory;
  private readonly ring: CassandraRing;
  /** The first datacenter, which has the roles and keyspaces of all. */
  private readonly first: CassandraStatefulSet;
  /** Of the ring, the first one first; of the first datacenter alone. */
  private readonly datacenters: CassandraStatefulSet[] = [this];
  private readonly exporter?: k8s.Container;
  private readonly backup?: CassandraBackup;
  private readonly keyspaces = new Map<string, number>();
  private readonly logins: DatabaseLogins;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CassandraStatefulSetProps,
  ) {
    super(scope, id);
    this.first = props.joins?.first ?? this;
    const joins = this.first === this ? undefined : this.first;
    this.ring = new CassandraRing(this, props, joins?.ring);
    if (joins) this.ring.assertJoins(joins.datacenters.map(({ ring }) => ring));
    const { names } = this.ring;
    this.name = names.name;
    this.namespace = names.namespace;
    this.memory = divideMemory(this, props.resources.memory, props.heap);
    for (const [keyspace, { replicationFactor }] of Object.entries(props.keyspaces ?? {}))
      this.addKeyspace(keyspace, replicationFactor);
    const kept = keptCassandra(this, this.ring, props.storage, joins?.adminSecret);
    this.connections = kept.connections;
    this.adminSecret = kept.adminSecret;
    this.exporter = exporterContainer(this, props.exporter);
    this.logins =
      joins?.logins ??
      new DatabaseLogins(this, {
        name: this.name,
        namespace: this.namespace,
        noun: 'role',
        reserved: ['admin', 'cassandra'],
        job: () => this.schemaJob,
      });
    this.backup = props.backup && this.makeBackup(props.backup);
    this.statefulSets = this.makeStatefulSets();
    openBetween(this.connections, this.connections, ...Object.values(PORTS));
    if (props.ops?.scrapedBy) this.connections.allowFrom(props.ops.scrapedBy, { port: PORTS.ops });
    this.nodesService = this.makeService('nodes-service', '-nodes', {
      clusterIp: 'None',
      publishNotReadyAddresses: true,
    });
    this.service = this.makeService('service', '', {});
    this.podDisruptionBudget = disruptionBudget(this, metadataOf(names), names.selector);
    this.schemaJob = joins?.schemaJob ?? this.makeSchemaJob();
    joins?.addDatacenter(this);
    overrideManifests(this, props.overrideManifest);
  }

  /** Lets a client reach the ring, with its own role and permissions on one keyspace. */
  accept(client: Client, { keyspace, role, access, ...name }: CassandraConnection): void {
    this.first.addKeyspace(keyspace);
    const { secret, uses } = this.logins.of(client, role);
    uses.set(keyspace, widest(uses.get(keyspace), access));
    client.addConnection(
      name,
      { name: this.name, prefix: 'CASSANDRA' },
      {
        kind: 'cassandra',
        fields: {
          contactPoints: this.ring.clientHost,
          port: String(PORTS.cql),
          localDatacenter: this.ring.datacenter,
          keyspace,
          username: secret.key('username'),
          password: secret.key('password'),
        },
      },
    );
    openBetween(client.connections, this.connections, PORTS.cql);
  }

  private addKeyspace(keyspace: string, replicationFactor?: number): void {
    if (!/^[a-z][a-z0-9_]{0,47}$/.test(keyspace) || /^system(_|$)/.test(keyspace)) {
      fail(this, {
        what: 'the name of a keyspace must be 1 to 48 of a-z, 0-9 and _',
        got: keyspace,
        allowed: 'not system or system_...',
        fix: 'choose another name',
      });
    }
    const factor = replicationFactor ?? this.keyspaces.get(keyspace) ?? this.ring.copies();
    const nodes = this.ring.members().length;
    if (!Number.isInteger(factor) || factor < 1 || factor > nodes) {
      fail(this, {
        what: `the replication factor of ${keyspace} must be between 1 and the number of nodes`,
        got: factor,
        allowed: `1 to ${nodes}`,
        fix: 'use at most one replica for each node',
      });
    }
    this.keyspaces.set(keyspace, factor);
  }

  private addDatacenter(other: CassandraStatefulSet): void {
    for (const each of this.datacenters) openBetween(each.connections, other.connections, ...Object.values(PORTS));
    for (const each of this.datacenters) openBetween(other.connections, each.connections, ...Object.values(PORTS));
    openBetween(this.schemaJob.connections, other.connections, PORTS.tell);
    this.datacenters.push(other);
  }

  /** Sync waves that the racks of all datacenters take, one each. */
  private waves(): number {
    return this.datacenters.reduce((sum, { ring }) => sum + ring.racks.length, 0);
  }

  private makeService(
    id: string,
    suffix: string,
    more: Pick<k8s.ServiceSpec, 'clusterIp' | 'publishNotReadyAddresses'>,
  ): k8s.KubeService {
    return new k8s.KubeService(this, id, {
      metadata: metadataOf(this.ring.names, suffix),
      spec: {
        ...more,
        selector: { ...this.ring.names.selector },
        ports: [{ name: 'cql', port: PORTS.cql, targetPort: k8s.IntOrString.fromString('cql'), protocol: 'TCP' }],
      },
    });
  }

  private makeBackup(backup: BackupProps): CassandraBackup {
    const { priorityClassName, pullSecrets } = this.props;
    const made = new CassandraBackup(this, 'backup', {
      ...metadataOf(this.ring.names),
      backup,
      image: this.ring.image,
      dataPath: DATA_PATH,
      nodes: this.ring.members(),
      host: this.ring.clientHost,
      admin: this.adminSecret,
      priorityClassName,
      pullSecrets,
    });
    made.openFor(this.connections, [PORTS.storage, PORTS.cql, PORTS.tell]);
    return made;
  }

  private makeStatefulSets(): k8s.KubeStatefulSet[] {
    const config = {
      'cassandra.yaml': cassandraYaml({
        clusterName: this.props.clusterName,
        memory: this.memory,
        allReplicasOnOneHost: this.props.allReplicasOnOneHost ?? true,
        settings: this.props.config,
      }),
      'jvm-server.options': jvmServerOptions(this.memory),
      'logback.xml': scriptFile('cassandra-logback.xml'),
      ...Object.fromEntries(
        this.ring.racks.map((rack) => [
          `cassandra-rackdc-${rack}.properties`,
          rackProperties(this.ring.datacenter, rack),
        ]),
      ),
    };
    const scripts = {
      'node.py': scriptFile('cassandra-node.py'),
      'joining.py': scriptFile('cassandra-joining.py'),
      ...opsScripts(),
      ...this.backup?.scripts(),
    };
    const readEachRound = {
      'node.json': `${JSON.stringify(this.ring.nodeConfig(), null, 2)}\n`,
      'ops.json': opsJson(this, this.props.ops ?? {}),
    };
    new k8s.KubeConfigMap(this, 'config', {
      metadata: metadataOf(this.ring.names, '-config'),
      data: config,
    });
    new k8s.KubeConfigMap(this, 'scripts', {
      metadata: metadataOf(this.ring.names, '-scripts'),
      data: { ...scripts, ...readEachRound },
    });
    new k8s.KubeServiceAccount(this, 'account', {
      metadata: metadataOf(this.ring.names),
      automountServiceAccountToken: false,
    });
    // Without node.json, which a node reads when it starts: adding a node must not restart the others.
    const checksum = contentHash([config, scripts]);
    const before = this.first === this ? 0 : this.first.waves();
    return this.ring.racks.map((rack, index) => this.makeStatefulSet(rack, before + index + 1, checksum));
  }

  /** Sync waves make Argo CD update one rack at a time: without them the controllers would restart all racks at once. */
  private makeStatefulSet(rack: string, wave: number, checksum: string): k8s.KubeStatefulSet {
    const { props, ring, exporter, backup } = this;
    const podLabels = { ...ring.names.labels, [RACK_LABEL]: rack };
    return databaseStatefulSet(this, `rack-${rack}`, {
      metadata: { ...metadataOf(ring.names, `-${rack}`), labels: podLabels, annotations: syncWave(wave) },
      selector: { ...ring.names.selector, [RACK_LABEL]: rack },
      serviceName: `${this.name}-nodes`,
      replicas: ring.nodesPerRack,
      podLabels,
      annotations: {
        'checksum/config': checksum,
        // The annotation holds one port: the exporter has more metrics.
        ...scrapeAnnotations(props.exporter ?? (props.ops?.scrapedBy && { port: PORTS.ops })),
      },
      storage: props.storage,
      backup: backup?.backup,
      pod: cassandraPod(this, ring, props, rack, { exporter, backup }),
    });
  }

  private makeSchemaJob(): HashNamedJob {
    const { ring } = this;
    const metadata = metadataOf(ring.names, '-schema');
    const schema = new k8s.KubeConfigMap(this, 'schema', {
      metadata,
      data: late(() => ({
        'cql.py': scriptFile('cassandra-cql.py'),
        'schema.py': scriptFile('cassandra-schema.py'),
        'schema.json': schemaJson({
          datacenter: ring.datacenter,
          nodes: this.datacenters.flatMap((each) => each.ring.nodes().map(({ host }) => host)),
          copies: ring.copies(),
          elsewhere: this.datacenters.slice(1).map((each) => [each.ring.datacenter, each.ring.copies()]),
          keyspaces: this.keyspaces,
          roles: this.logins.uses,
        }),
      })),
    });
    const job = new HashNamedJob(this, 'schema-job', {
      name: metadata.name,
      namespace: this.namespace,
      image: ring.image,
      command: ['python3', '/schema/schema.py'],
      resources: { memory: Size.mebibytes(256), cpu: Cpu.millis(100) },
      user: DATABASE_USER,
      reads: { '/schema': schema },
      priorityClassName: this.props.priorityClassName,
      pullSecrets: this.props.pullSecrets,
    });
    // After all racks, also those of datacenters that come later.
    onRender(job.job, (json) => {
      const annotations = { ...json.metadata.annotations, ...syncWave(this.waves() + 1) };
      return { ...json, metadata: { ...json.metadata, annotations } };
    });
    job.addEnv({
      CASSANDRA_HOST: ring.clientHost,
      ADMIN_PASSWORD: this.adminSecret.key('password'),
      PREVIOUS_ADMIN_PASSWORD: this.adminSecret.key('previous-password'),
    });
    // On `tell` the job asks every node whether it has joined, and requests repairs of keyspaces that got more replicas.
    openBetween(job.connections, this.connections, PORTS.cql, PORTS.tell);
    return job;
  }
}
