import type { Duration } from 'cdk8s';
import type { Database, Homelab } from './homelab';

/** How often databases are stored, encrypted, and where. docs/backup.md has the steps at the target, and of a restore. */
export interface Backup {
  /** Where to; each database gets a folder of its name there. A change begins an empty store, and leaves the old one as it is. */
  readonly target: SftpBackup | S3Backup | NfsBackup | ClaimBackup;
  /** Time between two backups, 1 hour to 7 days: what was written since the last one is lost with the disks. @default 24 hours */
  readonly every?: Duration;
  /** Kept besides those of the last 2 days: the last of each of so many days, weeks, months. @default 7, 4 and 6 */
  readonly keep?: BackupsKept;
  /** When a restore is tried by itself, as a cron schedule in UTC, `0 4 * * 0`. @default never: npm run homelab -- restore-drill NAME */
  readonly drill?: string;
  /**
   * Why a target on the host of the databases, or a claim, of which nobody knows where it lies, is right here: in at least three
   * words. Without it synth refuses such a target, because what breaks the host takes the backups along. @default none
   */
  readonly sameHost?: string;
}

/** Numbers of backups, each 0 to 1000. */
export interface BackupsKept {
  /** The last backup of each of so many days. @default 7 */
  readonly daily?: number;
  /** The last backup of each of so many weeks. @default 4 */
  readonly weekly?: number;
  /** The last backup of each of so many months. @default 6 */
  readonly monthly?: number;
}

/** A machine by SSH. Its key is made by the bootstrap, which shows the half for authorized_keys. */
export interface SftpBackup {
  /** Tells the kinds of targets apart. */
  readonly kind: 'sftp';
  /** A machine of `hosts`, or an IPv4 address. */
  readonly host: string;
  /** @default 22 */
  readonly port?: number;
  /** User on that machine. */
  readonly user: string;
  /** Absolute path of a folder that is there. */
  readonly path: string;
  /** Public keys of that machine: cat /etc/ssh/ssh_host_ed25519_key.pub. Another key is refused. */
  readonly hostKeys: readonly string[];
}

/** An S3-compatible store. The bootstrap asks for its keys. */
export interface S3Backup {
  /** Tells the kinds of targets apart. */
  readonly kind: 's3';
  /** As https://s3.example.org, or with an address. */
  readonly endpoint: string;
  /** Name of the bucket. */
  readonly bucket: string;
  /** Folder in it. @default none */
  readonly prefix?: string;
  /** @default us-east-1 */
  readonly region?: string;
  /** Networks that the name of the endpoint leads to: a NetworkPolicy knows no names. @default its address, where it is one */
  readonly networks?: readonly string[];
}

/** A folder of an NFS server; its group 999 must be allowed to write. */
export interface NfsBackup {
  /** Tells the kinds of targets apart. */
  readonly kind: 'nfs';
  /** IPv4 address or name. */
  readonly server: string;
  /** Absolute path of the export. */
  readonly path: string;
}

/** A claim that is there in the namespace of each database, ReadWriteMany. */
export interface ClaimBackup {
  /** Tells the kinds of targets apart. */
  readonly kind: 'claim';
  /** Name of the claim. */
  readonly claim: string;
}

/** Backups of a database: its own, or those of the homelab. */
export function backupOf(homelab: Homelab, database: Database): Backup | undefined {
  return database.backup === false ? undefined : (database.backup ?? homelab.backup);
}

/** The machine that backups go to: its address or name; none for a claim. */
export function backupHost({ hosts }: Homelab, { target }: Backup): string | undefined {
  if (target.kind === 'claim') return undefined;
  if (target.kind === 'nfs') return target.server;
  if (target.kind === 's3') return new URL(target.endpoint).hostname;
  return Object.hasOwn(hosts, target.host) ? hosts[target.host]!.address : target.host;
}
