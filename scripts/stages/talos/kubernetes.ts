import * as fs from 'node:fs';
import { join } from 'node:path';
import { nodesInOrder, type Context } from '../../clients/context';
import { ROOT } from '../../engine/root';
import { NotReady, Problem, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { isStaged, kubernetesVersions } from './configuration';
import { enforcesPolicies } from '../../clients/kubernetes-nodes';
import { nodeObject } from '../../clients/kubernetes-nodes';
import { registeredNodes } from '../../clients/kubernetes-nodes';
import { changeNode, configured, readNode } from '../../clients/talos';
import { stepProblem } from '../../clients/talos-versions';

/** Snapshots of etcd lie here, ignored by Git; each is as large as etcd, 20 to 50 MB. */
export const SNAPSHOTS = join(ROOT, '.homelab', 'etcd');
/** A month of nights. */
const KEPT_SNAPSHOTS = 30;

/** On the first control plane while Kubernetes is upgraded: the version. */
const BEGUN = 'collab-homelab/upgrade-k8s';

/** Control plane components and kubelets one after the other, with their images, on every node. */
const UPGRADE_SECONDS = 3600;

/** What runs is what homelab.ts says. Another version is no matter of a configuration, and has a command of its own. */
export function versionsAgree(context: Context): Step {
  const { talos, kubernetes } = context.homelab.versions;
  return {
    title: `Talos ${talos} and Kubernetes ${kubernetes} run`,
    async plan() {
      for (const [name, machine] of nodesInOrder(context)) {
        const { version } = await configured(context, name, machine);
        const running = await kubernetesVersions(context, name, machine);
        const begun = await upgradeBegun(context);
        if (version === talos && running.length === 1 && running[0] === kubernetes && begun === undefined) continue;
        throw new Blocked(
          `${name} runs Talos ${version} and Kubernetes ${running.join(' and ')}, homelab.ts says ${talos} and ${kubernetes}: npm run bootstrap -- upgrade, or take the versions back in homelab.ts`,
        );
      }
      return undefined;
    },
    async apply() {
      throw new Error('there is nothing to carry out');
    },
  };
}

/** Talos makes flannel once; what is changed below cluster.network.cni reaches it by upgrade-k8s to the same version. */
export function networkPolicies(context: Context): Step {
  const { versions, talos } = context.homelab;
  const wanted = talos.enforceNetworkPolicies;
  const upgrade = upgradeKubernetes(context, versions.kubernetes);
  return {
    title: wanted ? 'flannel enforces network policies' : 'flannel enforces no network policies',
    async plan() {
      if ((await registeredNodes(context.kubernetes)) === undefined)
        throw new NotReady('the Kubernetes API does not answer yet');
      const now = await enforcesPolicies(context.kubernetes);
      // Not there yet: Talos makes it as the configuration says.
      if (now === undefined || now === wanted) return undefined;
      await nothingStaged(context);
      return {
        lines: [
          `kubeNetworkPoliciesEnabled: ${now} -> ${wanted}`,
          'an etcd snapshot first',
          `${upgrade.command} (--dry-run first)`,
        ],
        asks: ['flannel starts again on every node; pods cannot reach each other for some seconds'],
      };
    },
    async apply(_, progress) {
      // What it says is no part of the plan: the configuration that it goes by is only applied in a step before.
      progress(`${upgrade.command} --dry-run`);
      await upgrade.plan();
      await upgrade.run(progress);
    },
  };
}

/** Kubernetes goes to the version of homelab.ts, one minor at a time. A run that was stopped half way is gone on with. */
export function kubernetesUpgrade(context: Context): Step {
  const wanted = context.homelab.versions.kubernetes;
  const [first] = nodesInOrder(context)[0]!;
  return {
    title: `Kubernetes ${wanted} runs`,
    async plan() {
      const running = new Set<string>();
      for (const [name, machine] of nodesInOrder(context)) {
        const { version } = await configured(context, name, machine);
        if (version !== context.homelab.versions.talos) throw new NotReady(`${name} gets its version of Talos first`);
        for (const each of await kubernetesVersions(context, name, machine)) running.add(each);
      }
      const old = [...running].filter((version) => version !== wanted);
      const begun = await upgradeBegun(context);
      if (old.length === 0 && begun === undefined) return undefined;
      for (const version of old) {
        const problem = stepProblem('Kubernetes', version, wanted);
        if (problem !== undefined) throw new Blocked(problem);
      }
      await nothingStaged(context);
      return {
        lines: [
          `Kubernetes: ${old.length > 0 ? old.join(' and ') : 'an upgrade that was not ended'} -> ${wanted}`,
          'an etcd snapshot first',
          ...(await upgradeKubernetes(context, wanted).plan()),
        ],
        asks: ['the Kubernetes API starts again, and the kubelet of every node; pods go on'],
      };
    },
    async apply(_, progress) {
      // Configurations of nodes name the new version before Talos' own manifests do.
      await context.kubernetes.change(['annotate', 'node', first, `${BEGUN}=${wanted}`, '--overwrite']);
      await upgradeKubernetes(context, wanted).run(progress);
      await context.kubernetes.change(['annotate', 'node', first, `${BEGUN}-`]);
    },
  };
}

/**
 * upgrade-k8s writes the configuration that is in force back to the nodes: to control planes even with --dry-run
 * (patchKubeProxy), to the others with a new kubelet. What was staged would be lost.
 * @throws Later when a node waits for its reboot
 */
export async function nothingStaged(context: Context): Promise<void> {
  for (const [name, machine] of nodesInOrder(context))
    if (await isStaged(context, machine))
      throw new NotReady(
        `${name} must take over its staged configuration first, because upgrade-k8s would drop it: npm run bootstrap -- maintenance ${name}`,
      );
}

/** The version to which an upgrade was begun and not ended. @throws Later while the API server does not answer */
async function upgradeBegun(context: Context): Promise<string | undefined> {
  return (await nodeObject(context.kubernetes, nodesInOrder(context)[0]![0])).metadata.annotations?.[BEGUN];
}

/** A copy of all that Kubernetes knows, on this machine. Secrets in it are encrypted with the key in the secrets of Talos. */
export async function etcdSnapshot(context: Context, why: string, progress: (what: string) => void): Promise<string> {
  const [, machine] = nodesInOrder(context)[0]!;
  fs.mkdirSync(SNAPSHOTS, { recursive: true, mode: 0o700 });
  // What a killed talosctl left half written.
  for (const name of fs.readdirSync(SNAPSHOTS).filter((each) => each.endsWith('.part')))
    fs.rmSync(join(SNAPSHOTS, name));
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  const file = join(SNAPSHOTS, `${time}-${why}.db`);
  progress('an etcd snapshot');
  await changeNode(context, machine, ['etcd', 'snapshot', file]);
  if (!fs.existsSync(file) || fs.statSync(file).size === 0)
    throw new Problem(`talosctl etcd snapshot must write ${file}, and did not`);
  fs.chmodSync(file, 0o600);
  // Names begin with the time.
  const all = fs
    .readdirSync(SNAPSHOTS)
    .filter((name) => name.endsWith('.db'))
    .sort();
  for (const name of all.slice(0, -KEPT_SNAPSHOTS)) fs.rmSync(join(SNAPSHOTS, name));
  return file;
}

function upgradeKubernetes(context: Context, version: string) {
  const [, machine] = nodesInOrder(context)[0]!;
  const args = ['upgrade-k8s', '--to', version.slice(1), '--with-docs=false', '--with-examples=false'];
  const command = `talosctl ${args.join(' ')}`;
  return {
    command,
    async plan(): Promise<string[]> {
      const { stdout } = await readNode(context, machine, [...args, '--dry-run', '--pre-pull-images=false'], {
        seconds: 600,
      });
      // What it would change; what it finds and waits for differs from time to time.
      const changes = stdout.split('\n').filter((line) => /^( < (?!unchanged )| > update|[+-]|updating)/.test(line));
      return [command, ...changes.map((line) => context.log.masked(line.trimEnd()))];
    },
    async run(progress: (what: string) => void): Promise<void> {
      await etcdSnapshot(context, `before-kubernetes-${version}`, progress);
      progress(`upgrade-k8s (at most ${UPGRADE_SECONDS / 60} minutes)`);
      await changeNode(context, machine, args, { seconds: UPGRADE_SECONDS, waitsFor: 'upgrade-k8s' });
    },
  };
}
