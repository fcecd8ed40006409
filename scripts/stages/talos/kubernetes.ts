import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab } from '../../../inventory';
import type { Kubernetes } from '../../clients/kubernetes';
import { ROOT } from '../../engine/root';
import { NotReady, Problem, Blocked } from '../../engine/problem';
import { step, type Action, type Step } from '../../engine/step';
import { action } from '../../engine/actions';
import { isStaged, kubernetesVersions } from './configuration';
import { enforcesPolicies, nodeObject, registeredNodes } from '../../clients/kubernetes-nodes';
import { stepProblem, type Talos } from '../../clients/talos';

/** Folder of etcd snapshots, ignored by Git; each is as large as etcd, 20 to 50 MB. */
export const SNAPSHOTS = join(ROOT, '.homelab', 'etcd');
/** A month of nights. */
const KEPT_SNAPSHOTS = 30;

/** On the first control plane while Kubernetes is upgraded: the version. */
const BEGUN = 'collab-homelab/upgrade-k8s';

/** Control plane components and kubelets one after the other, with their images, on every node. */
const UPGRADE_SECONDS = 3600;

/** What the steps about Kubernetes' version and parts use. */
export interface ClusterClients {
  readonly homelab: Homelab;
  readonly kubernetes: Kubernetes;
  readonly talos: Talos;
}

/** The running versions equal homelab.ts. A configuration does not change a version; the command upgrade does. */
export function versionsAgree(clients: ClusterClients): Step {
  const { talos, kubernetes } = clients.homelab.versions;
  return step(`Talos ${talos} and Kubernetes ${kubernetes} run`, async () => {
    for (const node of clients.talos.nodes) {
      const version = await node.version();
      const running = await kubernetesVersions(node);
      const begun = await upgradeBegun(clients);
      if (version === talos && running.length === 1 && running[0] === kubernetes && begun === undefined) continue;
      throw new Blocked(
        `${node.name} runs Talos ${version} and Kubernetes ${running.join(' and ')}, but homelab.ts says ${talos} and ${kubernetes}: npm run bootstrap -- upgrade, or restore the versions in homelab.ts`,
      );
    }
    return undefined;
  });
}

/** Talos creates flannel once; a change below cluster.network.cni needs upgrade-k8s to the same version. */
export function networkPolicies({ homelab, kubernetes, talos }: ClusterClients): Step {
  const { versions } = homelab;
  const wanted = homelab.talos.enforceNetworkPolicies;
  return step(wanted ? 'flannel enforces network policies' : 'flannel enforces no network policies', async () => {
    if ((await registeredNodes(kubernetes)) === undefined) throw new NotReady('the Kubernetes API does not answer yet');
    const now = await enforcesPolicies(kubernetes);
    // Not there yet: Talos makes it as the configuration says.
    if (now === undefined || now === wanted) return undefined;
    await assertNothingStaged(talos);
    // What the dry run says is no part of the plan: the configuration that it goes by is only applied in a step before.
    const tried = action(`talosctl ${upgradeArgs(versions.kubernetes).join(' ')} --dry-run`, () =>
      upgradeLines(talos, versions.kubernetes),
    );
    return {
      lines: [`kubeNetworkPoliciesEnabled: ${now} -> ${wanted}`],
      actions: [tried, ...upgradeActions(talos, versions.kubernetes)],
      asks: ['flannel restarts on every node; pods cannot reach each other for some seconds'],
    };
  });
}

/** Kubernetes goes to the version of homelab.ts, one minor at a time. A run that was stopped half way is gone on with. */
export function kubernetesUpgrade(clients: ClusterClients): Step {
  const { homelab, kubernetes, talos } = clients;
  const { kubernetes: wanted } = homelab.versions;
  const { name: first } = talos.controlPlane;
  const annotate = (change: string) => kubernetes.command(['annotate', 'node', first, change, '--overwrite']);
  return step(`Kubernetes ${wanted} runs`, async () => {
    const running = new Set<string>();
    for (const node of talos.nodes) {
      if ((await node.version()) !== homelab.versions.talos)
        throw new NotReady(`${node.name} must run its version of Talos first`);
      for (const each of await kubernetesVersions(node)) running.add(each);
    }
    const old = [...running].filter((version) => version !== wanted);
    const begun = await upgradeBegun(clients);
    if (old.length === 0 && begun === undefined) return undefined;
    for (const version of old) {
      const problem = stepProblem('Kubernetes', version, wanted);
      if (problem !== undefined) throw new Blocked(problem);
    }
    await assertNothingStaged(talos);
    return {
      lines: [
        `Kubernetes: ${old.length > 0 ? old.join(' and ') : 'an unfinished upgrade'} -> ${wanted}`,
        ...(await upgradeLines(talos, wanted)),
      ],
      actions: [
        // Configurations of nodes name the new version before Talos' own manifests do.
        annotate(`${BEGUN}=${wanted}`),
        ...upgradeActions(talos, wanted),
        annotate(`${BEGUN}-`),
      ],
      asks: ['the Kubernetes API and the kubelet of every node restart; pods keep running'],
    };
  });
}

