import * as fs from 'node:fs';
import { join } from 'node:path';
import homelab from '../../../fixtures/homelab';
import type { Client, Json } from '../../cluster/client';
import type { ControlPlane } from '../../cluster/control-plane';
import { missingReferences } from '../../cluster/deploy';
import { until } from '../../cluster/processes';
import { ArgoCd } from '../../gitops/argo-cd';
import { startTraefik } from '../../gitops/traefik';
import { at, done, managers, nothing, type ClusterSite } from '../harness/cluster-site';

/** Applies stage gitops, killed on the way, with a real Argo CD and Traefik beside the API server. */
export async function stageGitops({ clone, client, tally, lapped }: ClusterSite, plane: ControlPlane): Promise<ArgoCd> {
  const refused = clone.read('machines/pins.ts');
  clone.replace('machines/pins.ts', /(?<='v3\.\d+\.\d+': ')[0-9a-f]{64}/, 'f'.repeat(64));
  const other = await clone.run('apply', 'gitops', '--yes');
  tally.check(
    'a manifest that is not the pinned one is refused, and nothing of it used',
    other.code === 4 && /must have SHA-256/.test(other.output) && (await crds(client)) === 0,
    other.output,
  );
  clone.write('machines/pins.ts', refused);
  const { kills } = await clone.killedAlong(['plan', 'gitops'], 1, 0);
  tally.check('a plan changes nothing', kills === 0 && (await crds(client)) === 0);
  // Three kills at the definitions, the settings and the manifest; then it is left alone.
  const killed = clone.killedAlong(['apply', 'gitops', '--yes'], 1, 4);
  const running = killed.then(({ last }) => last);
  let ended = false;
  void running.then(() => (ended = true));
  // The pods that the manifest brings run nothing here; the same programs run beside the cluster from now on.
  await until('the root application', 180, async () => ended || (await rootOf(client)) !== undefined);
  const argo = await ArgoCd.start(plane);
  const ingress = startTraefik(plane, clone.secrets().secrets.ingress['traefik-certificate'], () => argo.explain(), {
    https: 443,
  });
  // Judged below, where it is awaited.
  ingress.catch(() => undefined);
  while (!ended) {
    await argo.refresh().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  await ingress;
  const run = await running;
  tally.check(
    'stage gitops is done, killed four times on the way',
    (await killed).kills === 4 && done(run),
    `${run.output}\n${await argo.explain()}`,
  );
  lapped('stage gitops applied: Argo CD installed, every application Synced and Healthy');
  const pods = await client.list('v1', 'Pod', 'argocd');
  tally.check(
    'Argo CD runs under the restricted level of its namespace, every container with its request',
    pods.length >= 7 &&
      pods.every(({ status }) => status.phase === 'Running') &&
      pods.every(({ spec }) =>
        [...spec.containers, ...(spec.initContainers ?? [])].every(
          ({ resources }: Json) => resources.requests?.memory !== undefined && resources.requests.cpu !== undefined,
        ),
      ),
    JSON.stringify(pods.map(({ metadata, status }) => [metadata.name, status.phase])),
  );
  const stated = Object.values(homelab.system['argo-cd']!.containers).length;
  tally.check(
    `as many pods as homelab.ts states, all on ${homelab.system['argo-cd']!.on}`,
    pods.length === stated && pods.every(({ spec }) => spec.nodeName === homelab.system['argo-cd']!.on),
    pods.map(({ metadata, spec }) => `${metadata.name} on ${spec.nodeName}`).join('\n'),
  );
  const policies = (await client.list('networking.k8s.io/v1', 'NetworkPolicy', 'argocd')).map(
    ({ metadata }) => metadata.name,
  );
  tally.check(
    'no network policies but those of dist/',
    policies.sort().join() === 'argocd,default-deny',
    policies.join(),
  );
  const settings = (await client.get(at('ConfigMap', 'argocd-cm', 'argocd')))!;
  tally.check(
    'the one argocd-cm is that of dist/, and Argo CD alone owns it',
    settings.data['resource.exclusions'] !== undefined && managers(settings).every((each) => /argocd/.test(each)),
    managers(settings).join(),
  );
  // Made by an init container, which does not run here.
  const missing = (await missingReferences(client)).filter((each) => !each.includes('Secret argocd-redis,'));
  tally.check('every Secret, ConfigMap, claim and account is there', missing.length === 0, missing.join('\n'));
  const again = await clone.run('apply', 'gitops', '--yes');
  tally.check('stage gitops again finds nothing to do', nothing(again), again.output);
  lapped('stage gitops again: nothing to do');
  return argo;
}

async function crds(client: Client): Promise<number> {
  return (await client.list('apiextensions.k8s.io/v1', 'CustomResourceDefinition')).length;
}

async function rootOf(client: Client): Promise<Json | undefined> {
  return client.get(at('Application', homelab.name, 'argocd', 'argoproj.io/v1alpha1')).catch(() => undefined);
}

/** Stage 7 again, after Argo CD has taken over: nothing to do, and Argo CD sees no difference either. */
export async function takenOver({ clone, client, tally, lapped }: ClusterSite, argo: ArgoCd): Promise<void> {
  const namespaces = async () => {
    const all = await client.list('v1', 'Namespace');
    return new Map(all.map(({ metadata }) => [metadata.name as string, metadata.resourceVersion as string]));
  };
  const before = await namespaces();
  const seven = await clone.run('apply', 'secrets', '--yes');
  tally.check('stage secrets again, after Argo CD has taken over, finds nothing to do', nothing(seven), seven.output);
  await argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const wrong = (await argo.applications()).filter(({ status }) => status.sync.status !== 'Synced');
  tally.check('and Argo CD stays Synced', wrong.length === 0, await argo.explain());
  const after = await namespaces();
  tally.check(
    'no namespace was written again by either',
    [...before].every(([name, version]) => after.get(name) === version),
    JSON.stringify([[...before], [...after]]),
  );
  for (const name of ['cassandra', 'argocd']) {
    const live = (await client.get(at('Namespace', name)))!;
    tally.check(
      `namespace ${name} is Argo CD's alone`,
      managers(live).join() === 'argocd-controller Apply' &&
        live.metadata.annotations['argocd.argoproj.io/tracking-id'] !== undefined,
      JSON.stringify(live.metadata),
    );
  }
  lapped('stage secrets again: nothing to do, Argo CD Synced');
}

/** What leaves Git leaves the cluster too, because nobody else owns the field. */
export async function leavesGit({ clone, client, tally, lapped }: ClusterSite, argo: ArgoCd): Promise<void> {
  const file = join(clone.repository.folder, 'dist', 'argocd', 'configmap.argocd-cm.yaml');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(
    file,
    text.replace(
      / {2}application\.resourceTrackingMethod: annotation\n/,
      '  application.resourceTrackingMethod: annotation\n  timeout.hard.reconciliation: "0s"\n',
    ),
  );
  clone.repository.commit('a setting more');
  await argo.refresh('hard');
  const data = async () => (await client.get(at('ConfigMap', 'argocd-cm', 'argocd')))!.data;
  await until(
    'the setting comes',
    60,
    async () => 'timeout.hard.reconciliation' in (await data()),
    () => argo.explain(),
  );
  fs.writeFileSync(file, text.replace(/ {2}application\.resourceTrackingMethod: annotation\n/, ''));
  clone.repository.commit('two settings less, one of them put there by the bootstrap');
  await argo.refresh('hard');
  const left = await until(
    'both go',
    60,
    async () => {
      const now = await data();
      return 'timeout.hard.reconciliation' in now || 'application.resourceTrackingMethod' in now ? undefined : now;
    },
    () => argo.explain(),
  );
  tally.check('what the bootstrap applied and Git no longer holds goes from the cluster', Object.keys(left).length > 0);
  fs.writeFileSync(file, text);
  clone.repository.commit('as before');
  await argo.refresh('hard');
  await until('it is as before', 60, async () => 'application.resourceTrackingMethod' in (await data()));
  lapped('what left Git left the cluster');
}

/** Another version of Argo CD than the pinned one is replaced, and what only that one had goes. */
export async function changesVersion({ clone, client, tally, lapped }: ClusterSite): Promise<void> {
  const path = '/apis/apps/v1/namespaces/argocd/deployments/argocd-server';
  const server = await client.ask('GET', path);
  const image = server.spec.template.spec.containers[0].image as string;
  const old = image.replace(/:v.*/, ':v3.2.5');
  await client.ask(
    'PATCH',
    path,
    { spec: { template: { spec: { containers: [{ name: 'argocd-server', image: old }] } } } },
    'application/strategic-merge-patch+json',
  );
  const left = { ...at('ConfigMap', 'argocd-of-before', 'argocd'), data: {} };
  await client.apply({
    ...left,
    metadata: { ...left.metadata, labels: { 'collab-homelab/installed-with': 'argo-cd' } },
  });
  const plan = await clone.run('plan', 'gitops');
  tally.check(
    'a plan shows from which version to which, and what goes',
    plan.output.includes(`Argo CD: v3.2.5 -> ${image.split(':')[1]}`) &&
      /ConfigMap argocd-of-before: this version has none/.test(plan.output),
    plan.output,
  );
  const run = await clone.run('apply', 'gitops', '--yes');
  const now = await client.ask('GET', path);
  tally.check(
    'and the stage brings it about, and waits until it runs',
    done(run) &&
      now.spec.template.spec.containers[0].image === image &&
      now.status.updatedReplicas === 1 &&
      (await client.get(left)) === undefined,
    run.output,
  );
  lapped('a changed version of Argo CD was applied');
}
