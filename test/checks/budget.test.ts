import { budget, budgetRows, type Rendering } from '../../checks';
import { allocatableMemory, type Homelab, type TalosMachine } from '../../inventory';
import { changed } from '../homelab';

const MIB = 1024 ** 2;
const [FIRST, SECOND] = ['talos-worker-01', 'talos-worker-02'] as const;

/** Two empty workers with the labels of the test homelab. cp-01 takes no pods. */
const homelab: Homelab = changed((h) => (h.system = {}));

const container = (name: string, memory?: string, cpu?: string) => ({
  name,
  resources: { requests: { ...(memory && { memory }), ...(cpu && { cpu }) } },
});
const on = (value: string, key = 'storage-type') => ({ matchExpressions: [{ key, operator: 'In', values: [value] }] });
const required = (...nodeSelectorTerms: object[]) => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const preferred = (preference: object) => ({
  affinity: {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference }] },
  },
});

function workload(kind: string, pod: object, spec: object = {}): Rendering[number] {
  const object = {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'a', namespace: 'apps' },
    spec: { ...spec, template: { spec: { containers: [container('main', '100Mi', '250m')], ...pod } } },
  };
  return { file: 'apps/a.yaml', construct: 'apps/a', object } as unknown as Rendering[number];
}

/** A volume on a node, for one claim. */
function volume(node: string, claim: string): Rendering[number] {
  const terms = { nodeSelectorTerms: [on(node, 'kubernetes.io/hostname')] };
  const object = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: claim },
    spec: { claimRef: { namespace: 'apps', name: claim }, nodeAffinity: { required: terms } },
  };
  return { file: `platform/${claim}.yaml`, construct: claim, object } as unknown as Rendering[number];
}

/** Where pods run, as NODE PODS+SURGE. */
const places = (...rendering: Rendering[number][]) =>
  budgetRows(rendering, homelab).map(({ node, pods, surge }) => `${node} ${pods}+${surge}`);

describe('pods are counted', () => {
  test('on the nodes that they require, even if they prefer others', () => {
    const pod = { affinity: { nodeAffinity: { ...required(on('mongodb')).affinity.nodeAffinity, ...preferred(on('cassandra')).affinity.nodeAffinity } } }; // prettier-ignore
    expect(places(workload('Deployment', pod))).toEqual([`${SECOND} 1+1`]);
  });

  test('on the nodes that they prefer', () => {
    expect(places(workload('Deployment', preferred(on('mongodb'))))).toEqual([`${SECOND} 1+1`]);
  });

  test('on any worker if no node matches their preference', () => {
    expect(places(workload('Deployment', preferred(on('ssd')), { replicas: 2 }))).toEqual([
      `${FIRST} 1+1`,
      `${SECOND} 1+0`,
    ]);
  });

  test('on a node that matches all labels of one term', () => {
    const both = { matchExpressions: [...on('mongodb').matchExpressions, ...on('yes', 'fast').matchExpressions] };
    expect(places(workload('DaemonSet', required(both, on('cassandra'))))).toEqual([`${FIRST} 1+0`]);
  });

  test.each([
    ['Exists', 'storage-type', [FIRST, SECOND]],
    ['DoesNotExist', 'storage-type', []],
    ['DoesNotExist', 'fast', [FIRST, SECOND]],
    ['NotIn', 'fast', [FIRST, SECOND]],
  ])('on the nodes that operator %s of %s selects', (operator, key, nodes) => {
    const term = { matchExpressions: [{ key, operator, ...(operator === 'NotIn' && { values: ['no'] }) }] };
    // If no node matches the requirement, every node counts.
    const expected = nodes.length > 0 ? nodes : [FIRST, SECOND];
    expect(places(workload('DaemonSet', required(term)))).toEqual(expected.map((node) => `${node} 1+0`));
    const one = { matchExpressions: [...term.matchExpressions, ...on('cassandra').matchExpressions] };
    const first = places(workload('DaemonSet', required(one)));
    expect(first).toEqual(nodes.length > 0 ? [`${FIRST} 1+0`] : [`${FIRST} 1+0`, `${SECOND} 1+0`]);
  });

  test('evenly, with the remainder and the surge on the first nodes', () => {
    expect(places(workload('Deployment', {}, { replicas: 3 }))).toEqual([`${FIRST} 2+1`, `${SECOND} 1+0`]);
    expect(places(workload('StatefulSet', {}, { replicas: 1 }))).toEqual([`${FIRST} 1+0`]);
  });

  test('on the nodes of their volumes', () => {
    const set = workload('StatefulSet', {}, { replicas: 3, volumeClaimTemplates: [{ metadata: { name: 'data' } }] });
    const volumes = ['data-a-0', 'data-a-1', 'data-a-2'];
    const there = [volume(SECOND, volumes[0]!), volume(SECOND, volumes[1]!), volume(FIRST, volumes[2]!)];
    expect(places(set, ...there)).toEqual([`${SECOND} 2+0`, `${FIRST} 1+0`]);
    // A pod whose volume is on no node may run anywhere, and so may the others.
    expect(places(set, ...there.slice(1))).toEqual([`${FIRST} 2+0`, `${SECOND} 1+0`]);
    const others = { ...there[0]!, object: { ...there[0]!.object, spec: { ...there[0]!.object.spec, claimRef: { namespace: 'web', name: 'data-a-0' } } } }; // prettier-ignore
    expect(places(set, others, ...there.slice(1))).toEqual([`${FIRST} 2+0`, `${SECOND} 1+0`]);
  });
});

