import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { gaveUp, TRY_AGAIN, applicationProblem } from '../../../scripts/clients/argo-cd';
import { printYaml } from '../../../synth';
import type { Json } from '../cluster/client';
import { until } from '../cluster/processes';
import { difference, picture, Site } from './site';
import type { Report } from './report';

export async function brokenCommit(site: Site, { tally, lap }: Report): Promise<void> {
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
  lap('a broken commit changed nothing in the cluster');
}

/** Edits a rendered file as it lies in the repository. */
function edit(site: Site, path: string, change: (object: Json) => void): void {
  const file = join(site.dist, path);
  const object = parse(fs.readFileSync(file, 'utf8'));
  change(object);
  fs.writeFileSync(file, printYaml(object));
}

/** A service that does not come up must not keep what mends it, or anything else, from being brought in. */
export async function degraded(site: Site, { tally, lap }: Report): Promise<void> {
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
  lap('a degraded application did not block the others');
}

/** Argo CD gives up what the API server refuses, and does not try it again when that is over; the bootstrap has it try. */
export async function givesUp(site: Site, { tally, lap }: Report): Promise<void> {
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
  await until('the bootstrap has it try', 60, async () => {
    const { sync, operationState } = (await services()).status;
    return sync.status === 'Synced' && operationState.phase !== 'Running';
  });
  const { phase, message } = (await services()).status.operationState;
  tally.check('unless the bootstrap has it', phase === 'Succeeded', `${phase}: ${message}`);
  await site.commit('mended', () => undefined);
  await site.argo.refresh('hard');
  await site.settled();
  lap('Argo CD retried a sync that had failed');
}
