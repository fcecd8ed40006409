import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { dnsNameProblem, ipv4Problem, ipv4Network, portProblem } from '../values/names';
import { sentence } from '../values/problem';
import { KEEP } from './argo-cd';
import type { Connections, Peer, Port } from './connections';
import { clusterScoped } from './rendering';
import { assertValid } from './validation';
import type { SecretSource } from './secrets';

/** A machine that stores backups and is reached by SSH, such as a Mac with Remote Login. */
export interface SftpTarget {
  /** IPv4 address: the only machine that the pods may reach. */
  readonly host: string;
  /** @default 22 */
  readonly port?: number;
  /** User on that machine. Put the public half of the generated key into its authorized_keys. */
  readonly user: string;
  /** Absolute path of an existing folder; each database gets a folder in it. */
  readonly path: string;
  /** Public keys of the machine, as `ssh-ed25519 AAAA...`. Another key is refused, so no other machine can impersonate it. */
  readonly hostKeys: readonly string[];
}

/** An S3-compatible store. The bootstrap asks for its access keys. */
export interface S3Target {
  /** URL, such as https://s3.eu-central-1.amazonaws.com or https://192.168.1.60:9000. */
  readonly endpoint: string;
  /** Name of the bucket. */
  readonly bucket: string;
  /** Folder in the bucket. @default none */
  readonly prefix?: string;
  /** @default us-east-1, which stores without regions expect */
  readonly region?: string;
  /**
   * Networks of the endpoint, such as 203.0.113.0/24: a NetworkPolicy cannot hold names. `0.0.0.0/0` lets the pods reach its port
   * anywhere. @default the endpoint's address, if it has one instead of a name
   */
  readonly networks?: readonly string[];
  /** Whether http:// is allowed. Backups are still encrypted, but the access keys of the store are not. @default false */
  readonly insecure?: boolean;
}

/** A folder of an NFS server, which the node mounts. */
export interface NfsTarget {
  /** IPv4 address or name of the server. */
  readonly server: string;
  /** Absolute path of the export. Group 999 must have write access. */
  readonly path: string;
}

type Kind =
  | { readonly kind: 'sftp'; readonly props: SftpTarget }
  | { readonly kind: 's3'; readonly props: S3Target }
  | { readonly kind: 'nfs'; readonly props: NfsTarget }
  | { readonly kind: 'claim'; readonly claim: string };

/** Where the volume of a target is mounted, and where its files are. */
const MOUNT = '/target';
const FILES = '/backup';

/** Storage for backups. Each database has its own repository there, in a folder of its name. */
export class BackupTarget {
  /** A machine reached by SSH. */
  static sftp(props: SftpTarget): BackupTarget {
    return new BackupTarget({ kind: 'sftp', props });
  }

  /** An S3-compatible store. */
  static s3(props: S3Target): BackupTarget {
    return new BackupTarget({ kind: 's3', props });
  }

  /** An NFS server, by a PersistentVolume: the restricted policy forbids an NFS volume in a pod. */
  static nfs(props: NfsTarget): BackupTarget {
    return new BackupTarget({ kind: 'nfs', props });
  }

  /** An existing claim in the database's namespace. It must be ReadWriteMany, because every pod of the database mounts it. */
  static claim(name: string): BackupTarget {
    return new BackupTarget({ kind: 'claim', claim: name });
  }

  private constructor(private readonly target: Kind) {}

  /** Problems of the target, as sentences. */
  problems(): (string | undefined)[] {
    const { target } = this;
    if (target.kind === 'claim') return [dnsNameProblem(target.claim, 'the claim of a backup target')];
    if (target.kind === 'nfs')
      return [dnsNameProblem(target.props.server, 'the server of an NFS target'), pathProblem(target.props.path)];
    return target.kind === 's3' ? s3Problems(target.props) : sftpProblems(target.props);
  }

