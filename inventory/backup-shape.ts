import type * as lab from './backup';
import * as is from './shape';

const kind = is.oneOf('sftp', 's3', 'nfs', 'claim');
const count = is.optional(is.whole(0, 1000));
const absolutePath = is.matching(
  /^\/(?!.*\.\.)[\w./@+ -]*$/,
  'an absolute path of letters, digits, spaces and . _ - @ +',
  '/Users/backup/homelab',
);
const hostKey = is.matching(
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+=*( [^\n'"]*)?$/,
  'a public key on one line',
  'ssh-ed25519 AAAA...',
);

const sftp: is.Shape<lab.SftpBackup> = {
  kind,
  host: is.text,
  port: is.optional(is.port),
  user: is.matching(/^[a-z_][a-z0-9_.-]{0,31}$/i, 'a user name', 'backup'),
  path: absolutePath,
  hostKeys: is.listOf(hostKey, 1),
};
const s3: is.Shape<lab.S3Backup> = {
  kind,
  endpoint: is.matching(/^https:\/\/[^/\s]+\/?$/, 'an address that begins with https://', 'https://192.168.1.60:9000'),
  bucket: is.matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket', 'homelab-backup'),
  prefix: is.optional(is.matching(/^[\w.-]+(\/[\w.-]+)*$/, 'a folder', 'homelab')),
  region: is.optional(is.text),
  networks: is.optional(is.listOf(is.cidr, 1)),
};
const nfs: is.Shape<lab.NfsBackup> = { kind, server: is.dnsName, path: absolutePath };
const claim: is.Shape<lab.ClaimBackup> = { kind, claim: is.dnsName };

export const backup = is.shape<lab.Backup>({
  target: is.byKind({ sftp: is.shape(sftp), s3: is.shape(s3), nfs: is.shape(nfs), claim: is.shape(claim) }),
  every: is.optional(is.backupInterval),
  keep: is.optional(is.shape<lab.BackupsKept>({ daily: count, weekly: count, monthly: count })),
  drill: is.optional(
    is.matching(/^([\d*,/A-Za-z-]+ ){4}[\d*,/A-Za-z-]+$/, 'a cron schedule of five fields', '0 4 * * 0'),
  ),
  sameHost: is.optional(
    is.matching(/\S+\s+\S+\s+\S/, 'the reason for it, in at least three words', "sameHost: 'copied away every night'"),
  ),
});

/** Rule for `backup` of one database, where false means no backup. */
export const backupOrNone: is.Rule = (value, path, problems) => {
  if (value !== false) backup(value, path, problems);
};
