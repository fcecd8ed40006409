import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { Blocked } from '../engine/problem';
import { ROOT } from '../engine/root';
import { ageKeyFile, SECRETS, writeWhole, type Sops } from '../engine/sops';

/** The login of kubectl in the encrypted file. */
export interface Kubeconfig {
  readonly server: string;
  /** Certificate of the authority of the API server, PEM in base64. */
  readonly authority: string;
  /** Client certificate in PEM; undefined for a login by token. */
  readonly certificate: string | undefined;
  readonly token: string | undefined;
}

/** For kubectl. Contains no secret: kubectl gets the key from sops at each call. */
export const KUBECONFIG = join(ROOT, '.homelab', 'kubeconfig');

/** Reads the encrypted login; undefined before stage talos has made it. */
export async function readKubeconfig(sops: Sops): Promise<Kubeconfig | undefined> {
  const tree = (await sops.read(SECRETS.kubeconfig)) as any;
  if (tree === undefined) return undefined;
  const { clientCertificateData: certificate, token } = tree.credential?.status ?? {};
  return { server: String(tree.server), authority: String(tree.authority), certificate, token };
}

/** Encrypts the login of a kubeconfig in the format that kubectl reads from sops. @throws Blocked if it has no login */
export async function keepKubeconfig(sops: Sops, text: string): Promise<void> {
  const { server, authority, status } = loginOf(text);
  await sops.write(SECRETS.kubeconfig, {
    server,
    authority,
    credential: { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status },
  });
  writeKubeconfig({ server, authority });
}

export function writeKubeconfig({ server, authority }: Pick<Kubeconfig, 'server' | 'authority'>): void {
  const name = 'homelab';
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sops',
    args: ['decrypt', '--output-type', 'json', '--extract', '["credential"]', join(ROOT, SECRETS.kubeconfig)],
    env: [{ name: 'SOPS_AGE_KEY_FILE', value: ageKeyFile() }],
    interactiveMode: 'Never',
  };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name, user: { exec } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  writeWhole(KUBECONFIG, stringify(config, { lineWidth: 0 }), 0o600);
}

function loginOf(kubeconfig: string): { server: string; authority: string; status: Record<string, string> } {
  const { clusters, users } = parse(kubeconfig) as Record<string, any>;
  const user = users?.[0]?.user ?? {};
  const status: Record<string, string> = {};
  const decoded = (data: string) => Buffer.from(data, 'base64').toString();
  if (user['client-certificate-data']) status.clientCertificateData = decoded(user['client-certificate-data']);
  if (user['client-key-data']) status.clientKeyData = decoded(user['client-key-data']);
  if (user.token) status.token = user.token;
  const { server, 'certificate-authority-data': authority } = clusters?.[0]?.cluster ?? {};
  if (!server || !authority || Object.keys(status).length === 0)
    throw new Blocked('talosctl must give a kubeconfig with a cluster and a user, but did not; nothing was kept');
  return { server, authority, status };
}