  /** The repository of a database, in the syntax of restic. */
  repository(database: string): string {
    const { target } = this;
    if (target.kind === 'sftp') return `sftp:target:${trimmed(target.props.path)}/${database}`;
    if (target.kind !== 's3') return `${MOUNT}/${database}`;
    const { endpoint, bucket, prefix } = target.props;
    return `s3:${[trimmed(endpoint), bucket, prefix, database].filter(Boolean).join('/')}`;
  }

  /** Environment variables of the containers, besides those from secrets. */
  environment(): Record<string, string> {
    const { target } = this;
    if (target.kind === 's3') return { AWS_DEFAULT_REGION: target.props.region ?? 'us-east-1' };
    if (target.kind !== 'sftp') return { BACKUP_PARENT: MOUNT };
    return { BACKUP_PARENT: trimmed(target.props.path) || '/', BACKUP_SSH_CONFIG: `${FILES}/ssh_config` };
  }

  /** Secret keys that the target needs besides the repository's password, and the environment variable of each, if any. */
  keys(): Readonly<Record<string, { readonly source: SecretSource; readonly variable?: string }>> {
    const { target } = this;
    if (target.kind === 'sftp') return { 'ssh-key': { source: { generate: 'ssh-ed25519' } } };
    if (target.kind !== 's3') return {};
    const ask = (what: string) => ({ ask: `${what} of the bucket ${target.props.bucket} at ${target.props.endpoint}` });
    return {
      'access-key-id': { source: ask('access key ID'), variable: 'AWS_ACCESS_KEY_ID' },
      'secret-access-key': { source: ask('secret access key'), variable: 'AWS_SECRET_ACCESS_KEY' },
    };
  }

  /** Files of the containers below /backup. */
  files(): Readonly<Record<string, string>> {
    if (this.target.kind !== 'sftp') return {};
    const { host, port = 22, user, hostKeys } = this.target.props;
    const known = port === 22 ? host : `[${host}]:${port}`;
    return {
      known_hosts: hostKeys.map((key) => `${known} ${key.split(' ').slice(0, 2).join(' ')}\n`).join(''),
      ssh_config: [
        'Host target',
        `  HostName ${host}`,
        `  Port ${port}`,
        `  User ${user}`,
        '  IdentityFile /secret/ssh-key',
        '  IdentitiesOnly yes',
        `  UserKnownHostsFile ${FILES}/known_hosts`,
        '  GlobalKnownHostsFile /dev/null',
        '  StrictHostKeyChecking yes',
        '  BatchMode yes',
        '  ConnectTimeout 20',
        // Ends a silently broken connection after two minutes.
        '  ServerAliveInterval 30',
        '  ServerAliveCountMax 4',
        '',
      ].join('\n'),
    };
  }

  /** Lets pods reach the target, and no other machine of its network. */
  openFor(connections: Connections): void {
    for (const [peer, port] of this.ends()) connections.allowTo(peer, port);
  }

  private ends(): [Peer, Port][] {
    const { target } = this;
    if (target.kind === 'sftp') return [[{ cidr: `${target.props.host}/32` }, { port: target.props.port ?? 22 }]];
    // The node mounts the other kinds, so a policy of the pod does not apply to their packets.
    if (target.kind !== 's3') return [];
    const url = new URL(target.props.endpoint);
    const port = Number(url.port) || (url.protocol === 'http:' ? 80 : 443);
    return (target.props.networks ?? [`${url.hostname}/32`]).map((cidr) => [{ cidr }, { port }]);
  }

