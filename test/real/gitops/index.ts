import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import homelab from '../../fixtures/homelab';
import { databasePods, servedName } from '../../../inventory';
import { issue, makeAuthority } from '../../../scripts/secrets/certificates';
import { TRY_AGAIN } from '../../../scripts/clients/argo-cd';
import { gaveUp } from '../../../scripts/clients/argo-cd';
import { applicationProblem } from '../../../scripts/clients/argo-cd';
import { leftoverCommands } from '../../../cli/leftovers';
import { printYaml } from '../../../synth';
import { leftovers } from '../../../synth/leftovers';
import { published } from '../../../synth/publish';
import { controlPlaneBinaries } from '../cluster/binaries';
import type { Json } from '../cluster/client';
import { manifestsOf, missingReferences } from '../cluster/deploy';
import { until } from '../cluster/processes';
import { onLoopback } from '../loopback';
import { Walk } from '../change/walk';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { argoCd, traefik } from './binaries';
import { routes, type Entrance } from './routes';
import { difference, picture, Site, type Change } from './site';
import { startTraefik } from './traefik';

/**
 * dist/ in a Git repository that a real Argo CD syncs, and the real ingress controller with what we render for it. In a
 * network namespace of its own, where the addresses of pods are ours to give to servers that stand in for their processes.
 */
const full = process.argv.includes('--full');
const tally = new Tally();
const laps = new Laps();
const lap = (what: string) => laps.lap(what);

const created = ({ metadata }: Json) => Date.parse(metadata.creationTimestamp);
const wave = ({ metadata }: Json) => Number(metadata.annotations['argocd.argoproj.io/sync-wave']);

/** The ingress controller, with a certificate as the bootstrap makes it, and the authority that signed it. */
async function ingressOf({ plane, argo }: Site): Promise<Entrance> {
  const { domain } = homelab.network;
  const authority = await makeAuthority(homelab.name, domain);
  const { certificate, key } = await issue(authority, [`*.${domain}`]);
  const files = { 'tls.crt': certificate, 'tls.key': key };
  return { ...(await startTraefik(plane, files, () => argo.explain())), authority: authority.certificate };
}

/** How many applications of a later wave were made before one of an earlier wave was healthy. */
function outOfOrder(applications: readonly Json[]): string[] {
  const children = applications.filter(({ metadata }) => metadata.name !== homelab.name);
  return children.flatMap((later) =>
    children
      .filter((earlier) => wave(earlier) < wave(later))
      // Health is written when it changes; times have whole seconds.
      .filter((earlier) => Date.parse(earlier.status.health.lastTransitionTime) > created(later) + 1_000)
      .map((earlier) => `${later.metadata.name} was made before ${earlier.metadata.name} was healthy`),
  );
}

async function comesUp(site: Site): Promise<Entrance> {
  const [applications, ingress] = await Promise.all([site.settled(180), ingressOf(site)]);
  lap(`the root application brought up ${applications.length} applications, all Synced and Healthy`);
  const disorder = outOfOrder(applications);
  tally.check('in wave order', disorder.length === 0, disorder.join('\n'));
  const address = homelab.machines[homelab.ingress!.statusMachine]!.address;
  for (const { metadata, status } of await site.client.list('networking.k8s.io/v1', 'Ingress')) {
    const writers = metadata.managedFields
      .filter(({ subresource, fieldsV1 }: Json) => subresource === 'status' || fieldsV1?.['f:status'])
      .map(({ manager }: Json) => manager);
    tally.check(
      `the status of Ingress ${metadata.name} is ${address}, written by the controller and nobody else`,
      status.loadBalancer.ingress[0].ip === address && writers.length === 1 && /traefik/.test(writers[0]),
      `${JSON.stringify(status)} ${writers.join()}`,
    );
  }
  const missing = await missingReferences(site.client);
  tally.check('every Secret, ConfigMap, claim and account is there', missing.length === 0, missing.join('\n'));
  return ingress;
}

