import * as fs from 'node:fs';
import { join } from 'node:path';
import { API_SERVER_PORT, apiServerAddresses, type Homelab } from '../../../inventory';
import { LOCALHOST, type Commands } from '../../engine/commands';
import { ROOT } from '../../engine/root';
import { withMemoryFile } from '../../engine/memory-files';
import { NotReady, Blocked } from '../../engine/problem';
import { SECRETS, secretText, secretTree, type SecretTree, type Sops } from '../../engine/sops';
import type { Talos, TalosNode } from '../../clients/talos';
import { keepTalosconfig, readTalosconfig } from '../../clients/talosconfig';
import { step, type Step } from '../../engine/step';
import { action } from '../../engine/actions';
import { daysLeft } from '../../secrets/certificates';
import { patchesOf } from '../../../machines/talos';

/** Certificates of Talos' and Kubernetes' admin are valid for a year; time to notice, at one run a month. */
const RENEW_DAYS = 60;

/** What configurations are made with: the inventory, talosctl on this machine, and the secrets of Talos. */
export interface ConfigTools {
  readonly homelab: Homelab;
  readonly commands: Commands;
  readonly sops: Sops;
}

/** Created once. With these secrets one can log in to every node, and create further logins. */
export function talosSecrets({ commands, homelab, sops }: ConfigTools, talos: Talos): Step {
  return step(`the secrets of Talos, encrypted in ${SECRETS.talos}`, async () => {
    if (await secrets(sops)) return undefined;
    const rest = [SECRETS.talosconfig, SECRETS.kubeconfig].find((path) => sops.exists(path));
    if (rest)
      throw new Blocked(
        `${SECRETS.talos} is missing, but ${rest} was made with it. Restore that file from Git: every node would reject other secrets`,
      );
    await talos.assertVersion();
    needsRules();
    const argv = ['talosctl', 'gen', 'secrets', '--talos-version', homelab.versions.talos, '-o', '-'];
    const generate = action(`${argv.join(' ')}: keep encrypted in ${SECRETS.talos}`, async () => {
      const { stdout } = await commands.change(LOCALHOST, argv);
      const tree = secretTree(stdout, 'talosctl gen secrets');
      assertSecrets(tree, 'talosctl gen secrets');
      await sops.write(SECRETS.talos, tree);
    });
    return { actions: [generate] };
  });
}

/** How talosctl logs in. It follows from the secrets, so it can be created again when its certificate ends. */
export function talosconfig({ commands, homelab, sops }: ConfigTools, talos: Talos): Step {
  const generate = async () => {
    const { stdout } = await withSecrets(sops, (file) =>
      commands.change(LOCALHOST, [...genConfig(homelab, file), '--output-types', 'talosconfig']),
    );
    await keepTalosconfig(sops, stdout);
  };
  const actions = [
    action(`talosctl gen config --output-types talosconfig: keep encrypted in ${SECRETS.talosconfig}`, generate),
  ];
  return step(`the login of talosctl, encrypted in ${SECRETS.talosconfig}`, async () => {
    const login = await readTalosconfig(sops);
    if (login === undefined) {
      if (!sops.exists(SECRETS.talos)) throw new NotReady('the secrets of Talos must exist first');
      await talos.assertVersion();
      return { actions };
    }
    const end = soonEnd(login.certificate, SECRETS.talosconfig);
    return end === undefined ? undefined : { lines: [end], actions };
  });
}

/**
 * The whole machine configuration of a node, out of the secrets and the patches in scripts/rendered/. It is secret, and the
 * same each time.
 */
export async function machineConfig(
  { homelab, commands, sops }: ConfigTools,
  { name, machine }: TalosNode,
  versions: Pick<Homelab['versions'], 'talos' | 'kubernetes'>,
): Promise<string> {
  const type = machine.role === 'worker' ? 'worker' : 'controlplane';
  const patches = patchesOf(name, machine).flatMap((file) => [
    '--config-patch',
    `@${join(ROOT, 'scripts', 'rendered', file)}`,
  ]);
  const { stdout } = await withSecrets(sops, (file) =>
    commands.read(LOCALHOST, [...genConfig(homelab, file, versions), '--output-types', type, ...patches]),
  );
  if (!/^machine:$/m.test(stdout))
    throw new Blocked(`talosctl gen config must answer with a machine configuration for ${name}, but did not`);
  const validation = await withMemoryFile(`${name}.yaml`, stdout, (file) =>
    // metal: the strictest of the modes, which also wants the install section; a node of Proxmox runs in the mode cloud.
    commands.read(LOCALHOST, ['talosctl', 'validate', '--strict', '-m', 'metal', '-c', file]),
  );
  if (!validation.stdout.includes('is valid for metal mode'))
    throw new Blocked(`talosctl validate must say that the configuration of ${name} is valid, but did not`);
  return stdout;
}

/** When a certificate in PEM ends, if that is soon. @throws Blocked when it is none */
export function soonEnd(pem: string | undefined, file: string): string | undefined {
  const days = pem === undefined ? undefined : daysLeft(pem);
  if (days === undefined)
    throw new Blocked(
      `${file} must hold a certificate, but does not; remove the file, and run this again to create a new one`,
    );
  return days < RENEW_DAYS ? `the certificate ends in ${days} days` : undefined;
}

function genConfig(
  homelab: Homelab,
  secretsFile: string,
  { talos, kubernetes }: Pick<Homelab['versions'], 'talos' | 'kubernetes'> = homelab.versions,
): string[] {
  return [
    ...['talosctl', 'gen', 'config', homelab.name, `https://${apiServerAddresses(homelab)[0]}:${API_SERVER_PORT}`],
    ...['--with-secrets', secretsFile, '--talos-version', talos, '--kubernetes-version', kubernetes],
    ...['--with-docs=false', '--with-examples=false', '-o', '-'],
  ];
}

async function withSecrets<T>(sops: Sops, use: (file: string) => Promise<T>): Promise<T> {
  const tree = await secrets(sops);
  if (tree === undefined) throw new NotReady('there are no secrets of Talos yet; stage keys makes them');
  return withMemoryFile('talos-secrets.yaml', secretText(tree), use);
}

async function secrets(sops: Sops): Promise<SecretTree | undefined> {
  const tree = await sops.read(SECRETS.talos);
  if (tree !== undefined) assertSecrets(tree, SECRETS.talos);
  return tree;
}

/** What a machine configuration cannot do without. */
function assertSecrets(tree: SecretTree, from: string): void {
  const { cluster, secrets, trustdinfo, certs } = tree as any;
  const parts = [
    cluster?.id,
    secrets?.bootstraptoken,
    trustdinfo?.token,
    certs?.os?.key,
    certs?.k8s?.key,
    certs?.etcd?.key,
  ];
  if (parts.some((part) => typeof part !== 'string' || part === ''))
    throw new Blocked(`${from} must hold the secrets of a Talos cluster, but does not; nothing was sent to a machine`);
}

function needsRules(): void {
  if (!fs.existsSync(join(ROOT, '.sops.yaml'))) throw new NotReady('.sops.yaml must exist first');
}