  /** Name of the claim to mount at /target. Renders volume and claim for an NFS server. */
  claimIn(scope: Construct, metadata: { readonly name: string; readonly namespace: string }): string | undefined {
    const { target } = this;
    if (target.kind === 'claim') return target.claim;
    if (target.kind !== 'nfs') return undefined;
    const { name, namespace } = metadata;
    const volumeName = `${namespace}-${name}`;
    const size = { storage: k8s.Quantity.fromString('1Gi') };
    const shared = { accessModes: ['ReadWriteMany'], storageClassName: '' };
    clusterScoped(
      new k8s.KubePersistentVolume(scope, 'target-volume', {
        metadata: { name: volumeName, annotations: { ...KEEP } },
        spec: {
          ...shared,
          // NFS ignores the size; only claim and volume must agree.
          capacity: size,
          persistentVolumeReclaimPolicy: 'Retain',
          mountOptions: ['nfsvers=4.1', 'hard', 'timeo=600'],
          nfs: { server: target.props.server, path: target.props.path },
          claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
        },
      }),
    );
    new k8s.KubePersistentVolumeClaim(scope, 'target-claim', {
      metadata: { name, namespace, annotations: { ...KEEP } },
      spec: { ...shared, volumeName, resources: { requests: size } },
    });
    return name;
  }
}

export { MOUNT as TARGET_MOUNT, FILES as BACKUP_FILES };

function trimmed(path: string): string {
  return path.replace(/\/+$/, '');
}

function pathProblem(path: string): string | undefined {
  if (/^\/[\w./@+ -]*$/.test(path) && !path.split('/').includes('..')) return undefined;
  return sentence({
    what: 'the path of a backup target must be absolute, of letters, digits, spaces and . _ - @ +',
    got: path,
    fix: 'write it like /Users/backup/homelab',
  });
}

function sftpProblems({ host, port, user, path, hostKeys }: SftpTarget): (string | undefined)[] {
  const wrongKey = hostKeys.find(
    (key) => !/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+=*( .*)?$/.test(key),
  );
  return [
    ipv4Problem(host, 'the host of an SFTP target'),
    port === undefined ? undefined : portProblem(port, 'the port of an SFTP target'),
    /^[a-z_][a-z0-9_.-]{0,31}$/i.test(user)
      ? undefined
      : sentence({ what: 'the user of an SFTP target must be a user name', got: user, fix: 'write it like backup' }),
    pathProblem(path),
    hostKeys.length > 0 && wrongKey === undefined
      ? undefined
      : sentence({
          what: 'hostKeys of an SFTP target must hold the public keys of that machine',
          got: wrongKey ?? hostKeys,
          allowed: 'ssh-ed25519 AAAA..., at least one',
          fix: 'run there: cat /etc/ssh/ssh_host_ed25519_key.pub',
        }),
  ];
}

function s3Problems({ endpoint, bucket, prefix, networks, insecure }: S3Target): (string | undefined)[] {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.pathname.length > 1)
    return [
      sentence({
        what: 'the endpoint of an S3 target must be an address without a path',
        got: endpoint,
        fix: 'write it like https://192.168.1.60:9000',
      }),
    ];
  const isAddress = ipv4Network(`${url.hostname}/32`) !== undefined;
  const wrong = networks?.find((network) => !ipv4Network(network));
  return [
    url.protocol === 'https:' || insecure
      ? undefined
      : sentence({
          what: 'the endpoint of an S3 target must begin with https://',
          got: endpoint,
          fix: 'with http:// its access keys cross the network unencrypted; to accept that, write insecure: true',
        }),
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)
      ? undefined
      : sentence({ what: 'bucket must be the name of a bucket', got: bucket, fix: 'write it like homelab-backup' }),
    prefix === undefined || /^[\w.-]+(\/[\w.-]+)*$/.test(prefix)
      ? undefined
      : sentence({ what: 'prefix must be a folder', got: prefix, fix: 'write it like homelab, without / at its ends' }),
    wrong === undefined && (isAddress || (networks ?? []).length > 0)
      ? undefined
      : sentence({
          what: 'networks of an S3 target must list the networks of its endpoint: a NetworkPolicy cannot hold names',
          got: wrong ?? networks,
          allowed: 'IPv4 networks as 203.0.113.0/24',
          fix: "write the networks of the store, or ['0.0.0.0/0'] to allow its port anywhere",
        }),
  ];
}

/** Validates the target of a construct. @throws with the first problem */
export function validateTarget(scope: Construct, target: BackupTarget): void {
  assertValid(scope, ...target.problems());
}
