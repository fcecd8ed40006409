import { Duration, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { cassandraSettingsProblem, type Settings } from '../values/database-settings';
import { cassandraVersionProblem } from '../values/database-versions';
import { membersPerRackProblem } from '../values/members';
import { dnsLabelProblem, imageProblem, serviceNameProblem } from '../values/names';
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
import { OPS_PORT, opsContainer, opsJson, opsScripts, type CassandraOps } from './cassandra-ops';
import { schemaJson } from './cassandra-schema';
import { Connections, type Client, type Connectable } from './connections';
import { DatabaseLogins, widest, type DataAccess } from './database-logins';
import { exporterContainer, scrapeAnnotations, type Exporter } from './exporter';
import { HashNamedJob } from './hash-named-job';
import { identityAnnotation } from './identity';
import { imageOf, images } from './images';
import { labels, selectorLabels, type Labels } from './labels';
import { late } from './late';
import { spreadOverNodes, type Placement } from './placement';
import { contentHash, overrideManifests, type ManifestOverride } from './rendering';
import { assertValid, namespaceOf, fail } from './validation';
import { scriptFile } from './script-file';
import { resourceRequirements, type Resources } from './resources';
import { DeclaredSecret } from './secrets';
import { RESTRICTED_CONTAINER, restrictedPod } from './security';
import { mountCheck, withClaimDefaults, type DataStorage } from './volumes';

/** What a ring is made of. Under Argo CD a change rolls rack after rack, by sync waves. */
export interface CassandraStatefulSetProps {
  /**
   * Name of every object that it makes; pods are NAME-RACK-0. May never change: the claims of another name are new and empty.
   * @default the construct's id
   */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Where it is given, `version` is not. @default images.cassandra, in that version */
  readonly image?: string;
  /**
   * Exact version of the official image, as 5.0.8: 5.0 or newer, whose cassandra.yaml this renders. One major version at a
   * time, never back: plan says the way. @default that of images.cassandra
   */
  readonly version?: string;
  /** May never change: nodes keep it on their disks, and refuse to start under another one. */
  readonly clusterName: string;
  /** May never change: nodes refuse to start in another one, and copies of keyspaces are counted by it. @default dc1 */
  readonly datacenter?: string;
  /**
   * One StatefulSet each. May never change, neither names nor number: a node keeps its rack, and copies are placed by it. A rack
   * becomes a host when there are more. @default r1, r2, r3
   */
  readonly racks?: readonly string[];
  /**
   * Running pods of each rack. More may be asked for later: the new nodes join one at a time, then the schema job gives
   * keyspaces the copies that now have a node. May never be lowered while the pods that leave are members: lower
   * `membersPerRack` one commit before. @default 1
   */
  readonly nodesPerRack?: number;
  /**
   * Wanted nodes of each rack. Where it is less than `nodesPerRack`, the last pods of each rack leave the ring, one at a time:
   * their ops decommissions them, and their rows go to the nodes that stay. @default nodesPerRack
   */
  readonly membersPerRack?: number;
  /** One volume per node, claimed as data-POD. May never change: the claim templates of a StatefulSet are immutable. */
  readonly storage: DataStorage;
  /** Of each node. At least 2.5 GiB of memory. */
  readonly resources: Resources;
  /** Java heap. @default min(limit / 2, (limit - 1 GiB) / 1.25) */
  readonly heap?: Size;
  /**
   * Further settings of cassandra.yaml, as { compaction_throughput: '32MiB/s' }; a change restarts node after node. Settings
   * that hold a promise of this construct are refused, with what to set instead. Cassandra itself judges the others: a node
   * that refuses one does not start, and the rollout stops at that node. @default none
   */
  readonly config?: Settings;
  /** Keyspaces besides those that clients connect to, with their number of copies. @default none */
  readonly keyspaces?: Readonly<Record<string, { readonly replicationFactor?: number }>>;
  /** Whether all copies hang on one power cord: writes are then on the disk before they are acknowledged. @default true, the safe one */
  readonly allReplicasOnOneHost?: boolean;
  /** @default any node */
  readonly placement?: Placement;
  /** @default none */
  readonly priorityClassName?: string;
  /** A container that reports metrics; JMX is open on loopback, so it reaches it there. @default none */
  readonly exporter?: Exporter;
  /** The container beside each node that repairs it. @default each keyspace every 5 days */
  readonly ops?: CassandraOps;
  /** Encrypted backups of every node, and the Job that restores them. @default none: what the disks lose is lost */
  readonly backup?: BackupProps;
  /** Time to drain. @default 120 s */
  readonly terminationGracePeriod?: Duration;
  /** How long a start may take: the replay of the commit log, the wait for others, a bootstrap. @default 1 hour */
  readonly startup?: Duration;
  /**
   * How long the first node waits for pods that are not there before it takes the ring for a new one. Pods that are there
   * and say that they hold nothing cost 30 s. @default 10 minutes: longer than pods take to come back after a reboot
   */
  readonly newRingDelay?: Duration;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** Runs no pods, but keeps policy, claims and volumes. @default false */
  readonly retired?: boolean;
  /** Changes the pods as far as the Kubernetes 1.28 types know them. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/**
 * What a client asks of the ring. Its environment then has PREFIX_CONTACT_POINTS, _PORT, _LOCAL_DATACENTER, _KEYSPACE,
 * _USERNAME and _PASSWORD.
 */
export interface CassandraConnection {
  /** The one keyspace that the client may use; made where it is not there. */
  readonly keyspace: string;
  /** Whether it may only read: SELECT on the tables, and nothing else. @default readWrite */
  readonly access?: DataAccess;
  /** The role that it logs in as. Two clients of one name need two. @default the client's name */
  readonly role?: string;
  /** What the variables start with. @default CASSANDRA */
  readonly envPrefix?: string;
}

/** `tell` is where each node tells the others, the schema job and the kubelet what it knows, without a login; `ops` where its ops does. */
const PORTS = { storage: 7000, cql: 9042, tell: 7010, ops: OPS_PORT } as const;
/** User and group of Cassandra in the official image. */
const USER = 999;
const RACK_LABEL = 'cassandra-rack';
const DATA = '/var/lib/cassandra';

/** A pod of a ring, by the names that it has. */
interface Node {
  readonly pod: string;
  readonly rack: string;
  readonly host: string;
}

const ordinalOf = ({ pod }: Node) => Number(pod.split('-').at(-1));

/** A Cassandra ring without an operator: the official image, one StatefulSet per rack, joins that wait for each other. */
export class CassandraStatefulSet extends Construct implements Connectable<CassandraConnection> {
  /** Name of the ring and of its client Service; all other names start with it. At most 30 characters. */
  readonly name: string;
  /** Where it runs: part of the DNS names that nodes and clients use. */
  readonly namespace: string;
  /** Its one NetworkPolicy, also once it is retired. For a Prometheus: `connections.allowFrom(peer, { port })`. */
  readonly connections: Connections;
  /** Login of the role admin. The schema job makes it at the first start and disables the default superuser. */
  readonly adminSecret: DeclaredSecret;
  /** One per rack; empty once it is retired. */
  readonly statefulSets: readonly k8s.KubeStatefulSet[];
  /** For clients, over all racks. Undefined once it is retired. */
  readonly service?: k8s.KubeService;
  /** Names of the nodes. Undefined once it is retired. */
  readonly nodesService?: k8s.KubeService;
  /** Lets a drain take one node of the whole ring at a time. Undefined once it is retired. */
  readonly podDisruptionBudget?: k8s.KubePodDisruptionBudget;
  /** Makes what clients asked for: roles, keyspaces. Runs again when that changes. Undefined once it is retired. */
  readonly schemaJob?: HashNamedJob;
  /** How the memory of each node is divided, as jvm-server.options says it. */
  readonly memory: CassandraMemory;
  private readonly exporter?: k8s.Container;
  private readonly image: string;
  private readonly ops: CassandraOps;
  private readonly backup?: CassandraBackup;
  private readonly racks: readonly string[];
  private readonly nodesPerRack: number;
  private readonly membersPerRack: number;
  private readonly datacenter: string;
  private readonly selector: Labels;
  private readonly allLabels: Labels;
  private readonly keyspaces = new Map<string, number>();
  private readonly logins: DatabaseLogins;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CassandraStatefulSetProps,
  ) {
    super(scope, id);
    this.name = props.name ?? id;
    this.namespace = namespaceOf(this, props.namespace);
    this.image = imageOf(this, images.cassandra, props);
    this.racks = props.racks ?? ['r1', 'r2', 'r3'];
    this.nodesPerRack = props.nodesPerRack ?? 1;
    this.membersPerRack = props.membersPerRack ?? this.nodesPerRack;
    this.datacenter = props.datacenter ?? 'dc1';
    this.memory = divideMemory(this, props.resources.memory, props.heap);
    this.judge();
    for (const [keyspace, { replicationFactor }] of Object.entries(props.keyspaces ?? {}))
      this.addKeyspace(keyspace, replicationFactor);
    const identity = { app: 'cassandra', instance: this.name, component: 'database' };
    this.selector = selectorLabels(identity);
    this.allLabels = labels(identity);
    this.connections = new Connections(this, 'connections', {
      ...this.metadata(),
      selector: this.selector,
      keep: true,
      annotations: identityAnnotation({
        clusterName: props.clusterName,
        datacenter: this.datacenter,
        racks: this.racks,
        nodesPerRack: this.nodesPerRack,
        image: this.image,
      }),
    });
    this.exporter = exporterContainer(this, props.exporter);
    this.ops = props.ops ?? {};
    this.adminSecret = new DeclaredSecret(this, 'admin', {
      name: `${this.name}-admin`,
      namespaces: [this.namespace],
      keys: { username: { value: 'admin' }, password: { generate: 'alphanumeric', length: 32 } },
    });
    this.logins = new DatabaseLogins(this, {
      name: this.name,
      namespace: this.namespace,
      noun: 'role',
      reserved: ['admin', 'cassandra'],
      job: () => this.schemaJob!,
    });
    this.backup = this.makeBackup();
    props.storage.declare(
      this,
      this.namespace,
      'data',
      this.nodes().map(({ pod }) => pod),
    );
    this.statefulSets = props.retired ? [] : this.makeStatefulSets();
    if (!props.retired) {
      for (const port of Object.values(PORTS)) {
        this.connections.allowFrom(this.connections.peer, { port });
        this.connections.allowTo(this.connections.peer, { port });
      }
      if (this.ops.scrapedBy) this.connections.allowFrom(this.ops.scrapedBy, { port: OPS_PORT });
      this.nodesService = this.makeService('nodes-service', `${this.name}-nodes`, {
        clusterIp: 'None',
        publishNotReadyAddresses: true,
      });
      this.service = this.makeService('service', this.name, {});
      this.podDisruptionBudget = new k8s.KubePodDisruptionBudget(this, 'budget', {
        metadata: this.metadata(),
        spec: { selector: { matchLabels: { ...this.selector } }, maxUnavailable: k8s.IntOrString.fromNumber(1) },
      });
      this.schemaJob = this.makeSchemaJob();
    }
    overrideManifests(this, props.overrideManifest);
  }

  /** Lets a client reach the ring, as a role of its own with rights on one keyspace. */
  accept(client: Client, { keyspace, role, envPrefix, access }: CassandraConnection): void {
    if (this.props.retired)
      fail(this, {
        what: 'a database that is connected to must run',
        got: 'retired',
        fix: `remove the connection of ${client.node.path}, or set the database to active`,
      });
    this.addKeyspace(keyspace);
    const { secret, uses } = this.logins.of(client, role);
    uses.set(keyspace, widest(uses.get(keyspace), access));
    const prefix = envPrefix ?? 'CASSANDRA';
    client.addEnv({
      [`${prefix}_CONTACT_POINTS`]: this.clientHost(),
      [`${prefix}_PORT`]: String(PORTS.cql),
      [`${prefix}_LOCAL_DATACENTER`]: this.datacenter,
      [`${prefix}_KEYSPACE`]: keyspace,
      [`${prefix}_USERNAME`]: secret.key('username'),
      [`${prefix}_PASSWORD`]: secret.key('password'),
    });
    this.openFor(client.connections);
  }

  private openFor(connections: Connections): void {
    connections.allowTo(this.connections.peer, { port: PORTS.cql });
    this.connections.allowFrom(connections.peer, { port: PORTS.cql });
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
    const factor = replicationFactor ?? this.keyspaces.get(keyspace) ?? this.copies();
    const nodes = this.members().length;
    if (!Number.isInteger(factor) || factor < 1 || factor > nodes) {
      fail(this, {
        what: `the replication factor of ${keyspace} must be between 1 and the number of nodes`,
        got: factor,
        allowed: `1 to ${nodes}`,
        fix: 'a copy needs a node of its own',
      });
    }
    this.keyspaces.set(keyspace, factor);
  }

  private judge(): void {
    const { props } = this;
    assertValid(
      this,
      serviceNameProblem(this.name, 'the name of a ring', 30),
      imageProblem(this.image, 'image'),
      props.version === undefined ? undefined : cassandraVersionProblem(props.version, 'version'),
      props.config === undefined ? undefined : cassandraSettingsProblem(props.config, 'config'),
    );
    for (const rack of this.racks) assertValid(this, dnsLabelProblem(rack, 'the name of a rack', 15));
    if (this.racks.length === 0 || new Set(this.racks).size !== this.racks.length) {
      fail(this, {
        what: 'racks must be different names, at least one',
        got: this.racks,
        fix: "['r1', 'r2', 'r3'] lets each become a host later",
      });
    }
    for (const [field, value] of Object.entries({ clusterName: props.clusterName, datacenter: this.datacenter })) {
      if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(value))
        fail(this, {
          what: `${field} must be 1 to 48 letters, digits, _ and -`,
          got: value,
          fix: 'choose another name; it can never change',
        });
    }
    if (!Number.isInteger(this.nodesPerRack) || this.nodesPerRack < 1 || this.nodesPerRack > 50) {
      fail(this, {
        what: 'nodesPerRack must be between 1 and 50',
        got: props.nodesPerRack,
        fix: 'leave it out for one node in each rack',
      });
    }
    assertValid(this, membersPerRackProblem(this.membersPerRack, this.nodesPerRack, 'membersPerRack'));
  }

  private metadata(): { name: string; namespace: string; labels: Record<string, string> } {
    return { name: this.name, namespace: this.namespace, labels: { ...this.allLabels } };
  }

  /** All pods in the order in which they join: rack after rack, as sync waves start them. */
  private nodes(): Node[] {
    return this.racks.flatMap((rack) =>
      Array.from({ length: this.nodesPerRack }, (_, ordinal) => {
        const pod = `${this.name}-${rack}-${ordinal}`;
        return { pod, rack, host: `${pod}.${this.nodesHost()}` };
      }),
    );
  }

  /** The pods that should be nodes of the ring. */
  private members(): Node[] {
    return this.nodes().filter((node) => ordinalOf(node) < this.membersPerRack);
  }

  /** Up to three, in different racks where there are as many. */
  private seeds(): string[] {
    return this.members()
      .sort((a, b) => ordinalOf(a) - ordinalOf(b))
      .slice(0, 3)
      .map(({ host }) => host);
  }

  /** Copies that a keyspace has: three where there are nodes for it. */
  private copies(): number {
    return Math.min(3, this.members().length);
  }

  private nodesHost(): string {
    return `${this.name}-nodes.${this.namespace}.svc.cluster.local`;
  }

  private clientHost(): string {
    return `${this.name}.${this.namespace}.svc.cluster.local`;
  }

  private makeService(
    id: string,
    name: string,
    more: Pick<k8s.ServiceSpec, 'clusterIp' | 'publishNotReadyAddresses'>,
  ): k8s.KubeService {
    return new k8s.KubeService(this, id, {
      metadata: { ...this.metadata(), name },
      spec: {
        ...more,
        selector: { ...this.selector },
        ports: [{ name: 'cql', port: PORTS.cql, targetPort: k8s.IntOrString.fromString('cql'), protocol: 'TCP' }],
      },
    });
  }

  private makeBackup(): CassandraBackup | undefined {
    const { backup, retired, priorityClassName, pullSecrets } = this.props;
    if (!backup || retired) return undefined;
    const made = new CassandraBackup(this, 'backup', {
      ...this.metadata(),
      backup,
      image: this.image,
      dataPath: DATA,
      nodes: this.members(),
      host: this.clientHost(),
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
        this.racks.map((rack) => [`cassandra-rackdc-${rack}.properties`, rackProperties(this.datacenter, rack)]),
      ),
    };
    const scripts = {
      'node.py': scriptFile('cassandra-node.py'),
      'joining.py': scriptFile('cassandra-joining.py'),
      ...opsScripts(),
      ...this.backup?.scripts(),
    };
    const readEachRound = {
      'node.json': `${JSON.stringify(this.nodeConfig(), null, 2)}\n`,
      'ops.json': opsJson(this, this.ops),
    };
    new k8s.KubeConfigMap(this, 'config', {
      metadata: { ...this.metadata(), name: `${this.name}-config` },
      data: config,
    });
    new k8s.KubeConfigMap(this, 'scripts', {
      metadata: { ...this.metadata(), name: `${this.name}-scripts` },
      data: { ...scripts, ...readEachRound },
    });
    new k8s.KubeServiceAccount(this, 'account', { metadata: this.metadata(), automountServiceAccountToken: false });
    // Without node.json, which a node reads when it starts: one node more must not restart all others.
    const checksum = contentHash([config, scripts]);
    return this.racks.map((rack, index) => this.makeStatefulSet(rack, index + 1, checksum));
  }

  private nodeConfig(): object {
    const absentSeconds = (this.props.newRingDelay ?? Duration.minutes(10)).toSeconds();
    return {
      quietSeconds: 30,
      absentSeconds,
      intervalSeconds: 3,
      service: this.nodesHost(),
      copies: this.copies(),
      seeds: this.seeds(),
      members: this.members(),
      ...(this.membersPerRack < this.nodesPerRack && {
        surplus: this.nodes().filter((node) => ordinalOf(node) >= this.membersPerRack),
      }),
    };
  }

  /** Argo CD makes and changes one rack after the other: the controllers by themselves would restart all racks at once. */
  private makeStatefulSet(rack: string, wave: number, checksum: string): k8s.KubeStatefulSet {
    const selector = { ...this.selector, [RACK_LABEL]: rack };
    const statefulSet = new k8s.KubeStatefulSet(this, `rack-${rack}`, {
      metadata: {
        ...this.metadata(),
        name: `${this.name}-${rack}`,
        labels: { ...this.allLabels, [RACK_LABEL]: rack },
        annotations: syncWave(wave),
      },
      spec: {
        serviceName: `${this.name}-nodes`,
        replicas: this.nodesPerRack,
        // All at once: a node that waits for its turn must be there to say that it is empty.
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: selector },
        revisionHistoryLimit: 3,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        template: {
          metadata: {
            labels: { ...this.allLabels, [RACK_LABEL]: rack },
            annotations: {
              'checksum/config': checksum,
              ...(this.backup && { 'checksum/backup': this.backup.backup.checksum }),
              ...scrapeAnnotations(this.scraped()),
            },
          },
          spec: late(() => (this.props.overridePodSpec ?? ((spec) => spec))(this.podSpec(rack))),
        },
        volumeClaimTemplates: [this.props.storage.claimTemplate(this, 'data', selector)],
      },
    });
    return withClaimDefaults(statefulSet);
  }

  private podSpec(rack: string): k8s.PodSpec {
    const { props } = this;
    const { image } = this;
    const small = resourceRequirements(this, { memory: Size.mebibytes(64), cpu: Cpu.millis(50) });
    const checks = props.storage.mountCanBeMissing ? [mountCheck(image, small, 'data', DATA)] : [];
    const ops = opsContainer(this, image, this.ops);
    const empty = (name: string, size: string): k8s.Volume => ({
      name,
      emptyDir: { sizeLimit: k8s.Quantity.fromString(size) },
    });
    return {
      serviceAccountName: this.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: props.priorityClassName,
      imagePullSecrets: props.pullSecrets?.map((name) => ({ name })),
      terminationGracePeriodSeconds: (props.terminationGracePeriod ?? Duration.seconds(120)).toSeconds(),
      affinity: props.placement && { nodeAffinity: props.placement.nodeAffinity },
      topologySpreadConstraints: spreadOverNodes(this.selector),
      securityContext: restrictedPod(USER),
      initContainers: [
        ...checks,
        {
          // Over a copy of the image's folder, so that whatever else a version brings there is kept. Not cp -a: the user may
          // not set the times of an emptyDir, which belongs to root.
          name: 'config',
          image,
          command: ['sh', '-ec', scriptFile('cassandra-conf.sh', { RACK: rack })],
          resources: small,
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            { name: 'conf', mountPath: '/conf' },
            { name: 'config', mountPath: '/config', readOnly: true },
          ],
        },
      ],
      containers: [
        this.container(image),
        this.backup ? this.backup.intoOps(ops) : ops,
        ...(this.exporter ? [this.exporter] : []),
        ...(this.backup ? [this.backup.backup.container()] : []),
      ],
      volumes: [
        empty('conf', '16Mi'),
        empty('logs', '256Mi'),
        empty('tmp', '128Mi'),
        empty('ops-tmp', '64Mi'),
        { name: 'config', configMap: { name: `${this.name}-config` } },
        { name: 'scripts', configMap: { name: `${this.name}-scripts` } },
        ...(this.backup?.volumes() ?? []),
      ],
    };
  }

  /** A pod can name one port: the exporter has more to tell. */
  private scraped() {
    return this.props.exporter ?? (this.ops.scrapedBy && { port: OPS_PORT });
  }

  private container(image: string): k8s.Container {
    const tcp = (name: string): k8s.Probe => ({ tcpSocket: { port: k8s.IntOrString.fromString(name) } });
    const field = (fieldPath: string): k8s.EnvVarSource => ({ fieldRef: { fieldPath } });
    const startup = (this.props.startup ?? Duration.hours(1)).toSeconds();
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
      resources: resourceRequirements(this, this.props.resources),
      // By TCP: each nodetool is a Java of its own, for 2 to 5 s. Clients are served once the node has joined.
      startupProbe: { ...tcp('storage'), periodSeconds: 10, failureThreshold: Math.ceil(startup / 10) },
      // Fails only where Cassandra accepts clients and does not answer them. A drained node has closed its ports and is well.
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
        { name: 'data', mountPath: DATA },
        { name: 'conf', mountPath: '/etc/cassandra' },
        { name: 'logs', mountPath: '/var/log/cassandra' },
        { name: 'tmp', mountPath: '/tmp' },
        { name: 'scripts', mountPath: '/scripts', readOnly: true },
      ],
    };
  }

  private makeSchemaJob(): HashNamedJob {
    const name = `${this.name}-schema`;
    const schema = new k8s.KubeConfigMap(this, 'schema', {
      metadata: { name, namespace: this.namespace, labels: { ...this.allLabels } },
      data: late(() => ({
        'cql.py': scriptFile('cassandra-cql.py'),
        'schema.py': scriptFile('cassandra-schema.py'),
        'schema.json': schemaJson({
          datacenter: this.datacenter,
          nodes: this.nodes().map(({ host }) => host),
          copies: this.copies(),
          keyspaces: this.keyspaces,
          roles: this.logins.uses,
        }),
      })),
    });
    const job = new HashNamedJob(this, 'schema-job', {
      name,
      namespace: this.namespace,
      image: this.image,
      command: ['python3', '/schema/schema.py'],
      resources: { memory: Size.mebibytes(256), cpu: Cpu.millis(100) },
      user: USER,
      reads: { '/schema': schema },
      priorityClassName: this.props.priorityClassName,
      pullSecrets: this.props.pullSecrets,
      wave: this.racks.length + 1,
    });
    job.addEnv({
      CASSANDRA_HOST: this.clientHost(),
      ADMIN_PASSWORD: this.adminSecret.key('password'),
      PREVIOUS_ADMIN_PASSWORD: this.adminSecret.key('previous-password'),
    });
    this.openFor(job.connections);
    // It asks every node whether it has joined, and has it repair what got more copies.
    job.connections.allowTo(this.connections.peer, { port: PORTS.tell });
    this.connections.allowFrom(job.connections.peer, { port: PORTS.tell });
    return job;
  }
}
