import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import homelab from '../../fixtures/homelab';
import { controlPlaneBinaries } from '../cluster/binaries';
import type { Client, Json } from '../cluster/client';
import { ControlPlane } from '../cluster/control-plane';
import { applyNodes, missingReferences } from '../cluster/deploy';
import { until } from '../cluster/processes';
import { ArgoCd, Repository } from '../gitops/argo-cd';
import { argoCd, traefik } from '../gitops/binaries';
import { startTraefik } from '../gitops/traefik';
import { onLoopback } from '../loopback';
import { Laps } from '../proofs';
import { Tally } from '../tally';
import { sopsBinaries } from './simulator/binaries';
import { Clone, type Run } from './harness/clone';
import { verified } from './scenarios/verified';

/**
 * Stages 7 and 8 on a real API server with a real Argo CD: namespaces, secrets and Argo CD's own objects are put there, Argo CD
 * takes over what is in dist/, and stage 7 again finds nothing to do and undoes nothing. Then a secret gets a new value.
 */
const full = process.argv.includes('--full');
const tally = new Tally();
const laps = new Laps();

const done = ({ code, output }: Run) => code === 0 && !output.includes('nothing to do');
const nothing = ({ code, output }: Run) => code === 0 && output.includes('nothing to do');
const at = (kind: string, name: string, namespace?: string, apiVersion = 'v1') => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
});

/** Fields of an object by the manager that owns them, as Argo CD or a person would see. */
function managers({ metadata }: Json): string[] {
  return metadata.managedFields.map(({ manager, operation }: Json) => `${manager} ${operation}`).sort();
}

async function stageSecrets(clone: Clone, client: Client): Promise<void> {
  const { kills, last: first } = await clone.killedAlong(['apply', 'secrets', '--yes'], full ? 1 : 7);
  tally.check(
    'stage secrets is done, however often it is killed on the way',
    kills > 2 && first.code === 0,
    first.output,
  );
  lapped(`stage secrets applied, killed ${kills} times on the way`);
  const second = await clone.run('apply', 'secrets', '--yes');
  tally.check('and finds nothing to do when run again', nothing(second), second.output);
  for (const file of fs.readdirSync(join(clone.path, 'dist'), { recursive: true }).map(String)) {
    if (!/namespace\./.test(file)) continue;
    const sent = parse(clone.read(join('dist', file)));
    const live = (await client.get(sent))!;
    const [{ fieldsV1 }] = live.metadata.managedFields;
    const labels = Object.keys(fieldsV1['f:metadata']['f:labels']).map((key) => key.slice(2));
    tally.check(
      `${file} is there byte for byte: Argo CD's name owns exactly what the file says`,
      managers(live).join() === 'argocd-controller Apply' &&
        labels.sort().join() === Object.keys(sent.metadata.labels).sort().join(),
      JSON.stringify(live.metadata),
    );
  }
  const declared: Json[] = parse(clone.read('dist/secrets.yaml')).secrets;
  const kept = clone.secrets();
  for (const { name, namespaces, keys, type } of declared)
    for (const namespace of namespaces) {
      const live = await client.get(at('Secret', name, namespace));
      const same = Object.keys(keys).every(
        (key) =>
          Buffer.from(live?.data[key] ?? '', 'base64').toString() ===
            valueOf(kept.secrets[namespace][name], keys, key) &&
          kept.secrets[namespaces[0]][name][key] === kept.secrets[namespace][name][key],
      );
      tally.check(`${namespace}/${name} is in the cluster as it is kept`, same && live?.type === type);
    }
  const text = clone.read('secrets.sops.yaml');
  const values = declared.flatMap(({ name, namespaces, keys }) =>
    Object.entries<Json>(keys).map(
      ([key, source]) => [source, valueOf(kept.secrets[namespaces[0]][name], keys, key)] as const,
    ),
  );
  const log = clone.read('.homelab/bootstrap.log');
  const leaked = values.filter(
    ([source, value]) => !('value' in source) && [text, log, first.output].some((each) => each.includes(value)),
  );
  tally.check(
    'no value is in the encrypted file, the log or what was printed',
    leaked.length === 0 && values.length > 20,
  );
  const leaf = new X509Certificate(kept.secrets.ingress['traefik-certificate']['tls.crt']);
  tally.check(
    'the certificate is from the authority in ca.crt',
    leaf.verify(new X509Certificate(clone.read('ca.crt')).publicKey),
  );
}

