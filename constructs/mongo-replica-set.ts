import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import type { Settings } from '../values/database-settings';
import type { MemberOptions } from '../values/members';
import { prefixOfName } from '../values/connection-fields';
import { mongoRolesProblem, rolesOf, type MongoAccess } from '../values/mongo-roles';
import { syncWave } from './argo-cd';
import type { BackupProps } from './backup';
import {
  openBetween,
  type Client,
  type Connectable,
  type ConnectionName,
  type Connections,
  type Peer,
} from './connections';
import { DATABASE_USER, databaseStatefulSet, metadataOf, type DatabaseProps } from './database';
import { DatabaseLogins, widest } from './database-logins';
import { disruptionBudget } from './disruption-budget';
import { exporterContainer, scrapeAnnotations } from './exporter';
import { HashNamedJob } from './hash-named-job';
import { late } from './late';
import { MongoBackup } from './mongo-backup';
import { keptMongo, MongoMembers, PORT } from './mongo-members';
import { METRICS_PORT, MONGOSH_RESOURCES, mongoPod } from './mongo-pod';
import { usersJson, type FurtherRole } from './mongo-user-roles';
import { contentHash, overrideManifests } from './rendering';
import type { Resources } from './resources';
import { scriptFile } from './script-file';
import { READS_AGAIN, type DeclaredSecret } from './secrets';
import { assertValid, fail } from './validation';

/** Props of a replica set. Its pods are NAME-0, NAME-1 and so on. */
export interface MongoReplicaSetProps extends DatabaseProps {
  /**
   * Exact version of the official image, such as 8.0.26. 6.0 or newer, because of the scripts. Raise one major version at a time
   * and never go back: `plan` prints the steps. @default that of images.mongodb
   */
  readonly version?: string;
  /**
   * Feature compatibility version, such as 8.0: that of `version`, or of the major version before. It takes effect when every
   * member runs a mongod that supports it, and is never lowered, because an older mongod then refuses the files. So raise it in
   * its own commit, some days after `version`. @default unchanged; a new set has that of its version
   */
  readonly featureCompatibilityVersion?: string;
  /** May never change: members keep it on their disks, and cannot start in a set of another name. @default rs0 */
  readonly replicaSetName?: string;
  /** Wanted members: 1, 3, 5 or 7 that vote. Members from the eighth on, and delayed ones, hold copies and do not vote. @default 3 */
  readonly members?: number;
  /**
   * Running pods. To shrink, lower `members` in one commit, and `pods` in the next after the members have left the set.
   * @default members
   */
  readonly pods?: number;
  /**
   * Members that are hidden or delayed, by ordinal, such as { 3: { delay: Duration.hours(1) } } with 4 members: three vote, the
   * fourth replicates an hour later. Never ordinal 0. A change restarts no member; clients restart if their PREFIX_URI changes.
   * @default all are plain
   */
  readonly memberOptions?: Readonly<Record<number, MemberOptions>>;
  /**
   * Further settings of mongod.conf, such as { operationProfiling: { slowOpThresholdMs: 200 }, setParameter: { ... } }; a change
   * restarts member by member. Settings that the construct sets are refused, and the error names the alternative. mongod
   * validates the others: a member with an invalid setting does not start, and the rollout stops at that member. @default none
   */
  readonly config?: Settings;
  /** Resources of the container `reconcile`, and of the job that creates users. @default 192 MiB, 50m: an idle mongosh was measured at 126 MiB */
  readonly reconcileResources?: Resources;
  /**
   * Pods that may read the metrics of `reconcile` on port 7012, such as those of Prometheus: the age of the newest backup, and
   * whether the member serves clients. Opens the network for them; without it the port is closed. @default none
   */
  readonly scrapedBy?: Peer;
}

/**
 * Options of a client's connection to the set. The client gets the environment variables PREFIX_URI, _USERNAME, _PASSWORD,
 * _PASSWORD_IN_URI (percent-encoded) and _DATABASE.
 */