describe('a row', () => {
  const rows = (pod: object) =>
    budgetRows([workload('Deployment', pod)], homelab).map(({ container, memory, cpu }) => [
      container,
      memory / MIB,
      cpu,
    ]);

  test('shows the request of each container and the name of its workload', () => {
    expect(budgetRows([workload('Deployment', {})], homelab)).toEqual([
      { node: FIRST, workload: 'apps/a', container: 'main', pods: 1, surge: 1, memory: 100 * MIB, cpu: 250 },
    ]);
    expect(rows({ containers: [container('a', '1Gi'), container('b', undefined, '0.1'), { name: 'c' }] })).toEqual([
      ['a', 1024, 0],
      ['b', 0, 100],
      ['c', 0, 0],
    ]);
  });

  test.each([
    ['more memory', '300Mi', '50m', [200, 0]],
    ['more CPU', '50Mi', '1', [0, 750]],
    ['a millicore more', '100Mi', '251m', [0, 1]],
    ['as much', '100Mi', '250m', undefined],
  ])('is added for an init container that requests %s than all other containers', (_, memory, cpu, more) => {
    expect(rows({ initContainers: [container('init', memory, cpu)] })).toEqual([
      ['main', 100, 250],
      ...(more ? [['(more for its init containers)', ...more]] : []),
    ]);
  });
});

describe('a node', () => {
  const room = allocatableMemory(homelab, homelab.machines[FIRST] as TalosMachine);
  const judged = (memory: string, cpu: string, spec: object = {}) =>
    budget
      .find({ rendering: [workload('StatefulSet', { containers: [container('main', memory, cpu)] }, spec)], homelab })
      .map(({ severity, message }) => `${severity} ${message}`);

  test('accepts requests up to its size, but not a byte or a millicore more', () => {
    expect(judged(String(room), '5950m')).toEqual([]);
    expect(judged(String(room + 1), '5950m')).toEqual([
      expect.stringMatching(
        /^error the pods of talos-worker-01 request 21594 MiB .* has 21594 MiB .*; 1 MiB too much; lower/,
      ),
    ]);
    expect(judged(String(room), '5951m')).toEqual([
      'error the pods of talos-worker-01 request 5951 millicores, surge included, and it has 5950 (its cores, minus 50 for the system); lower a request or give the machine more cores: npm run homelab -- budget',
    ]);
  });

  test('counts the request of each of its pods', () => {
    expect(judged('10Gi', '1', { replicas: 4 })).toEqual([]);
    expect(judged('10Gi', '1', { replicas: 5 })).toEqual([
      expect.stringMatching(/^error the pods of talos-worker-01 request 30720 MiB/),
    ]);
  });
});
