import * as fs from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Homelab } from '../../../inventory';
import { gitAddress } from '../../../values/git-address';
import { ARGO_CD_NAMESPACE } from './manifest';
import { LOCALHOST, type Commands } from '../../engine/commands';

/** What Argo CD believes. Part of the install manifest, so this stage owns them and no sync of Argo CD touches them. */
const HOST_KEYS = 'argocd-ssh-known-hosts-cm';
const CERTIFICATES = 'argocd-tls-certs-cm';
const KEY = 'ssh_known_hosts';

/** Where OpenSSH keeps the host keys that its user agreed to, and those of the whole machine. It does not look at HOME. */
const FILES = [
  join(userInfo().homedir, '.ssh', 'known_hosts'),
  join(userInfo().homedir, '.ssh', 'known_hosts2'),
  '/etc/ssh/ssh_known_hosts',
];

/** The objects of the install manifest, with what Argo CD must believe to read from the Git server. */
export async function trustingGitServer(
  commands: Commands,
  homelab: Homelab,
  objects: any[],
  files: readonly string[] = FILES,
): Promise<any[]> {
  return withAuthority(homelab, await withHostKeys(commands, homelab, objects, files));
}

/** Argo CD looks for the authority of a server under its name, without the port. */
function withAuthority({ git }: Homelab, objects: any[]): any[] {
  const address = gitAddress(git.url);
  if (git.ca === undefined || address.protocol !== 'https') return objects;
  return withData(objects, CERTIFICATES, { [address.host]: `${git.ca.trim()}\n` });
}

/**
 * The objects of the install manifest, with the Git server's host keys in Argo CD's list where the list lacks that server. They
 * are those that this machine knows it by: asking the server itself would believe any server that answers.
 */
async function withHostKeys(
  commands: Commands,
  { git }: Homelab,
  objects: any[],
  files: readonly string[],
): Promise<any[]> {
  const name = hostName(git.url);
  const list = knownHostsOf(objects);
  if (name === undefined || list === undefined || names(list, name)) return objects;
  const lines = await knownHere(commands, name, files);
  if (lines.length === 0) return objects;
  const text = [...list.trimEnd().split('\n'), ...lines].map((line) => `${line}\n`).join('');
  return withData(objects, HOST_KEYS, { [KEY]: text });
}

function withData(objects: any[], name: string, data: object): any[] {
  return objects.map((each) => (isConfigMap(each, name) ? { ...each, data: { ...each.data, ...data } } : each));
}

/** Argo CD's list of host keys as it will be, for trying it here. */
export function knownHostsOf(objects: readonly any[]): string | undefined {
  return objects.find((object) => isConfigMap(object, HOST_KEYS))?.data?.[KEY];
}

/** As a list of host keys calls a server: with its port, unless that is 22. Undefined where no SSH server is asked. */
export function hostName(url: string): string | undefined {
  const address = gitAddress(url);
  if (address.protocol !== 'ssh') return undefined;
  return address.port === 22 ? address.host : `[${address.host}]:${address.port}`;
}

function isConfigMap({ kind, metadata }: any, name: string): boolean {
  return kind === 'ConfigMap' && metadata.name === name && metadata.namespace === ARGO_CD_NAMESPACE;
}

/** Upstream's list has plain names. */
function names(list: string, name: string): boolean {
  return list.split('\n').some((line) => !/^[#@]/.test(line) && line.split(/\s/)[0]!.split(',').includes(name));
}

/** Found by OpenSSH, which knows patterns and names that are stored as hashes. */
async function knownHere(commands: Commands, name: string, files: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const file of files.filter((each) => fs.existsSync(each))) {
    const { stdout } = await commands.read(LOCALHOST, ['ssh-keygen', '-F', name, '-f', file], { accepts: [0, 1] });
    for (const line of stdout.split('\n')) {
      const [, marker = '', type, key] =
        /^(@cert-authority |@revoked )?[^#@\s]\S* (\S+) ([A-Za-z0-9+/]+=*)(\s|$)/.exec(line) ?? [];
      if (type !== undefined) found.add(`${marker}${name} ${type} ${key}`);
    }
  }
  return [...found].sort();
}