async function staysInSync(site: Site, seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await site.argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  const applications = await site.argo.applications();
  const wrong = applications
    .filter(({ status }) => status.sync.status !== 'Synced')
    .map(
      ({ metadata, status }) =>
        `${metadata.name}: ${JSON.stringify(status.resources.filter((resource: Json) => resource.status !== 'Synced'))}`,
    );
  tally.check(`${seconds} s later and after a hard refresh nothing is OutOfSync`, wrong.length === 0, wrong.join('\n'));
  const healed = applications
    .filter(({ status }) => (status.history ?? []).length > 2)
    .map(({ metadata, status }) => `${metadata.name}: ${status.history.length} syncs`);
  tally.check('and nothing was synced again and again', healed.length === 0, healed.join('\n'));
}

async function commits(site: Site): Promise<void> {
  const { client } = site;
  const service = 'chat';
  // Each commit is planned as well: what happened must be what the plan says.
  const walk = new Walk(site, tally);
  const done = async (what: string, change: Change) => {
    const before = await picture(client);
    await walk.commit(what, change);
    return difference(before, await picture(client));
  };

  const image = await done('a new image', (h) =>
    Object.assign(h.services[service], { image: 'ghcr.io/owner/chat:1.0.1', port: 9898 }),
  );
  tally.check(
    'a commit that changes one service changes that service alone',
    image.changed.join() === `Deployment services/${service}` && image.added.length + image.gone.length === 0,
    JSON.stringify(image),
  );
  lap('a changed image was synced');

  const keyspace = await done('a keyspace', (h) =>
    h.services.search.connects.push({ cassandra: 'cassandra', keyspace: 'search' }),
  );
  tally.check(
    'a commit that adds a keyspace makes its job run, with its secret there',
    keyspace.added.some((key) => /^Job cassandra\/cassandra-schema-/.test(key)) &&
      keyspace.gone.some((key) => /^Job cassandra\/cassandra-schema-/.test(key)) &&
      keyspace.added.includes('Secret services/cassandra-search') &&
      !keyspace.changed.some((key) => key.startsWith('StatefulSet')),
    JSON.stringify(keyspace),
  );
  tally.check('and no pod refers to what is not there', (await missingReferences(client)).length === 0);
  const user = await done('a database user', (h) =>
    h.services.presence.connects.push({ mongodb: 'mongodb', database: 'presence' }),
  );
  tally.check(
    'so does one that adds a database user',
    user.added.some((key) => /^Job mongodb\/mongodb-users-/.test(key)) &&
      !user.changed.some((key) => key.startsWith('StatefulSet')),
    JSON.stringify(user),
  );
  lap('jobs ran for a keyspace and for a user');

  const removed = await done('no notifications', (h) => {
    delete h.services.notifications;
    h.services.gateway.connects = h.services.gateway.connects.filter(
      (connection: any) => connection.service !== 'notifications',
    );
  });
  tally.check(
    'a commit that removes a service prunes it',
    ['Deployment', 'Service', 'NetworkPolicy'].every((kind) => removed.gone.includes(`${kind} services/notifications`)),
    JSON.stringify(removed),
  );
  lap('a removed service was pruned');

  const path = `/apis/apps/v1/namespaces/services/deployments/${service}`;
  await client.ask('PATCH', path, { spec: { replicas: 5 } }, 'application/merge-patch+json');
  await client.ask('DELETE', '/api/v1/namespaces/services/services/documents');
  await until('what was edited by hand is healed', 60, async () => {
    const [deployment, documents] = await Promise.all([
      client.ask('GET', path),
      client.request('GET', '/api/v1/namespaces/services/services/documents'),
    ]);
    return deployment.spec.replicas === 1 && documents.status === 200;
  });
  tally.check('a manual edit and a deletion in the cluster are healed', true);
  lap('edits by hand were healed');
}

