import { clientsOf } from '../../../checks/step/clients';
import type { State } from '../../../checks/step/step';
import { workloads } from '../../../checks/step/workloads';

type Json = Record<string, any>;

function deployment(namespace: string, name: string, labels: Json = { app: name }): Json {
  const template = { metadata: { labels }, spec: { containers: [{ name, image: 'a:1' }] } };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { namespace, name }, spec: { template } };
}

function policy(namespace: string, app: string, spec: Json): Json {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace, name: app },
    spec: { podSelector: { matchLabels: { app } }, ...spec },
  };
}

function clients(target: string, objects: readonly Json[]): string[] {
  const state: State = {
    objects: objects.map((object, index) => ({ folder: 'own', file: `own/${index}.yaml`, object })),
    secrets: [],
  };
  return clientsOf(state, workloads(state).byName.get(`Deployment ${target}`)!);
}

const of = (app: string) => ({ podSelector: { matchLabels: { app } } });
const all = [deployment('a', 'store'), deployment('a', 'one'), deployment('a', 'two'), deployment('b', 'three')];

test('workloads that the policy of the target permits and their own policy does not forbid', () => {
  const lets = policy('a', 'store', { policyTypes: ['Ingress'], ingress: [{ from: [of('one'), of('two')] }] });
  expect(clients('a/store', [...all, lets])).toEqual(['a/one', 'a/two']);
  const nowhere = policy('a', 'two', { policyTypes: ['Egress'], egress: [] });
  expect(clients('a/store', [...all, lets, nowhere])).toEqual(['a/one']);
});

test('without a policy of the target: workloads whose own policies name it', () => {
  const speaks = policy('a', 'one', { policyTypes: ['Egress'], egress: [{ to: [of('store')] }] });
  expect(clients('a/store', [...all, speaks])).toEqual(['a/one']);
  expect(clients('a/store', all)).toEqual([]);
});

test('selects a namespace by its name or by its labels', () => {
  const from = (namespaceSelector: Json) =>
    policy('a', 'store', {
      ingress: [{ from: [{ namespaceSelector, podSelector: { matchLabels: { app: 'three' } } }] }],
    });
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b', labels: { team: 'x' } } };
  for (const selector of [
    { matchLabels: { 'kubernetes.io/metadata.name': 'b' } },
    { matchLabels: { team: 'x' } },
    { matchExpressions: [{ key: 'team', operator: 'In', values: ['x', 'y'] }] },
    {},
  ])
    expect(clients('a/store', [...all, namespace, from(selector)])).toEqual(['b/three']);
  expect(clients('a/store', [...all, namespace, from({ matchLabels: { team: 'y' } })])).toEqual([]);
});

test('other parts of the same workload are no clients, and neither are Jobs', () => {
  const parts = [
    deployment('a', 'ring-1', { app: 'ring' }),
    deployment('a', 'ring-2', { app: 'ring' }),
    { ...deployment('a', 'schema'), apiVersion: 'batch/v1', kind: 'Job' },
  ];
  const lets = policy('a', 'ring', { ingress: [{ from: [of('ring'), of('schema'), of('one')] }] });
  expect(clients('a/ring-1', [...all, ...parts, lets])).toEqual(['a/one']);
});

test('3,000 workloads with a policy each take less than a second', () => {
  const many = Array.from({ length: 3000 }, (_, index) => [
    deployment('a', `n${index}`),
    policy('a', `n${index}`, {
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [of(`n${index + 1}`)] }],
      egress: [{ to: [of(`n${index - 1}`)] }],
    }),
  ]).flat();
  const state: State = {
    objects: many.map((object, index) => ({ folder: 'own', file: `${index}`, object })),
    secrets: [],
  };
  const begin = process.cpuUsage(); // CPU time, so that other programs do not count
  const found = workloads(state).all.map((workload) => clientsOf(state, workload));
  expect(found[7]).toEqual(['a/n8']);
  expect(process.cpuUsage(begin).user / 1e6).toBeLessThan(1);
});