/** What a key holds: what is kept, or another key percent-encoded, which is not kept. */
function valueOf(kept: Json, keys: Json, key: string): string {
  const { percentEncoded } = keys[key];
  return percentEncoded === undefined ? kept[key] : encodeURIComponent(kept[percentEncoded]);
}

/** A secret with another value is never overwritten, and a missing one comes back. */
async function foreign(clone: Clone, client: Client): Promise<void> {
  const secret = at('Secret', 'mongodb-chat', 'mongodb');
  const name = { ...secret, metadata: { ...secret.metadata, name: 'mongodb-search' } };
  const path = await client.pathOf(name);
  const good = (await client.get(name))!.data.password;
  const change = (password: string) =>
    client.ask('PATCH', path, { data: { password } }, 'application/merge-patch+json');
  await change(Buffer.from('somebody-elses').toString('base64'));
  await client.delete(at('Secret', 'mongodb-identity', 'services'));
  const before = clone.read('secrets.sops.yaml');
  const run = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a secret with another value stops the stage, which says which, and both ways out',
    run.code === 4 &&
      /secret mongodb\/mongodb-search holds another password/.test(run.output) &&
      run.output.includes('kubectl -n mongodb delete secret mongodb-search') &&
      !run.output.includes('somebody-elses'),
    run.output,
  );
  tally.check(
    'and nothing was changed',
    Buffer.from((await client.get(name))!.data.password, 'base64').toString() === 'somebody-elses' &&
      before === clone.read('secrets.sops.yaml') &&
      (await client.get(at('Secret', 'mongodb-identity', 'services'))) === undefined,
  );
  await change(good);
  const mended = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a missing one comes back with its value',
    done(mended) && (await client.get(at('Secret', 'mongodb-identity', 'services'))) !== undefined,
    mended.output,
  );
  lapped('a foreign secret was left alone, a missing one came back');
}

