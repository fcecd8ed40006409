import { ipv4 } from '../values/names';
import { sentence } from '../values/problem';
import type { Backup } from './backup';
import type { Homelab } from './homelab';
import { at } from './shape';

/** Validates the target of backups by SSH: it must be one address, because the NetworkPolicy of the pods allows only that. */
export function backupProblems(homelab: Homelab): string[] {
  const places: [string, Backup | false | undefined][] = [
    ['backup', homelab.backup],
    ...Object.entries(homelab.databases).map(([name, { backup }]): [string, Backup | false | undefined] => [
      `${at('databases', name)}.backup`,
      backup,
    ]),
  ];
  return places.flatMap(([place, backup]) => {
    const target = backup ? backup.target : undefined;
    if (target === undefined) return [];
    const isName = target.kind === 'sftp' && Object.hasOwn(homelab.hosts, target.host);
    if (target.kind === 'sftp' && !isName && ipv4(target.host) === undefined)
      return [
        sentence({
          what: `${place}.target.host must be a machine of hosts or an IPv4 address`,
          got: target.host,
          allowed: Object.keys(homelab.hosts).join(', '),
          fix: 'name one of them, or write an address',
        }),
      ];
    if (target.kind !== 's3' || target.networks !== undefined) return [];
    const hostname = URL.canParse(target.endpoint) ? new URL(target.endpoint).hostname : target.endpoint;
    if (ipv4(hostname) !== undefined) return [];
    return [
      sentence({
        what: `${place}.target.networks must list the networks of ${hostname}: a NetworkPolicy cannot hold names`,
        got: undefined,
        fix: "write the networks of the store as ['203.0.113.0/24'], or ['0.0.0.0/0'] to allow its port anywhere",
      }),
    ];
  });
}
