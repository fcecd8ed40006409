import { Duration, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { mongodSettingsProblem, type Settings } from '../values/database-settings';
import { compatibilityProblem, mongodbVersionProblem } from '../values/database-versions';
import { membersOf, membersProblem, podsProblem, type MemberOptions } from '../values/members';
import { mongoRolesProblem, type MongoRole } from '../values/mongo-roles';
import { imageProblem, serviceNameProblem } from '../values/names';
import { bytes, mebibytes, sizeProblem } from '../values/quantity';
import { syncWave } from './argo-cd';
import type { BackupProps } from './backup';
import { Connections, type Client, type Connectable, type Peer } from './connections';
import { DatabaseLogins, widest } from './database-logins';
import { loginVariables, passwordVariable } from './env';
import { exporterContainer, scrapeAnnotations, type Exporter } from './exporter';
import { HashNamedJob } from './hash-named-job';
import { identityAnnotation } from './identity';
import { imageOf, images, tagOf } from './images';
import { labels, selectorLabels, type Labels } from './labels';
import { late } from './late';
import { MongoBackup } from './mongo-backup';
import { spreadOverNodes, type Placement } from './placement';
import { contentHash, overrideManifests, type ManifestOverride } from './rendering';
import { assertValid, namespaceOf, fail } from './validation';
import { scriptFile } from './script-file';
import { resourceRequirements, type Resources } from './resources';
import { DeclaredSecret, READS_AGAIN } from './secrets';
import { RESTRICTED_CONTAINER, restrictedPod } from './security';
import { mountCheck, withClaimDefaults, type DataStorage } from './volumes';

/** What a replica set is made of, and how many members it should have. */
export interface MongoReplicaSetProps {
  /**
   * Name of every object that it makes; pods are NAME-0, NAME-1. May never change: the claims of another name are new and empty.
   * @default the construct's id
   */
  readonly name?: string;
  /** @default the chart's namespace */
  readonly namespace?: string;
  /** Where it is given, `version` is not. @default images.mongodb, in that version */
  readonly image?: string;
  /**
   * Exact version of the official image, as 8.0.26: 6.0 or newer, which the scripts were written for. One major version at a
   * time, never back: plan says the way. @default that of images.mongodb
   */
  readonly version?: string;
  /**
   * Major and minor version, as 8.0, whose form of data the set may write: that of `version`, or of the major version before. It
   * is raised once every member runs a mongod that knows it, and never lowered: an older mongod then refuses the files. So it
   * comes in a commit of its own, some days after `version`. @default as the set has it; a new set has that of its version
   */
  readonly featureCompatibilityVersion?: string;
  /** May never change: members keep it on their disks, and belong to no set under another one. @default rs0 */
  readonly replicaSetName?: string;
  /** Wanted members: 1, 3, 5 or 7 that vote; from 8 on the further ones hold copies and do not vote, nor do delayed ones. @default 3 */
  readonly members?: number;
  /**
   * Running pods. To shrink, lower `members` in one commit and `pods` in the next, once the set has let the members go.
   * @default members
   */
  readonly pods?: number;
  /**
   * Members that are hidden or delayed, by their ordinal, as { 3: { delay: Duration.hours(1) } } with 4 members: three vote, the
   * fourth follows an hour later. Never ordinal 0. A change restarts no member; clients restart where PREFIX_URI names other
   * members. @default all are plain
   */
  readonly memberOptions?: Readonly<Record<number, MemberOptions>>;
  /** One volume per pod, claimed as data-POD. May never change: the claim templates of a StatefulSet are immutable. */
  readonly storage: DataStorage;
  /** Of mongod. At least 1 GiB of memory: below that no cache is left. */
  readonly resources: Resources;
  /**
   * Further settings as mongod.conf has them, as { operationProfiling: { slowOpThresholdMs: 200 }, setParameter: { ... } }; a
   * change restarts member after member. Settings that hold a promise of this construct are refused, with what to set
   * instead. mongod itself judges the others: a member that refuses one does not start, and the rollout stops at that member.
   * @default none
   */
  readonly config?: Settings;
  /** Of the container that keeps the set as wanted. @default 192 MiB, 50m: one idle mongosh was measured at 126 MiB */
  readonly reconcileResources?: Resources;
  /** @default any node */
  readonly placement?: Placement;
  /** @default none */
  readonly priorityClassName?: string;
  /** Stores the set encrypted in another place, and loads it again from there. @default none */
  readonly backup?: BackupProps;
  /** A container that reports metrics. @default none */
  readonly exporter?: Exporter;
  /**
   * Pods that may read the metrics of `reconcile` on port 7012, such as Prometheus': the age of the newest backup, and whether the
   * member serves. Opens the network for them; without it nothing listens. @default none
   */
  readonly scrapedBy?: Peer;
  /** Time to step down and to write everything. @default 90 s */
  readonly terminationGracePeriod?: Duration;
  /** How long a start may take, recovery included. @default 10 minutes */
  readonly startup?: Duration;
  /** Names of pull secrets. @default none */
  readonly pullSecrets?: readonly string[];
  /** Runs no pods, but keeps policy, claims and volumes. @default false */
  readonly retired?: boolean;
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/**
 * What a client asks of the set. Its environment then has PREFIX_URI, _USERNAME, _PASSWORD, _PASSWORD_IN_URI (percent-encoded)
 * and _DATABASE.
 */
export interface MongoConnection {
  /** The one database that the client may read and write; it may change validators and options of collections there (collMod). */
  readonly database: string;
  /**
   * Its roles on that database, one or several: read, readWrite, dbAdmin (indexes, statistics, profiling; reads nothing by itself) or
   * dbOwner, which some programs ask for. @default readWrite
   */
  readonly access?: MongoRole | readonly MongoRole[];
  /** The user that it logs in as. Two clients of one name need two. @default the client's name */
  readonly user?: string;
  /** What the variables start with. @default MONGODB */
  readonly envPrefix?: string;
}

const PORT = 27017;
/** Of the metrics of `reconcile`. */
const METRICS_PORT = 7012;
/**
 * In which a client notices that a member has gone silent: a driver waits for a heartbeat's answer for this and 10 s. With the 30 s of
 * some drivers, a client that was cut off from the primary in silence wrote nothing for 57 s.
 */
const CONNECT_SECONDS = 5;
/** Key of the password as it stands in a URI: one that was set by hand may hold any character. */
const IN_URI = 'password-in-uri';
/** User and group of mongod in the official image. */
const USER = 999;
const GIB = 1024 ** 3;

/** A MongoDB replica set without an operator: the official image, and a container beside each mongod that keeps the set as wanted. */
export class MongoReplicaSet extends Construct implements Connectable<MongoConnection> {
  /** Name of the StatefulSet and of its Service; all other names start with it. At most 40 characters. */
  readonly name: string;
  /** Where it runs: part of the DNS names that members and clients use. */
  readonly namespace: string;
  /** Its one NetworkPolicy, also once it is retired. For a Prometheus: `connections.allowFrom(peer, { port })`. */
  readonly connections: Connections;
  /** Login of the user root, which the container `reconcile` makes by the localhost exception. */
  readonly rootSecret: DeclaredSecret;
  /** By what members know each other: 756 random bytes, 1008 characters in base64; MongoDB takes at most 1024. */
  readonly keyfile: DeclaredSecret;
  /** Undefined once it is retired, as are the objects below. */
  readonly statefulSet?: k8s.KubeStatefulSet;
  /** Headless: each member has a name of its own, and PREFIX_URI holds all that are not hidden. Undefined once it is retired. */
  readonly service?: k8s.KubeService;
  /** Lets a drain take one member at a time. Undefined once it is retired. */
  readonly podDisruptionBudget?: k8s.KubePodDisruptionBudget;
  /** Makes the users that clients connect as; runs again when they change. Undefined once it is retired. */
  readonly usersJob?: HashNamedJob;
  private readonly backup?: MongoBackup;
  private readonly exporter?: k8s.Container;
  private readonly image: string;
  private readonly members: number;
  private readonly pods: number;
  private readonly replicaSet: string;
  private readonly selector: Labels;
  private readonly allLabels: Labels;
  private readonly logins: DatabaseLogins;
  /** Of logins, besides reading and writing. */
  private readonly furtherRoles: { readonly user: string; readonly role: MongoRole; readonly db: string }[] = [];

  constructor(
    scope: Construct,
    id: string,
    private readonly props: MongoReplicaSetProps,
  ) {
    super(scope, id);
    this.name = props.name ?? id;
    this.namespace = namespaceOf(this, props.namespace);
    this.image = imageOf(this, images.mongodb, props);
    this.members = props.members ?? 3;
    this.pods = props.pods ?? this.members;
    this.replicaSet = props.replicaSetName ?? 'rs0';
    this.judge();
    const identity = { app: 'mongodb', instance: this.name, component: 'database' };
    this.selector = selectorLabels(identity);
    this.allLabels = labels(identity);
    this.connections = new Connections(this, 'connections', {
      ...this.metadata(),
      selector: this.selector,
      keep: true,
      annotations: identityAnnotation({
        replicaSet: this.replicaSet,
        members: this.members,
        image: this.image,
      }),
    });
    this.exporter = exporterContainer(this, props.exporter);
    if (props.scrapedBy) this.connections.allowFrom(props.scrapedBy, { port: METRICS_PORT });
    this.keyfile = new DeclaredSecret(this, 'keyfile', {
      name: `${this.name}-keyfile`,
      namespaces: [this.namespace],
      keys: { keyfile: { generate: 'base64', bytes: 756 } },
    });
    this.rootSecret = new DeclaredSecret(this, 'root', {
      name: `${this.name}-root`,
      namespaces: [this.namespace],
      keys: { username: { value: 'root' }, password: { generate: 'alphanumeric', length: 32 } },
    });
    this.logins = new DatabaseLogins(this, {
      name: this.name,
      namespace: this.namespace,
      noun: 'user',
      reserved: ['root', 'keyfile', 'backup', 'restore'],
      keys: { [IN_URI]: { percentEncoded: 'password' } },
      job: () => this.usersJob!,
    });
    props.storage.declare(this, this.namespace, 'data', this.podNames());
    if (!props.retired) {
      this.connections.allowFrom(this.connections.peer, { port: PORT });
      this.connections.allowTo(this.connections.peer, { port: PORT });
      this.backup = this.makeBackup();
      this.service = this.makeService();
      this.statefulSet = this.makeStatefulSet();
      this.podDisruptionBudget = this.makeBudget();
      this.usersJob = this.makeUsersJob();
    }
    overrideManifests(this, props.overrideManifest);
  }

  /** Lets a client reach the set, as a user of its own that may read and write one database. */
  accept(client: Client, { database, user, envPrefix, access = 'readWrite' }: MongoConnection): void {
    if (this.props.retired)
      fail(this, {
        what: 'a database that is connected to must run',
        got: 'retired',
        fix: `remove the connection of ${client.node.path}, or set the database to active`,
      });
    if (!/^[a-z][a-z0-9_-]{0,37}$/.test(database) || ['admin', 'local', 'config'].includes(database)) {
      fail(client, {
        what: 'the name of a database must be 1 to 38 of a-z, 0-9, _ and -',
        got: database,
        allowed: 'not admin, local or config',
        fix: 'choose another name',
      });
    }
    assertValid(client, mongoRolesProblem(access, 'access'));
    const { secret, uses } = this.logins.of(client, user);
    for (const role of typeof access === 'string' ? [access] : access) {
      if (role === 'read' || role === 'readWrite') uses.set(database, widest(uses.get(database), role));
      else this.furtherRoles.push({ user: user ?? client.clientName, role, db: database });
    }
    const prefix = envPrefix ?? 'MONGODB';
    client.addEnv({
      [`${prefix}_USERNAME`]: secret.key('username'),
      [`${prefix}_PASSWORD`]: secret.key('password'),
      [`${prefix}_PASSWORD_IN_URI`]: secret.key(IN_URI),
      [`${prefix}_DATABASE`]: database,
      [`${prefix}_URI`]: `mongodb://$(${prefix}_USERNAME):$(${prefix}_PASSWORD_IN_URI)@${this.hostsForClients().join(',')}/${database}?replicaSet=${this.replicaSet}&authSource=admin&connectTimeoutMS=${CONNECT_SECONDS * 1000}`,
    });
    this.openFor(client.connections);
  }

  private openFor(connections: Connections): void {
    connections.allowTo(this.connections.peer, { port: PORT });
    this.connections.allowFrom(connections.peer, { port: PORT });
  }

  private judge(): void {
    const { resources, version, config, featureCompatibilityVersion } = this.props;
    assertValid(
      this,
      serviceNameProblem(this.name, 'the name of a replica set', 40),
      imageProblem(this.image, 'image'),
      version === undefined ? undefined : mongodbVersionProblem(version, 'version'),
      featureCompatibilityVersion === undefined
        ? undefined
        : compatibilityProblem(featureCompatibilityVersion, tagOf(this.image), 'featureCompatibilityVersion'),
      config === undefined ? undefined : mongodSettingsProblem(config, 'config'),
      sizeProblem(resources.memory, 'memory'),
      membersProblem(this.members, 'members', this.props.memberOptions),
      podsProblem(this.pods, this.members, 'pods'),
    );
    if (bytes(resources.memory) < GIB) {
      fail(this, {
        what: 'mongod must have at least 1 GiB of memory',
        got: resources.memory,
        fix: 'give it 1 GiB: below that no room is left beside the smallest cache of 256 MiB',
      });
    }
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(this.replicaSet)) {
      fail(this, {
        what: 'replicaSetName must be 1 to 48 letters, digits, _ and -',
        got: this.replicaSet,
        fix: 'rs0 is as good as any',
      });
    }
  }

  private metadata(): { name: string; namespace: string; labels: Record<string, string> } {
    return { name: this.name, namespace: this.namespace, labels: { ...this.allLabels } };
  }

  private podNames(): string[] {
    return Array.from({ length: this.pods }, (_, ordinal) => `${this.name}-${ordinal}`);
  }

  private hosts(): string[] {
    return this.podNames()
      .slice(0, this.members)
      .map((pod) => `${pod}.${this.name}.${this.namespace}.svc.cluster.local:${PORT}`);
  }

  /** A hidden member takes no client, and a driver drops it from its list. */
  private hostsForClients(): string[] {
    const members = membersOf(this.members, this.props.memberOptions);
    return this.hosts().filter((_, ordinal) => !members[ordinal]!.hidden);
  }

  private makeBackup(): MongoBackup | undefined {
    const { backup, priorityClassName, pullSecrets } = this.props;
    if (!backup) return undefined;
    const made = new MongoBackup(this, 'backup', {
      backup,
      ...this.metadata(),
      image: this.image,
      pods: this.podNames(),
      hosts: this.hostsForClients(),
      root: this.rootSecret,
      priorityClassName,
      pullSecrets,
    });
    this.openFor(made.restoreConnections);
    made.backup.openFor(this.connections);
    return made;
  }

  private makeService(): k8s.KubeService {
    return new k8s.KubeService(this, 'service', {
      metadata: this.metadata(),
      spec: {
        clusterIp: 'None',
        // Members find each other by name before any of them is ready.
        publishNotReadyAddresses: true,
        selector: { ...this.selector },
        ports: [{ name: 'mongodb', port: PORT, targetPort: k8s.IntOrString.fromString('mongodb'), protocol: 'TCP' }],
      },
    });
  }

  private makeStatefulSet(): k8s.KubeStatefulSet {
    // mongosh.conf: the reconciler's mongosh would write some 8 KB of log at each round, 70 MB a day, into /tmp.
    const scripts = {
      'start.sh': scriptFile('mongo-start.sh'),
      'decisions.js': scriptFile('mongo-decisions.js'),
      'reconcile.js': scriptFile('mongo-reconcile.js'),
      ...(this.backup && MongoBackup.scripts()),
      'mongosh.conf': scriptFile('mongosh.conf'),
      // JSON is YAML.
      ...(this.props.config && { 'mongod.conf': `${JSON.stringify(this.props.config, null, 2)}\n` }),
    };
    const configMap = new k8s.KubeConfigMap(this, 'config', {
      metadata: this.metadata(),
      data: { ...scripts, 'members.json': this.membersJson() },
    });
    this.rootSecret.readBy(this, this.namespace);
    this.keyfile.readBy(this, this.namespace);
    new k8s.KubeServiceAccount(this, 'account', { metadata: this.metadata(), automountServiceAccountToken: false });
    const statefulSet = new k8s.KubeStatefulSet(this, 'stateful-set', {
      // The reconciler reads the login of root at each round.
      metadata: { ...this.metadata(), annotations: { ...syncWave(1), [READS_AGAIN]: this.rootSecret.name } },
      spec: {
        serviceName: this.name,
        replicas: this.pods,
        // All at once: a set is initiated only when every member answers.
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { ...this.selector } },
        revisionHistoryLimit: 3,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        template: {
          // Scripts and configuration only: members.json is read again at each round, so a changed number of members restarts nothing.
          metadata: {
            labels: { ...this.allLabels },
            annotations: {
              'checksum/script': contentHash(scripts),
              ...(this.backup && { 'checksum/backup': this.backup.backup.checksum }),
              // A pod can name one port: the exporter has more to tell.
              ...scrapeAnnotations(this.props.exporter ?? (this.props.scrapedBy && { port: METRICS_PORT })),
            },
          },
          spec: late(() => (this.props.overridePodSpec ?? ((spec) => spec))(this.podSpec(configMap.name))),
        },
        volumeClaimTemplates: [this.props.storage.claimTemplate(this, 'data', this.selector)],
      },
    });
    return withClaimDefaults(statefulSet);
  }

  private membersJson(): string {
    const hosts = this.hosts();
    const members = membersOf(this.members, this.props.memberOptions).map((member, index) => ({
      _id: index,
      host: hosts[index],
      ...member,
    }));
    const { featureCompatibilityVersion } = this.props;
    return `${JSON.stringify({ replicaSet: this.replicaSet, featureCompatibilityVersion, quietSeconds: 30, intervalSeconds: 10, members }, null, 2)}\n`;
  }

  private podSpec(configMap: string): k8s.PodSpec {
    const { props } = this;
    const { image } = this;
    const reconcile = resourceRequirements(
      this,
      props.reconcileResources ?? { memory: Size.mebibytes(192), cpu: Cpu.millis(50) },
    );
    const small = resourceRequirements(this, { memory: Size.mebibytes(32), cpu: Cpu.millis(10) });
    const data: k8s.VolumeMount = { name: 'data', mountPath: '/data/db' };
    const checks = props.storage.mountCanBeMissing ? [mountCheck(image, small, 'data', '/data/db')] : [];
    return {
      serviceAccountName: this.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: props.priorityClassName,
      imagePullSecrets: props.pullSecrets?.map((name) => ({ name })),
      terminationGracePeriodSeconds: (props.terminationGracePeriod ?? Duration.seconds(90)).toSeconds(),
      affinity: props.placement && { nodeAffinity: props.placement.nodeAffinity },
      topologySpreadConstraints: spreadOverNodes(this.selector),
      securityContext: restrictedPod(USER),
      initContainers: [
        ...checks,
        {
          // mongod refuses a key that a group may read, and fsGroup gives the group every secret: so a copy.
          name: 'keyfile',
          image,
          command: ['install', '-m', '0400', '/secret/keyfile', '/keyfile/keyfile'],
          resources: small,
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            { name: 'secret', mountPath: '/secret', readOnly: true },
            { name: 'keyfile', mountPath: '/keyfile' },
          ],
        },
      ],
      containers: [
        this.mongod(image, data),
        this.backup ? this.backup.reconciler(this.reconciler(image, reconcile)) : this.reconciler(image, reconcile),
        ...(this.backup ? [this.backup.backup.container()] : []),
        ...(this.exporter ? [this.exporter] : []),
      ],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('64Mi') } },
        { name: 'configdb', emptyDir: { sizeLimit: k8s.Quantity.fromString('16Mi') } },
        { name: 'keyfile', emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString('1Mi') } },
        { name: 'secret', secret: { secretName: this.keyfile.name } },
        { name: 'root-login', secret: { secretName: this.rootSecret.name } },
        { name: 'config', configMap: { name: configMap } },
        ...(this.backup ? this.backup.backup.volumes() : []),
      ],
    };
  }

  private mongod(image: string, data: k8s.VolumeMount): k8s.Container {
    const startup = (this.props.startup ?? Duration.minutes(10)).toSeconds();
    // A TCP probe: one mongosh probe costs 300 to 900 m of CPU.
    const probe: k8s.Probe = { tcpSocket: { port: k8s.IntOrString.fromString('mongodb') } };
    return {
      name: 'mongod',
      image,
      // Not by the image's entrypoint: mongod becomes process 1 and gets SIGTERM, on which it steps down and writes everything.
      command: [
        'sh',
        '/config/start.sh',
        'mongod',
        `--replSet=${this.replicaSet}`,
        '--keyFile=/keyfile/keyfile',
        '--dbpath=/data/db',
        '--bind_ip_all',
        `--port=${PORT}`,
        `--wiredTigerCacheSizeGB=${cacheGigabytes(bytes(this.props.resources.memory))}`,
        ...(this.props.config ? ['--config=/config/mongod.conf'] : []),
      ],
      env: [{ name: 'HOME', value: '/tmp' }],
      ports: [{ name: 'mongodb', containerPort: PORT, protocol: 'TCP' }],
      resources: resourceRequirements(this, this.props.resources),
      startupProbe: { ...probe, periodSeconds: 5, failureThreshold: Math.ceil(startup / 5) },
      livenessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
      readinessProbe: { ...probe, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 },
      securityContext: RESTRICTED_CONTAINER,
      volumeMounts: [
        data,
        { name: 'configdb', mountPath: '/data/configdb' },
        { name: 'tmp', mountPath: '/tmp' },
        { name: 'keyfile', mountPath: '/keyfile', readOnly: true },
        { name: 'config', mountPath: '/config', readOnly: true },
      ],
    };
  }

  private reconciler(image: string, resources: k8s.ResourceRequirements): k8s.Container {
    return {
      name: 'reconcile',
      image,
      command: ['mongosh', '--nodb', '--norc', '--quiet', '/config/reconcile.js'],
      // Primary or secondary within the last minute, as the script says: a member that still copies the data is none.
      readinessProbe: {
        exec: { command: ['sh', '-c', scriptFile('mongo-serves.sh').trimEnd()] },
        periodSeconds: 10,
        timeoutSeconds: 5,
        failureThreshold: 3,
      },
      env: [
        { name: 'HOME', value: '/tmp' },
        { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ...(this.props.scrapedBy ? [{ name: 'METRICS_PORT', value: String(METRICS_PORT) }] : []),
      ],
      ...(this.props.scrapedBy && {
        ports: [{ name: 'metrics-set', containerPort: METRICS_PORT, protocol: 'TCP' }],
      }),
      resources,
      securityContext: RESTRICTED_CONTAINER,
      volumeMounts: [
        { name: 'tmp', mountPath: '/tmp' },
        { name: 'config', mountPath: '/config', readOnly: true },
        { name: 'config', mountPath: '/etc/mongosh.conf', subPath: 'mongosh.conf', readOnly: true },
        { name: 'root-login', mountPath: '/root-login', readOnly: true },
        // By it the reconciler finds out whether the other members take this one for one of them.
        { name: 'keyfile', mountPath: '/keyfile', readOnly: true },
      ],
    };
  }

  private makeBudget(): k8s.KubePodDisruptionBudget {
    return new k8s.KubePodDisruptionBudget(this, 'budget', {
      metadata: this.metadata(),
      spec: { selector: { matchLabels: { ...this.selector } }, maxUnavailable: k8s.IntOrString.fromNumber(1) },
    });
  }

  private makeUsersJob(): HashNamedJob {
    const name = `${this.name}-users`;
    const users = new k8s.KubeConfigMap(this, 'users', {
      metadata: { name, namespace: this.namespace, labels: { ...this.allLabels } },
      data: late(() => ({ 'users.js': scriptFile('mongo-users.js'), 'users.json': this.usersJson() })),
    });
    const job = new HashNamedJob(this, 'users-job', {
      name,
      namespace: this.namespace,
      image: this.image,
      command: ['mongosh', '--nodb', '--norc', '--quiet', '/config/users.js'],
      resources: this.props.reconcileResources ?? { memory: Size.mebibytes(192), cpu: Cpu.millis(50) },
      user: USER,
      reads: { '/config': users },
      priorityClassName: this.props.priorityClassName,
      pullSecrets: this.props.pullSecrets,
      wave: 2,
    });
    job.addEnv({
      ROOT_USERNAME: this.rootSecret.key('username'),
      ROOT_PASSWORD: this.rootSecret.key('password'),
      PREVIOUS_ROOT_PASSWORD: this.rootSecret.key('previous-password'),
    });
    this.openFor(job.connections);
    return job;
  }

  private usersJson(): string {
    const users = [...this.logins.uses]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([user, uses]) => {
        const { own, readOnly } = DatabaseLogins.parted(uses);
        const further = this.furtherRoles.filter((each) => each.user === user).map(({ role, db }) => `${db}.${role}`);
        const roles = [...new Set(further)].sort().map((each) => {
          const [db, role] = each.split('.');
          return { role, db };
        });
        return {
          user,
          ...loginVariables(user),
          passwordFrom: passwordVariable(user),
          databases: own,
          readOnly,
          ...(roles.length > 0 && { roles }),
        };
      });
    return `${JSON.stringify({ replicaSet: this.replicaSet, hosts: this.hostsForClients(), users }, null, 2)}\n`;
  }
}

/** Half of what is left after the first GiB, as mongod itself reckons with a whole machine; it does not see the pod's limit. */
function cacheGigabytes(limit: number): string {
  const cache = Math.max(GIB / 4, (limit - GIB) / 2);
  return (mebibytes(cache) / 1024).toFixed(2);
}