/** `state: 'retired'` keeps what holds data, as the very objects that they were, and `active` brings the pods back to it. */
async function retires(site: Site): Promise<void> {
  const walk = new Walk(site, tally);
  const before = await picture(site.client);
  await walk.commit('mongodb retires', (h) => {
    h.databases.mongodb.state = 'retired';
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: any) => !connection.mongodb);
  });
  const gone = await picture(site.client);
  const kept = [...before.keys()].filter(
    (key) =>
      key === 'Namespace /mongodb' ||
      /^NetworkPolicy mongodb\/(mongodb|default-deny)$/.test(key) ||
      /^(Secret|PersistentVolumeClaim) mongodb\//.test(key) ||
      /^PersistentVolume \/mongodb-/.test(key),
  );
  const pods = databasePods('mongodb', homelab.databases.mongodb!).length;
  tally.check(
    `a retired database keeps ${kept.length} objects as they were, with their UIDs`,
    kept.length >= 3 + 2 * pods && kept.every((key) => gone.get(key)?.uid === before.get(key)!.uid),
    kept.filter((key) => gone.get(key)?.uid !== before.get(key)!.uid).join(),
  );
  tally.check('and runs no pods', !gone.has('StatefulSet mongodb/mongodb'));
  await walk.revert('mongodb comes back');
  const back = await picture(site.client);
  tally.check(
    'it comes back to the same claims and volumes',
    back.has('StatefulSet mongodb/mongodb') && kept.every((key) => back.get(key)?.uid === before.get(key)!.uid),
  );
  lap('a database retired and came back');
}

/** A database whose entry is deleted while it runs: what synth prints removes all of it, in that order. */
async function leavesForGood(site: Site): Promise<void> {
  const before = published(site.dist);
  await site.commit('mongodb leaves', (h) => {
    delete h.databases.mongodb;
    delete h.machines['talos-worker-02'].dataDisks;
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: any) => !connection.mongodb);
  });
  const printed = await leftovers(before, published(site.dist));
  await site.argo.refresh('hard');
  await until('the root application reads the commit', 120, async () =>
    (await site.argo.applications()).some(
      ({ metadata, status }) => metadata.name === homelab.name && status.sync.revision === site.revision,
    ),
  );
  const { kubeconfig } = site.plane;
  const found = leftoverCommands(site.dist, kubeconfig);
  // Earlier commits left secrets of theirs.
  const again = found.filter((command) => printed.includes(command));
  tally.check('what is left over is found again in the cluster', again.join() === printed.join(), found.join('\n'));
  for (const command of found)
    await promisify(execFile)('sh', ['-c', command], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      timeout: 120_000,
    });
  await site.settled(180);
  const left = [...(await picture(site.client)).keys()].filter((key) => / mongodb\/|\/mongodb($|-)/.test(key));
  tally.check(
    `${found.length} commands removed a database that still ran, and nothing of it is left`,
    printed.length > 5 && left.length === 0 && leftoverCommands(site.dist, kubeconfig).length === 0,
    left.join(),
  );
  lap('a database was removed for good');
}

/** Argo CD deletes nothing of a kind that its project does not permit, also when the last object of the kind has left Git. */
async function lastOfItsKind(site: Site): Promise<void> {
  const { client } = site;
  const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' };
  const ours = { ...slice, metadata: { name: homelab.llm!.service, namespace: 'services' } };
  const inGit = () => manifestsOf(site.dist).filter(({ object }) => object.kind === slice.kind).length;
  const [before, there] = [inGit(), await client.get(ours)];
  const walk = new Walk(site, tally);
  await walk.commit('the models by a proxy', (h) => (h.llm.via = 'tcp-proxy'));
  tally.check(
    'the last EndpointSlice that leaves Git leaves the cluster',
    before === 1 && there !== undefined && inGit() === 0 && (await client.get(ours)) === undefined,
    `${before} in Git before, ${inGit()} after`,
  );
  await walk.revert('the models by their address');
  tally.check('and comes back with it', (await client.get(ours)) !== undefined);
  lap('the last object of a kind was pruned');
}

