import { Size } from 'cdk8s';
import { limitRisks } from '../../../checks/step/limits';
import type { Manifest } from '../../../checks/step/objects';
import { pairs, type Step } from '../../../checks/step/step';
import { edited, plain, stateOf } from './states';

const base = stateOf();
const risks = (step: Step) => limitRisks(step, pairs(step));
/** As "apps/quota.pods: 3 -> 4". */
const told = (step: Step) => risks(step).map(({ what, from, to }) => `${what}: ${from} -> ${to}`);

function deployment(
  name: string,
  memory: string,
  replicas = 2,
  strategy: Manifest = { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
): Manifest {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'apps' },
    spec: {
      replicas,
      strategy,
      template: {
        metadata: { labels: { name } },
        spec: { containers: [{ name: 'main', resources: { requests: { memory, cpu: '100m' }, limits: { memory } } }] },
      },
    },
  };
}
const quota = (hard: Manifest): Manifest => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'quota', namespace: 'apps' },
  spec: { hard },
});
const range = (...limits: readonly Manifest[]): Manifest => ({
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'range', namespace: 'apps' },
  spec: { limits },
});

describe('a quota', () => {
  test('that does not admit old and new pods at once', () => {
    const step = plain(
      [quota({ 'requests.memory': '300Mi' }), deployment('a', '100Mi')],
      [quota({ 'requests.memory': '300Mi' }), deployment('a', '120Mi')],
    );
    // Two new ones and an old one: 2 x 120 + 100.
    expect(told(step)).toEqual(['apps/quota.requests.memory: 300 MiB -> 340 MiB']);
    expect(risks(step)[0]!.problem).toContain('a 340 MiB = 340 MiB: new pods are refused until others end');
    const room = plain(
      [quota({ 'requests.memory': '340Mi' }), deployment('a', '100Mi')],
      [quota({ 'requests.memory': '340Mi' }), deployment('a', '120Mi')],
    );
    expect(told(room)).toEqual([]);
  });

  test('that several rollouts share', () => {
    const all = (memory: string) => [quota({ memory: '500Mi' }), deployment('a', memory), deployment('b', memory)];
    const [risk] = risks(plain(all('100Mi'), all('101Mi')));
    expect(risk!.problem).toContain('rollouts of a, b wait for each other');
  });

  test('that falls below what runs', () => {
    const step = plain(
      [quota({ 'limits.memory': '1Gi' }), deployment('a', '100Mi')],
      [quota({ 'limits.memory': '150Mi' }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/quota.limits.memory: 150 MiB -> 200 MiB']);
    expect(risks(step)[0]!.problem).toContain('the last pods are never made');
  });

  test('that falls with the requests, so that new pods do not fit beside the old ones', () => {
    const step = plain(
      [quota({ memory: '600Mi' }), deployment('a', '200Mi')],
      [quota({ memory: '300Mi' }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/quota.memory: 300 MiB -> 500 MiB']);
  });

  test('that admits fewer pods than replicas, and is not met by a Recreate', () => {
    const pods = (replicas: number, strategy?: Manifest) => [
      quota({ pods: 2 }),
      deployment('a', '1Mi', replicas, strategy),
    ];
    expect(told(plain(pods(2), pods(3)))).toEqual(['apps/quota.pods: 2 -> 3']);
    expect(
      told(plain([quota({ pods: 2 }), deployment('a', '1Mi')], [quota({ pods: 2 }), deployment('a', '2Mi')])),
    ).toEqual(['apps/quota.pods: 2 -> 3']);
    const recreate = { type: 'Recreate' };
    expect(
      told(
        plain(
          [quota({ pods: 2 }), deployment('a', '1Mi', 2, recreate)],
          [quota({ pods: 2 }), deployment('a', '2Mi', 2, recreate)],
        ),
      ),
    ).toEqual([]);
  });

  test('of objects, claims and node ports', () => {
    const claim = (name: string, storage: string): Manifest => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'apps' },
      spec: { storageClassName: 'local', resources: { requests: { storage } } },
    });
    const service: Manifest = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'apps' },
      spec: { type: 'NodePort', ports: [{ port: 1 }] },
    };
    const hard = {
      persistentvolumeclaims: 1,
      'requests.storage': '10Gi',
      'local.storageclass.storage.k8s.io/requests.storage': '20Gi',
      'services.nodeports': 0,
      'count/deployments.apps': 1,
    };
    expect(
      told(
        plain(
          [quota(hard), claim('a', '5Gi')],
          [quota(hard), claim('a', '5Gi'), claim('b', '6Gi'), service, deployment('a', '1Mi')],
        ),
      ),
    ).toEqual([
      'apps/quota.persistentvolumeclaims: 1 -> 2',
      'apps/quota.requests.storage: 10240 MiB -> 11264 MiB',
      'apps/quota.services.nodeports: 0 -> 1',
    ]);
  });

  test('makes every container say what it takes', () => {
    const silent = deployment('a', '1Mi');
    delete silent.spec.template.spec.containers[0].resources;
    expect(told(plain([quota({ 'limits.memory': '1Gi' })], [quota({ 'limits.memory': '1Gi' }), silent]))).toEqual([
      'apps/a.limits: admitted -> refused',
    ]);
    const filled = range({ type: 'Container', default: { memory: '64Mi' } });
    expect(
      told(plain([quota({ 'limits.memory': '1Gi' })], [quota({ 'limits.memory': '1Gi' }), filled, silent])),
    ).toEqual([]);
    // Two of them, with the default of the namespace.
    expect(told(plain([quota({ memory: '100Mi' })], [quota({ memory: '100Mi' }), filled, silent]))).toEqual([
      'apps/quota.memory: 100 MiB -> 128 MiB',
    ]);
  });
});

describe('a LimitRange', () => {
  test.each<[string, Manifest]>([
    ['at most', { type: 'Container', max: { memory: '64Mi' } }],
    ['at least', { type: 'Container', min: { memory: '256Mi' } }],
    ['the pod', { type: 'Pod', max: { cpu: '50m' } }],
  ])('refuses pods: %s', (text, limits) => {
    const [risk] = risks(plain([range(limits)], [range(limits), deployment('a', '100Mi')]));
    expect(risk).toMatchObject({ what: 'apps/a.limits', verdict: 'limit' });
    expect(risk!.problem).toContain(text);
  });

  test('that gets tighter counts for what is there', () => {
    const step = plain(
      [range({ type: 'Container', max: { memory: '1Gi' } }), deployment('a', '100Mi')],
      [range({ type: 'Container', max: { memory: '64Mi' } }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/a.limits: admitted -> refused']);
  });
});

describe('the room of a node', () => {
  test('with old pods and new ones at once', () => {
    const before = stateOf((h) => void (h.machines['talos-worker-01'].memory = Size.gibibytes(24)));
    const after = stateOf((h) => {
      h.machines['talos-worker-01'].memory = Size.gibibytes(20);
      h.databases.cassandra.memory = Size.gibibytes(4);
    });
    const big = stateOf((h) => {
      h.machines['talos-worker-01'].memory = Size.gibibytes(24);
      h.databases.cassandra.memory = Size.gibibytes(6);
    });
    const step = { before: big, after, homelab: after.homelab };
    const found = risks(step).filter(({ what }) => what === 'talos-worker-01.memory');
    expect(found).toHaveLength(1);
    expect(found[0]!.problem).toMatch(
      /has room for \d+ MiB of memory; .*cassandra\/cassandra-r1 .* in the end\): new pods wait/,
    );
    expect(risks({ before, after: before, homelab: before.homelab })).toEqual([]);
    const { homelab: _, ...without } = step;
    expect(risks(without).filter(({ what }) => what.startsWith('talos'))).toEqual([]);
  });
});

test.each<[string, Step]>([
  ['nothing', { before: base, after: stateOf() }],
  ['a new service', { before: base, after: stateOf((h) => void (h.services.billing = { connects: [] })) }],
  [
    'a new connection',
    { before: base, after: stateOf((h) => void h.services.chat.connects.push({ service: 'identity' })) },
  ],
  ['more replicas', { before: base, after: stateOf((h) => void (h.services.chat.replicas = 2)) }],
  [
    'an image of one service',
    edited(
      base,
      (o) =>
        void (
          o.kind === 'Deployment' &&
          o.metadata.name === 'chat' &&
          (o.spec.template.spec.containers[0].image = 'x:2')
        ),
    ),
  ],
  [
    'an image of every service',
    edited(base, (o) => void (o.kind === 'Deployment' && (o.spec.template.spec.containers[0].image = 'x:2'))),
  ],
  ['a label on each ConfigMap', edited(base, (o) => void (o.kind === 'ConfigMap' && (o.metadata.labels = { a: 'b' })))],
  ['a service that goes', edited(base, (o) => !(o.metadata.name === 'chat' && o.metadata.namespace === 'services'))],
  ['a larger quota', edited(base, (o) => void (o.kind === 'ResourceQuota' && (o.spec.hard.pods = 100)))],
  [
    'a database of another size',
    { before: base, after: stateOf((h) => void (h.databases.mongodb.memory = Size.gibibytes(3))) },
  ],
])('%s meets no limit', (_, step) => expect(told({ ...step, homelab: base.homelab })).toEqual([]));