export interface MongoConnection extends ConnectionName {
  /** The one database that the client may read and write, including validators and options of collections (collMod). */
  readonly database: string;
  /**
   * Its roles on that database, one or several: read, readWrite, dbAdmin (indexes, statistics, profiling; reads no data) or
   * dbOwner, which some programs require. Besides these, roles outside of it that programs need to follow changes:
   * `{ role: 'read', database: 'local' }` for the oplog, `{ role: 'clusterMonitor', database: 'admin' }`. @default readWrite
   */
  readonly access?: MongoAccess;
  /** The user of the client. Two clients of the same name need different users. @default the client's name */
  readonly user?: string;
}

/**
 * connectTimeoutMS of clients, in seconds. A driver waits this time plus 10 s for the answer to a heartbeat before it gives a member
 * up. With the 30 s of some drivers, a client whose primary went silent wrote nothing for 57 s.
 */
const CONNECT_SECONDS = 5;
/** Secret key of the percent-encoded password for a URI: a password set by hand may contain any character. */
const IN_URI = 'password-in-uri';
/** A MongoDB replica set without an operator: the official image, and a container beside each mongod that reconciles the set. */
export class MongoReplicaSet extends Construct implements Connectable<MongoConnection> {
  /** Name of the StatefulSet and of its Service; all other names start with it. At most 40 characters. */
  readonly name: string;
  /** Its namespace: part of the DNS names that members and clients use. */
  readonly namespace: string;
  /** Its NetworkPolicy. For Prometheus use `connections.allowFrom(peer, { port })`. */
  readonly connections: Connections;
  /** Login of the user root, which the container `reconcile` creates by the localhost exception. */
  readonly rootSecret: DeclaredSecret;
  /** Keyfile by which members authenticate each other: 756 random bytes, 1008 characters in base64; MongoDB accepts at most 1024. */
  readonly keyfile: DeclaredSecret;
  /** One pod per member. */
  readonly statefulSet: k8s.KubeStatefulSet;
  /** Headless Service: each member has its own DNS name, and PREFIX_URI contains all that are not hidden. */
  readonly service: k8s.KubeService;
  /** Lets a drain evict one member at a time. */
  readonly podDisruptionBudget: k8s.KubePodDisruptionBudget;
  /** Creates the users of clients. Runs again when they change. */
  readonly usersJob: HashNamedJob;
  private readonly set: MongoMembers;
  private readonly exporter?: k8s.Container;
  private readonly backup?: MongoBackup;
  private readonly logins: DatabaseLogins;
  /** Of logins, besides reading and writing. */
  private readonly furtherRoles: FurtherRole[] = [];

  constructor(
    scope: Construct,
    id: string,
    private readonly props: MongoReplicaSetProps,
  ) {
    super(scope, id);
    this.set = new MongoMembers(this, props);
    const { names } = this.set;
    this.name = names.name;
    this.namespace = names.namespace;
    const kept = keptMongo(this, this.set, props.storage);
    this.connections = kept.connections;
    this.keyfile = kept.keyfile;
    this.rootSecret = kept.rootSecret;
    this.exporter = exporterContainer(this, props.exporter);
    if (props.scrapedBy) this.connections.allowFrom(props.scrapedBy, { port: METRICS_PORT });
    this.logins = new DatabaseLogins(this, {
      name: this.name,
      namespace: this.namespace,
      noun: 'user',
      reserved: ['root', 'keyfile', 'backup', 'restore'],
      keys: { [IN_URI]: { percentEncoded: 'password' } },
      job: () => this.usersJob,
    });
    openBetween(this.connections, this.connections, PORT);
    this.backup = props.backup && this.makeBackup(props.backup);
    this.service = this.makeService();
    this.statefulSet = this.makeStatefulSet();
    this.podDisruptionBudget = disruptionBudget(this, metadataOf(names), names.selector);
    this.usersJob = this.makeUsersJob();
    overrideManifests(this, props.overrideManifest);
  }