async function brokenCommit(site: Site): Promise<void> {
  const before = await picture(site.client);
  const file = join(site.dist, 'services', 'deployment.chat.yaml');
  const good = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, good.replace('spec:', 'spec: {'));
  const revision = site.repository.commit('broken');
  let asked = 0;
  await until('the broken commit is noticed', 60, async () => {
    // Again now and then: a comparison that was running takes the request for its own.
    if (Date.now() - asked > 10_000) {
      await site.argo.refresh('hard');
      asked = Date.now();
    }
    return (await site.argo.applications()).some(
      ({ metadata, status }) =>
        metadata.name === 'services' && (status.conditions ?? []).some(({ type }: Json) => type === 'ComparisonError'),
    );
  });
  const now = difference(before, await picture(site.client));
  tally.check(
    `a broken commit (${revision.slice(0, 8)}) leaves what runs untouched`,
    now.changed.length + now.gone.length + now.added.length === 0,
    JSON.stringify(now),
  );
  fs.writeFileSync(file, good);
  site.revision = site.repository.commit('mended');
  await site.argo.refresh('hard');
  await site.settled();
  lap('a broken commit touched nothing');
}

/** Edits a rendered file as it lies in the repository. */
function edit(site: Site, path: string, change: (object: Json) => void): void {
  const file = join(site.dist, path);
  const object = parse(fs.readFileSync(file, 'utf8'));
  change(object);
  fs.writeFileSync(file, printYaml(object));
}

/** A service that does not come up must not keep what mends it, or anything else, from being brought in. */
async function degraded(site: Site): Promise<void> {
  edit(site, 'services/deployment.chat.yaml', ({ spec }) => {
    spec.progressDeadlineSeconds = 5;
    spec.template.spec.nodeSelector = { nowhere: 'true' };
  });
  site.repository.commit('a pod that no node takes');
  await site.argo.refresh('hard');
  const services = await until('the application is judged Degraded', 180, async () => {
    const found = (await site.argo.applications()).find(({ metadata }) => metadata.name === 'services');
    return found?.status?.health?.status === 'Degraded' ? found : undefined;
  });
  const said = applicationProblem(services) ?? '';
  tally.check('the bootstrap says which object is unwell', /Deployment chat Degraded \(.+\)/.test(said), said);
  edit(site, 'argocd/application.llm.yaml', ({ metadata }) => (metadata.annotations['test/later'] = 'yes'));
  site.repository.commit('another wave');
  await site.argo.refresh('hard');
  const later = await until('the root brings in what is of a later wave', 120, async () =>
    (await site.argo.applications()).some(({ metadata }) => metadata.annotations['test/later'] === 'yes'),
  ).catch(() => undefined);
  tally.check('an application that is Degraded does not hold up the root', later === true);
  await site.commit('mended', () => undefined);
  await site.argo.refresh('hard');
  lap('a degraded application held nothing up');
}

