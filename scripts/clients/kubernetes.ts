import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { LOCALHOST, type CommandOptions, type Output } from '../engine/commands';
import type { Context } from './context';
import { ROOT } from '../engine/root';
import { NotReady, Blocked } from '../engine/problem';
import { ageKeyFile, SECRETS, writeWhole } from '../engine/sops';
import { json } from '../engine/json';

/** Where kubectl finds the cluster. It holds no secret: sops gives the key to kubectl at each call. */
export const KUBECONFIG = join(ROOT, '.homelab', 'kubeconfig');

/** Keeps what Talos gave out as a kubeconfig: the key encrypted, in the form that kubectl wants to be given it. */
export async function keepKubeconfig({ sops, log }: Context, kubeconfig: string): Promise<void> {
  const { clusters, users } = parse(kubeconfig) as Record<string, any>;
  const user = users?.[0]?.user ?? {};
  const status: Record<string, string> = {};
  const decoded = (data: string) => Buffer.from(data, 'base64').toString();
  if (user['client-certificate-data']) status.clientCertificateData = decoded(user['client-certificate-data']);
  if (user['client-key-data']) status.clientKeyData = decoded(user['client-key-data']);
  if (user.token) status.token = user.token;
  const { server, 'certificate-authority-data': authority } = clusters?.[0]?.cluster ?? {};
  if (!server || !authority || Object.keys(status).length === 0)
    throw new Blocked('talosctl must give a kubeconfig with a cluster and a user, and did not; nothing was kept');
  log.hide(...Object.values(status));
  await sops.write(SECRETS.kubeconfig, {
    server,
    authority,
    credential: { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status },
  });
  await writeKubeconfig({ server, authority });
}

async function writeKubeconfig({ server, authority }: { server: string; authority: string }): Promise<void> {
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

/** Asks the Kubernetes API. A change goes through `kubectlChange`. @throws Later while there is no cluster */
export async function kubectl(
  context: Context,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Output> {
  return context.commands.read(LOCALHOST, await kubectlCommand(context, args), options);
}

export async function kubectlChange(
  context: Context,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Output> {
  return context.commands.change(LOCALHOST, await kubectlCommand(context, args), options);
}

/** One object as the API server has it, or undefined. */
export async function kubectlGet(context: Context, args: readonly string[]): Promise<any> {
  const { stdout } = await kubectl(context, ['get', ...args, '--ignore-not-found', '-o', 'json']);
  return stdout.trim() === '' ? undefined : json(stdout, `kubectl get ${args.join(' ')}`);
}

const configured = new WeakSet<Context>();

async function kubectlCommand(context: Context, args: readonly string[]): Promise<string[]> {
  if (!configured.has(context)) {
    const tree = await context.sops.read(SECRETS.kubeconfig);
    if (tree === undefined) throw new NotReady('there is no kubeconfig yet; stage talos makes it');
    await writeKubeconfig(tree as { server: string; authority: string });
    configured.add(context);
  }
  return ['kubectl', '--kubeconfig', KUBECONFIG, '--request-timeout=30s', ...args];
}