  /** Lets a client reach the set, with its own user and access to one database. */
  accept(client: Client, { database, user, as, envPrefix, access = 'readWrite' }: MongoConnection): void {
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
    const login = user ?? client.name;
    for (const role of rolesOf(access)) {
      if (role === 'read' || role === 'readWrite') uses.set(database, widest(uses.get(database), role));
      else if (typeof role === 'string') this.furtherRoles.push({ user: login, role, db: database });
      else this.furtherRoles.push({ user: login, role: role.role, db: role.database });
    }
    const prefix = envPrefix ?? (as === undefined ? 'MONGODB' : prefixOfName(as));
    const hosts = this.set.hostsForClients().join(',');
    const uriOf = (name: string) =>
      `mongodb://$(${prefix}_USERNAME):$(${prefix}_PASSWORD_IN_URI)@${hosts}/${name}?replicaSet=${this.set.replicaSet}&authSource=admin&connectTimeoutMS=${CONNECT_SECONDS * 1000}`;
    const mayUse = (name: string) =>
      uses.has(name) || this.furtherRoles.some((further) => further.user === login && further.db === name);
    client.addConnection(
      { as, envPrefix },
      { name: this.name, prefix: 'MONGODB' },
      {
        kind: 'mongodb',
        fields: {
          username: secret.key('username'),
          password: secret.key('password'),
          passwordInUri: secret.key(IN_URI),
          database,
          uri: uriOf(database),
          hosts,
          replicaSet: this.set.replicaSet,
        },
        uriOf: (name) => (mayUse(name) ? uriOf(name) : undefined),
      },
    );
    openBetween(client.connections, this.connections, PORT);
  }

  private makeBackup(backup: BackupProps): MongoBackup {
    const { priorityClassName, pullSecrets } = this.props;
    const made = new MongoBackup(this, 'backup', {
      backup,
      ...metadataOf(this.set.names),
      image: this.set.image,
      pods: this.set.podNames(),
      hosts: this.set.hostsForClients(),
      root: this.rootSecret,
      priorityClassName,
      pullSecrets,
    });
    openBetween(made.restoreConnections, this.connections, PORT);
    made.backup.openFor(this.connections);
    return made;
  }

  private makeService(): k8s.KubeService {
    return new k8s.KubeService(this, 'service', {
      metadata: metadataOf(this.set.names),
      spec: {
        clusterIp: 'None',
        // Members must resolve each other's names before any of them is ready.
        publishNotReadyAddresses: true,
        selector: { ...this.set.names.selector },
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
    new k8s.KubeConfigMap(this, 'config', {
      metadata: metadataOf(this.set.names),
      data: { ...scripts, 'members.json': this.set.json() },
    });
    this.rootSecret.readBy(this, this.namespace);
    this.keyfile.readBy(this, this.namespace);
    new k8s.KubeServiceAccount(this, 'account', {
      metadata: metadataOf(this.set.names),
      automountServiceAccountToken: false,
    });
    const { props, set, keyfile, rootSecret, exporter, backup } = this;
    return databaseStatefulSet(this, 'stateful-set', {
      // The reconciler reads the login of root at each round.
      metadata: { ...metadataOf(set.names), annotations: { ...syncWave(1), [READS_AGAIN]: rootSecret.name } },
      selector: set.names.selector,
      serviceName: this.name,
      replicas: set.podNames().length,
      podLabels: set.names.labels,
      annotations: {
        // Without members.json, which is read at each round: a changed number of members restarts nothing.
        'checksum/script': contentHash(scripts),
        // The annotation holds one port: the exporter has more metrics.
        ...scrapeAnnotations(props.exporter ?? (props.scrapedBy && { port: METRICS_PORT })),
      },
      storage: props.storage,
      backup: backup?.backup,
      pod: mongoPod(this, set, props, { keyfile, rootSecret, exporter, backup }),
    });
  }

  private makeUsersJob(): HashNamedJob {
    const { set } = this;
    const metadata = metadataOf(set.names, '-users');
    const users = new k8s.KubeConfigMap(this, 'users', {
      metadata,
      data: late(() => ({
        'users.js': scriptFile('mongo-users.js'),
        'users.json': usersJson(set, this.logins, this.furtherRoles),
      })),
    });
    const job = new HashNamedJob(this, 'users-job', {
      name: metadata.name,
      namespace: this.namespace,
      image: set.image,
      command: ['mongosh', '--nodb', '--norc', '--quiet', '/config/users.js'],
      resources: this.props.reconcileResources ?? MONGOSH_RESOURCES,
      user: DATABASE_USER,
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
    openBetween(job.connections, this.connections, PORT);
    return job;
  }
}
