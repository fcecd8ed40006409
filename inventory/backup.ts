import type { Duration } from 'cdk8s';
import type { Database } from './databases';
import type { Homelab } from './homelab';

/** Encrypted backups of the databases. docs/backup.md has the steps to prepare the target and to restore. */
export interface Backup {
  /** Where backups are stored; each database gets a folder of its name there. A change starts an empty repository and keeps the old one. */
  readonly target: SftpBackup | S3Backup | NfsBackup | ClaimBackup;
  /** Time between two backups, 1 hour to 7 days. Writes since the last backup are lost when the disks are lost. @default 24 hours */
  readonly every?: Duration;
  /** Which backups to keep, besides all of the last 2 days. @default 7 daily, 4 weekly and 6 monthly */
  readonly keep?: BackupsKept;
  /** Cron schedule in UTC for automatic restore drills, such as `0 4 * * 0`. @default none: run npm run homelab -- restore-drill NAME */
  readonly drill?: string;
  /**
   * Reason, in at least three words, to accept a target on the host of the databases, or a claim, whose location is unknown.
   * Without it synth refuses such a target, because a failure of the host would destroy database and backups. @default none
   */
  readonly sameHost?: string;
}

/** Number of backups to keep, each 0 to 1000. */
export interface BackupsKept {
  /** Daily backups: the last of each day. @default 7 */
  readonly daily?: number;
  /** Weekly backups: the last of each week. @default 4 */
  readonly weekly?: number;
  /** Monthly backups: the last of each month. @default 6 */
  readonly monthly?: number;
}

/** A machine reached by SSH. The bootstrap generates the key and prints the public half for authorized_keys. */
export interface SftpBackup {
  /** Discriminates the kinds of targets. */
  readonly kind: 'sftp';
  /** A machine of `hosts`, or an IPv4 address. */
  readonly host: string;
  /** @default 22 */
  readonly port?: number;
  /** User on that machine. */
  readonly user: string;
  /** Absolute path of an existing folder. */
  readonly path: string;
  /** Public keys of that machine: cat /etc/ssh/ssh_host_ed25519_key.pub. Another key is refused. */
  readonly hostKeys: readonly string[];
}

/** An S3-compatible store. The bootstrap asks for its access keys. */
export interface S3Backup {
  /** Discriminates the kinds of targets. */
  readonly kind: 's3';
  /** URL with a name or an address, such as https://s3.example.org. */
  readonly endpoint: string;
  /** Name of the bucket. */
  readonly bucket: string;
  /** Folder in the bucket. @default none */
  readonly prefix?: string;
  /** @default us-east-1 */
  readonly region?: string;
  /** Networks of the endpoint: a NetworkPolicy cannot hold names. @default the address, if the endpoint has one instead of a name */
  readonly networks?: readonly string[];
}

/** A folder on an NFS server. Group 999 must have write access. */
export interface NfsBackup {
  /** Discriminates the kinds of targets. */
  readonly kind: 'nfs';
  /** IPv4 address or name. */
  readonly server: string;
  /** Absolute path of the export. */
  readonly path: string;
}

/** An existing ReadWriteMany claim in the namespace of each database. */
export interface ClaimBackup {
  /** Discriminates the kinds of targets. */
  readonly kind: 'claim';
  /** Name of the claim. */
  readonly claim: string;
}

/** Backup settings of a database: its own, or those of the homelab. */
export function backupOf(homelab: Homelab, database: Database): Backup | undefined {
  return database.backup === false ? undefined : (database.backup ?? homelab.backup);
}

/** Address or name of the machine that stores the backups; undefined for a claim. */
export function backupHost({ hosts }: Homelab, { target }: Backup): string | undefined {
  if (target.kind === 'claim') return undefined;
  if (target.kind === 'nfs') return target.server;
  if (target.kind === 's3') return new URL(target.endpoint).hostname;
  return Object.hasOwn(hosts, target.host) ? hosts[target.host]!.address : target.host;
}