/**
 * upgrade-k8s writes the configuration that is in force back to the nodes: to control planes even with --dry-run
 * (patchKubeProxy), to the others with a new kubelet. What was staged would be lost.
 * @throws NotReady when a node waits for its reboot
 */
export async function assertNothingStaged({ nodes }: Talos): Promise<void> {
  for (const node of nodes)
    if (await isStaged(node))
      throw new NotReady(
        `${node.name} must apply its staged configuration first, because upgrade-k8s would discard it: npm run bootstrap -- maintenance ${node.name}`,
      );
}

/** The version to which an upgrade was begun and not ended. @throws NotReady while the API server does not answer */
async function upgradeBegun({ kubernetes, talos }: ClusterClients): Promise<string | undefined> {
  return (await nodeObject(kubernetes, talos.controlPlane.name)).metadata.annotations?.[BEGUN];
}

/** Saves etcd on this machine. Secrets in it are encrypted with the key in the secrets of Talos. */
export async function etcdSnapshot({ controlPlane }: Talos, why: string): Promise<string> {
  fs.mkdirSync(SNAPSHOTS, { recursive: true, mode: 0o700 });
  // What a killed talosctl left half written.
  for (const name of fs.readdirSync(SNAPSHOTS).filter((each) => each.endsWith('.part')))
    fs.rmSync(join(SNAPSHOTS, name));
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  const file = join(SNAPSHOTS, `${time}-${why}.db`);
  await controlPlane.change(['etcd', 'snapshot', file]);
  if (!fs.existsSync(file) || fs.statSync(file).size === 0)
    throw new Problem(`talosctl etcd snapshot must write ${file}, but did not`);
  fs.chmodSync(file, 0o600);
  // Names begin with the time.
  const all = fs
    .readdirSync(SNAPSHOTS)
    .filter((name) => name.endsWith('.db'))
    .sort();
  for (const name of all.slice(0, -KEPT_SNAPSHOTS)) fs.rmSync(join(SNAPSHOTS, name));
  return file;
}

/** A snapshot of etcd, before what may break it. `why` goes into its name. */
export function snapshotAction(talos: Talos, why: string): Action {
  return action('an etcd snapshot in .homelab/etcd', () => etcdSnapshot(talos, why));
}

function upgradeArgs(version: string): string[] {
  return ['upgrade-k8s', '--to', version.slice(1), '--with-docs=false', '--with-examples=false'];
}

/** What an upgrade would change; what it finds and waits for differs from time to time. */
async function upgradeLines(talos: Talos, version: string): Promise<string[]> {
  const args = [...upgradeArgs(version), '--dry-run', '--pre-pull-images=false'];
  const { stdout } = await talos.controlPlane.read(args, { seconds: 600 });
  const changes = stdout.split('\n').filter((line) => /^( < (?!unchanged )| > update|[+-]|updating)/.test(line));
  return changes.map((line) => talos.log.masked(line.trimEnd()));
}

function upgradeActions(talos: Talos, version: string): Action[] {
  const options = { seconds: UPGRADE_SECONDS, waitsFor: 'upgrade-k8s' };
  const { lines, run } = talos.controlPlane.command(upgradeArgs(version), options);
  return [
    snapshotAction(talos, `before-kubernetes-${version}`),
    action(lines, (progress) => {
      progress(`upgrade-k8s (at most ${UPGRADE_SECONDS / 60} minutes)`);
      return run(progress);
    }),
  ];
}
