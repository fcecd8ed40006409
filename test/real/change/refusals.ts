import * as fs from 'node:fs';
import type { Tally } from '../tally';
import { added, edited, fewTries, removed, type Edit } from './edits';
import type { Walk } from './walk';

type Json = any;

/** What Argo CD alone decides: what it leaves, what it refuses, what it runs again. On files, as charts of an owner would differ. */
export const REFUSALS: Readonly<Record<string, (walk: Walk, tally: Tally) => Promise<void>>> = {
  'policies, waves and hooks': harmless,
  'objects that are kept': kept,
  'what the API server refuses': refused,
  'what the project does not permit': notPermitted,
};

/** A commit that only edits files. */
function edit(walk: Walk, what: string, ...edits: readonly Edit[]) {
  walk.site.edits.push(...edits);
  return walk.commit(what);
}

/** Takes the last edits back without a plan: what was refused is not what the last commit says. */
async function takenBack(walk: Walk, count: number): Promise<void> {
  walk.site.edits.splice(-count);
  await walk.site.commit('taken back', () => undefined);
  await walk.site.settled(120);
}

async function harmless(walk: Walk): Promise<void> {
  await edit(
    walk,
    'a policy lets one port more through',
    edited('services/networkpolicy.chat.yaml', ({ spec }) =>
      spec.ingress.push({ from: [{ podSelector: {} }], ports: [{ protocol: 'TCP', port: 9999 }] }),
    ),
  );
  await edit(
    walk,
    'another wave, and a label that no pod has',
    edited('services/deployment.chat.yaml', ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'argocd.argoproj.io/sync-wave': '2' };
      metadata.labels.team = 'talk';
    }),
  );
  await edit(
    walk,
    'the settings of Argo CD',
    edited('argocd/configmap.argocd-cm.yaml', ({ data }) => (data['timeout.reconciliation'] = '200s')),
    edited(
      'argocd/application.web.yaml',
      ({ metadata }) => (metadata.annotations['argocd.argoproj.io/sync-wave'] = '4'),
    ),
  );
  await edit(
    walk,
    'a file beside a hook',
    edited('llm-proof/configmap.llm-service-proof.yaml', ({ data }) => (data.note = 'one more')),
  );
  await edit(
    walk,
    'a hook alone',
    edited('llm-proof/job.llm-service-proof.yaml', ({ spec }) => (spec.activeDeadlineSeconds = 301)),
  );
  await edit(
    walk,
    'a hook that leaves Git, and a file beside it',
    removed('llm-proof/job.llm-service-proof.yaml'),
    edited('llm-proof/configmap.llm-service-proof.yaml', ({ data }) => (data.note = 'two more')),
  );
  await edit(
    walk,
    'an image of all racks',
    ...['r1', 'r2', 'r3'].map((rack) =>
      edited(`cassandra/statefulset.cassandra-${rack}.yaml`, ({ spec }) =>
        Object.assign(spec.template.metadata.annotations, { 'test/image': 'another' }),
      ),
    ),
  );
}

async function kept(walk: Walk): Promise<void> {
  const file = 'services/service.chat.yaml';
  await edit(
    walk,
    'a Service is to be kept',
    edited(file, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'argocd.argoproj.io/sync-options': 'Prune=false' };
    }),
  );
  await edit(walk, 'it leaves Git', removed(file));
  await edit(walk, 'a whole folder leaves Git', removed('argocd/application.llm-proof.yaml'), (dist) =>
    fs.rmSync(`${dist}/llm-proof`, { recursive: true }),
  );
  await edit(
    walk,
    'a folder whose application is kept leaves Git',
    removed('argocd/application.mongodb.yaml'),
    (dist) => fs.rmSync(`${dist}/mongodb`, { recursive: true }),
  );
}

async function refused(walk: Walk): Promise<void> {
  await edit(walk, 'few tries', fewTries);
  await edit(
    walk,
    'a selector changes, and an image beside it',
    edited('services/deployment.chat.yaml', ({ spec }) => {
      spec.selector.matchLabels.more = spec.template.metadata.labels.more = 'yes';
    }),
    edited('services/deployment.search.yaml', ({ spec }) =>
      Object.assign((spec.template.metadata.annotations ??= {}), { 'test/image': 'another' }),
    ),
  );
  await takenBack(walk, 2);
  const template = ({ spec }: Json) => Object.assign(spec.template.metadata.annotations, { 'test/image': 'another' });
  await edit(
    walk,
    'a rack is refused, and those of later waves change too',
    edited('cassandra/statefulset.cassandra-r1.yaml', ({ spec }) => (spec.serviceName = 'others')),
    ...['r2', 'r3'].map((rack) => edited(`cassandra/statefulset.cassandra-${rack}.yaml`, template)),
    edited('services/deployment.search.yaml', ({ spec }) =>
      Object.assign((spec.template.metadata.annotations ??= {}), { 'test/image': 'a third' }),
    ),
  );
  await takenBack(walk, 4);
}

async function notPermitted(walk: Walk): Promise<void> {
  await edit(walk, 'few tries', fewTries);
  const metadata = (name: string, namespace: string) => ({ name, namespace });
  const change = edited('services/deployment.search.yaml', ({ spec }) =>
    Object.assign((spec.template.metadata.annotations ??= {}), { 'test/image': 'another' }),
  );
  await edit(
    walk,
    'a kind that the project does not permit, and an image beside it',
    added('services/podtemplate.other.yaml', {
      apiVersion: 'v1',
      kind: 'PodTemplate',
      metadata: metadata('other', 'services'),
      template: { spec: { containers: [{ name: 'one', image: 'one' }] } },
    }),
    change,
  );
  await takenBack(walk, 2);
  await edit(
    walk,
    'a namespace that the project does not permit, and an image beside it',
    added('services/configmap.other.yaml', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: metadata('other', 'default'),
      data: {},
    }),
    change,
  );
  await takenBack(walk, 2);
  await edit(
    walk,
    'a kind that Argo CD leaves out',
    added('services/lease.other.yaml', {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: metadata('other', 'services'),
      spec: {},
    }),
  );
  await takenBack(walk, 1);
}