/** Argo CD gives up what the API server refuses, and does not try it again when that is over; the bootstrap has it try. */
async function givesUp(site: Site): Promise<void> {
  const { client } = site;
  const services = async () =>
    (await site.argo.applications()).find(({ metadata }) => metadata.name === 'services') as Json;
  const policy = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'refused' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'], operations: ['UPDATE'] },
        ],
      },
      validations: [{ expression: "object.metadata.name != 'chat'" }],
    },
  };
  const binding = {
    ...policy,
    kind: 'ValidatingAdmissionPolicyBinding',
    spec: { policyName: 'refused', validationActions: ['Deny'] },
  };
  // Ten tries would take half an hour.
  edit(site, 'argocd/application.services.yaml', ({ spec }) => {
    spec.syncPolicy.retry = { limit: 1, backoff: { duration: '1s', factor: 1, maxDuration: '1s' } };
  });
  site.revision = site.repository.commit('one try more');
  await site.argo.refresh('hard');
  // The root may wait between two tries.
  await site.settled(180);
  for (const object of [policy, binding]) await client.apply(object);
  const name = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'chat', namespace: 'services' } };
  const path = await client.pathOf(name);
  await until('the API server refuses', 30, async () => {
    const change = { metadata: { annotations: { 'test/asked': 'yes' } } };
    return (await client.request('PATCH', `${path}?dryRun=All`, change, 'application/merge-patch+json')).status === 422;
  });
  edit(site, 'services/deployment.chat.yaml', ({ spec }) => (spec.template.metadata.labels['test/refused'] = 'yes'));
  site.revision = site.repository.commit('refused');
  await site.argo.refresh('hard');
  await until('Argo CD gives up', 180, async () => gaveUp(await services()) !== undefined);
  for (const object of [binding, policy]) await client.delete(object);
  await site.argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  tally.check('what Argo CD gave up it does not try again', (await services()).status.sync.status === 'OutOfSync');
  const application = '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/services';
  await client.ask('PATCH', application, TRY_AGAIN, 'application/merge-patch+json');
  await until('the bootstrap has it try', 60, async () => (await services()).status.sync.status === 'Synced');
  tally.check('unless the bootstrap has it', (await services()).status.operationState.phase === 'Succeeded');
  await site.commit('mended', () => undefined);
  await site.argo.refresh('hard');
  await site.settled();
  lap('a sync that was given up was tried again');
}