async function stageGitops(clone: Clone, plane: ControlPlane): Promise<ArgoCd> {
  const { client } = plane;
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
async function takenOver(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
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
async function leavesGit(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
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

/** The password of a client, through its database's job and its deployment. */
async function rotates(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
  const old = clone.secrets().secrets.mongodb['mongodb-search'].password;
  const job = (await client.list('batch/v1', 'Job', 'mongodb'))[0]!.metadata;
  const podOf = async (name: string) =>
    (await client.list('v1', 'Pod', 'services')).filter(
      ({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === name && !metadata.deletionTimestamp,
    );
  const before = (await podOf('search'))[0]!.metadata.uid;
  const others = (await podOf('documents'))[0]!.metadata.uid;
  const [{ kills, last: run }] = await Promise.all([
    clone.killedAlong(['rotate', 'mongodb-search', '--yes'], full ? 1 : 2),
    pump(argo, 60),
  ]);
  tally.check('rotate is done, however often it is killed on the way', kills > 1 && run.code === 0, run.output);
  const kept = clone.secrets();
  const now = kept.secrets.mongodb['mongodb-search'].password;
  const live = await Promise.all(
    ['mongodb', 'services'].map((namespace) => client.get(at('Secret', 'mongodb-search', namespace))),
  );
  tally.check(
    'both namespaces and the file have one new value, and the old one is forgotten',
    now !== old &&
      kept.secrets.services['mongodb-search'].password === now &&
      kept.previous === undefined &&
      live.every((each) => Buffer.from(each!.data.password, 'base64').toString() === now),
  );
  const again = (await client.get(at('Job', job.name, 'mongodb', 'batch/v1')))!;
  tally.check('the job ran again', again.metadata.uid !== job.uid && again.status.succeeded === 1);
  const pods = await podOf('search');
  tally.check(
    'who reads it has started anew, and nobody else',
    pods.every(({ metadata }) => metadata.uid !== before) && (await podOf('documents'))[0]!.metadata.uid === others,
  );
  await argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  tally.check(
    'Argo CD undoes none of it and stays Synced',
    (await argo.applications()).every(({ status }) => status.sync.status === 'Synced') &&
      (await podOf('search')).map(({ metadata }) => metadata.uid).join() ===
        pods.map(({ metadata }) => metadata.uid).join(),
    await argo.explain(),
  );
  tally.check(
    'neither value was printed or logged',
    ![run.output, clone.read('.homelab/bootstrap.log')].some((text) => text.includes(old) || text.includes(now)),
  );
  const [own] = await Promise.all([clone.run('rotate', 'mongodb-root', '--yes'), pump(argo, 30)]);
  tally.check('root of a database is rotated by its job', own.code === 0, own.output);
  lapped(`a password was rotated, killed ${kills} times on the way`);
}

async function pump(argo: ArgoCd, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 2) {
    await argo.refresh().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

/** Another version of Argo CD than the pinned one is replaced, and what only that one had goes. */
async function changesVersion(clone: Clone, client: Client): Promise<void> {
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

/** A certificate that ends soon is renewed by the stage, and the ingress controller restarts to read it. */
async function renews(clone: Clone, client: Client): Promise<void> {
  const authority = clone.secrets('scripts/secrets/authority.sops.yaml');
  const { issue } = await import('../../../scripts/secrets/certificates');
  const soon = await issue(authority as any, [`*.${homelab.network.domain}`], new Date(Date.now() - 380 * 86_400_000));
  const kept = clone.secrets();
  const values = { 'tls.crt': soon.certificate, 'tls.key': soon.key };
  kept.secrets.ingress['traefik-certificate'] = values;
  clone.keepSecrets(kept);
  await client.ask(
    'PATCH',
    '/api/v1/namespaces/ingress/secrets/traefik-certificate',
    { stringData: values },
    'application/merge-patch+json',
  );
  const uids = async () =>
    (await client.list('v1', 'Pod', 'ingress'))
      .map(({ metadata }) => metadata.uid)
      .sort()
      .join();
  const before = await uids();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const run = await clone.run('apply', 'secrets', '--yes');
  const leaf = clone.secrets().secrets.ingress['traefik-certificate']['tls.crt'];
  const live = (await client.get(at('Secret', 'traefik-certificate', 'ingress')))!;
  tally.check(
    'a certificate that ends in 17 days is renewed, in the file and in the cluster',
    done(run) &&
      leaf !== soon.certificate &&
      Buffer.from(live.data['tls.crt'], 'base64').toString() === leaf &&
      new Date(new X509Certificate(leaf).validTo).getTime() > Date.now() + 390 * 86_400_000,
    run.output,
  );
  tally.check('the ingress controller has started anew to read it', (await uids()) !== before, run.output);
  const again = await clone.run('apply', 'secrets', '--yes');
  tally.check('and nothing is left to do', nothing(again), again.output);
  lapped('a certificate was renewed');
}

function lapped(what: string): void {
  laps.lap(what);
}

async function main(): Promise<void> {
  const plane = await ControlPlane.start(homelab.versions.kubernetes);
  let clone: Clone | undefined;
  try {
    clone = new Clone(plane, new Repository(join(plane.folder, 'repository')));
    const { 'argo-cd': _, ...system } = homelab.system;
    await applyNodes(plane.client, { ...homelab, system });
    clone.publish('first');
    lapped('control plane and clone are ready');
    await stageSecrets(clone, plane.client);
    await foreign(clone, plane.client);
    const argo = await stageGitops(clone, plane);
    await takenOver(clone, plane.client, argo);
    await rotates(clone, plane.client, argo);
    await renews(clone, plane.client);
    await changesVersion(clone, plane.client);
    await verified(clone, plane.client, tally);
    lapped('verify, through the real ingress controller');
    await leavesGit(clone, plane.client, argo);
  } finally {
    clone?.remove();
    await plane.stop();
  }
}

onLoopback(() => {
  argoCd();
  traefik();
  sopsBinaries();
  controlPlaneBinaries(homelab.versions.kubernetes);
});
main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => tally.close());