/** The trap: Argo CD's own exclusions drop the EndpointSlice without an error, and only the proof says so. */
async function excluded(site: Site): Promise<void> {
  const { client } = site;
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'llm-service', namespace: 'services' },
  };
  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-cm', namespace: 'argocd' } };
  const models = homelab.llm!.models;
  const endpoint = http.createServer((_request, answer) =>
    answer.end(JSON.stringify({ models: Object.entries(models).map(([name, model]) => ({ name: servedName(name, model) })) })),
  );
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(endpoint.address() as { port: number }).port}`;
    const good = await proof(site, url);
    tally.check('the rendered proof, as a process, finds the endpoint and the models', good.status === 0, good.said);
    // Self-heal would bring our own settings back: as if they had never been ours.
    await client.ask(
      'PATCH',
      `/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/${homelab.name}`,
      { spec: { syncPolicy: { automated: null } } },
      'application/merge-patch+json',
    );
    await client
      .ask(
        'PATCH',
        `/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/argocd`,
        { spec: { syncPolicy: { automated: null } } },
        'application/merge-patch+json',
      )
      .catch(() => undefined);
    const path = await client.pathOf(settings);
    const kinds = (await client.ask('GET', path)).data['resource.exclusions'] as string;
    await client.ask(
      'PATCH',
      path,
      { data: { 'resource.exclusions': `${kinds}- apiGroups: [discovery.k8s.io]\n  kinds: [EndpointSlice]\n` } },
      'application/merge-patch+json',
    );
    await client.delete(slice);
    await site.argo.refresh('hard');
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const llm = (await site.argo.applications()).find(({ metadata }) => metadata.name === 'llm')!;
    tally.check(
      'with the default exclusions the application looks Synced and Healthy, and the slice is not there',
      llm.status.sync.status === 'Synced' &&
        llm.status.health.status === 'Healthy' &&
        (await client.get(slice)) === undefined,
      JSON.stringify(llm.status.sync),
    );
    const bad = await proof(site, url);
    tally.check(
      'the rendered proof says that it is the API server that has no endpoint, and why',
      bad.status === 1 && /has no ready endpoint/.test(bad.said) && /resource\.exclusions/.test(bad.said),
      bad.said,
    );
    await site.commit('by the proxy', (h) => (h.llm.via = 'tcp-proxy'));
    await site.argo.refresh('hard');
    await until('the proxy has a ready endpoint', 60, async () => {
      const slices = (await client.list('discovery.k8s.io/v1', 'EndpointSlice', 'services')).filter(
        ({ metadata }) => metadata.labels['kubernetes.io/service-name'] === 'llm-service',
      );
      return slices.some(({ endpoints }) => (endpoints ?? []).some(({ conditions }: Json) => conditions.ready));
    });
    const proxied = await proof(site, url);
    tally.check('the TCP proxy works under the default exclusions', proxied.status === 0, proxied.said);
    lap('the trap of the default exclusions was seen, said and gone around');
  } finally {
    endpoint.close();
  }
}

/** Runs the rendered script with the rights of its service account. */
async function proof({ client, plane, dist }: Site, url: string): Promise<{ status: number | null; said: string }> {
  const job = manifestsOf(dist).find(
    ({ object }) => object.kind === 'Job' && object.metadata.name === 'llm-service-proof',
  )!.object;
  const script = manifestsOf(dist).find(
    ({ object }) => object.kind === 'ConfigMap' && object.metadata.name === 'llm-service-proof',
  )!.object;
  const folder = join(plane.folder, 'proof');
  fs.mkdirSync(folder, { recursive: true });
  const { status } = await client.ask('POST', '/api/v1/namespaces/services/serviceaccounts/llm-service-proof/token', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  fs.writeFileSync(join(folder, 'token'), status.token);
  fs.writeFileSync(join(folder, 'ca.crt'), Buffer.from(client.config.getCurrentCluster()!.caData!, 'base64'));
  fs.writeFileSync(join(folder, 'proof.py'), script.data['proof.py']);
  const env = Object.fromEntries(
    job.spec.template.spec.containers[0].env.map(({ name, value }: Json) => [name, value]),
  );
  // Not synchronously: the endpoint that it asks is in this process.
  const run = spawn('python3', [join(folder, 'proof.py')], {
    env: {
      PATH: process.env.PATH,
      ...env,
      URL: url,
      API: client.config.getCurrentCluster()!.server,
      CREDENTIALS: folder,
    },
    timeout: 60_000,
  });
  let said = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(run, 'close')) as [number | null];
  return { status: code, said };
}

/** Without the health of applications in argocd-cm the waves of the root application wait for nothing. */
async function orderIsLost(): Promise<void> {
  const site = await Site.start((data) => delete data['resource.customizations.health.argoproj.io_Application']);
  try {
    const children = await until('all applications are made', 120, async () => {
      const all = await site.argo.applications();
      return all.length === site.folders() ? all : undefined;
    });
    const last = Math.max(...children.map(wave));
    const unhealthy = children
      .filter((child) => wave(child) < last && child.status?.health?.status !== 'Healthy')
      .map(({ metadata }) => metadata.name);
    tally.check(
      'without the health setting the last wave is made while applications of earlier ones are not healthy',
      unhealthy.length > 0,
    );
    console.log(`  made before ${unhealthy.join(', ')} were healthy: wave ${last}`);
    lap('the order was lost without the health setting');
  } finally {
    await site.plane.stop();
  }
}

async function main(): Promise<void> {
  const site = await Site.start();
  lap('control plane and Argo CD are up');
  try {
    const ingress = await comesUp(site);
    await routes(site.client, tally, ingress);
    lap('requests went through the ingress controller');
    await staysInSync(site, full ? 120 : 20);
    lap('nothing drifted');
    await commits(site);
    await retires(site);
    await lastOfItsKind(site);
    await brokenCommit(site);
    await degraded(site);
    await givesUp(site);
    await leavesForGood(site);
    await excluded(site);
  } finally {
    await site.plane.stop();
  }
  if (full) await orderIsLost();
}

onLoopback(() => {
  argoCd();
  traefik();
  controlPlaneBinaries(homelab.versions.kubernetes);
});
main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => {
    tally.close();
    if (full && tally.good) writeProofs('gitops', [...laps.lines, tally.line()]);
  });
