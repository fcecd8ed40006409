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
  test('that does not admit old and new pods at the same time', () => {
    const step = plain(
      [quota({ 'requests.memory': '300Mi' }), deployment('a', '100Mi')],
      [quota({ 'requests.memory': '300Mi' }), deployment('a', '120Mi')],
    );
    // Two new ones and an old one: 2 x 120 + 100.
    expect(told(step)).toEqual(['apps/quota.requests.memory: 300 MiB -> 340 MiB']);
    expect(risks(step)[0]!.problem).toContain('a 200 MiB + the new pod 120 MiB = 320 MiB: the pod is refused');
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

  test('that two thousand rollouts share is computed fast', () => {
    const all = (memory: string, hard: number) => [
      quota({ memory: `${hard}Mi`, pods: 4001 }),
      ...Array.from({ length: 2000 }, (_, n) => deployment(`d${n}`, memory)),
    ];
    const step = plain(all('10Mi', 44000), all('11Mi', 44000));
    // Time of the processor: a wall clock would also count what other programs of the machine take.
    const start = process.cpuUsage();
    expect(told(step)).toEqual(['apps/quota.memory: 44000 MiB -> 44010 MiB']);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(3000);
  });

  test('that is lowered below the current usage', () => {
    const step = plain(
      [quota({ 'limits.memory': '1Gi' }), deployment('a', '100Mi')],
      [quota({ 'limits.memory': '150Mi' }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/quota.limits.memory: 150 MiB -> 200 MiB']);
    expect(risks(step)[0]!.problem).toContain('the last ones are never created');
  });

  test('that is lowered together with the requests, so that new pods do not fit beside the old ones', () => {
    const step = plain(
      [quota({ memory: '600Mi' }), deployment('a', '200Mi')],
      [quota({ memory: '300Mi' }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/quota.memory: 300 MiB -> 500 MiB']);
  });

  test('that admits fewer pods than replicas, and that a Recreate does not exceed', () => {
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

  test('requires every container to set requests', () => {
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

describe('a quota that is lowered together with the requests of a StatefulSet', () => {
  const set = (name: string, memory: string, replicas: number, wave = 0): Manifest => ({
    ...deployment(name, memory, replicas),
    kind: 'StatefulSet',
    metadata: { name, namespace: 'apps', annotations: { 'argocd.argoproj.io/sync-wave': String(wave) } },
    spec: { ...deployment(name, memory, replicas).spec, strategy: undefined },
  });
  const all = (memory: string, hard: string, ...names: readonly string[]) => [
    quota({ memory: hard }),
    ...names.map((name, wave) => set(name, memory, 1, wave)),
  ];

  test('the old pod ends before the new one is created', () => {
    // Two old ones that stay and a new one: 2 x 100 + 90.
    const step = (hard: string) =>
      plain([quota({ memory: '300Mi' }), set('a', '100Mi', 3)], [quota({ memory: hard }), set('a', '90Mi', 3)]);
    expect(told(step('290Mi'))).toEqual([]);
    expect(told(step('280Mi'))).toEqual(['apps/quota.memory: 280 MiB -> 290 MiB']);
    const [risk] = risks(step('280Mi'));
    expect(risk!.problem).toContain(
      'a 200 MiB + the new pod 90 MiB = 290 MiB: the pod is refused, so the rollout stops',
    );
    expect(risk!.way).toEqual([
      'Lower it in 2 equal steps, a commit each, and wait until all pods are new before the next one.',
      'Leave memory of the quota at 300 MiB in this commit, and lower it in the next one, when all pods are new.',
    ]);
    const [growing] = [
      plain([quota({ memory: '300Mi' }), set('a', '90Mi', 3)], [quota({ memory: '300Mi' }), set('a', '100Mi', 3)]),
    ];
    expect(told(growing!)).toEqual([]);
  });

  test('StatefulSets of one wave make room for each other, those of later waves do not', () => {
    const step = plain(all('100Mi', '300Mi', 'a', 'b', 'c'), all('90Mi', '270Mi', 'a', 'b', 'c'));
    expect(told(step)).toEqual([]);
    const application = {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Application',
      metadata: { name: 'apps', namespace: 'argocd' },
      spec: { source: { path: 'dist/apps' } },
    };
    const inWaves = plain(
      [application, ...all('100Mi', '300Mi', 'a', 'b', 'c')],
      [application, ...all('90Mi', '270Mi', 'a', 'b', 'c')],
    );
    expect(told(inWaves)).toEqual(['apps/quota.memory: 270 MiB -> 290 MiB']);
    expect(risks(inWaves)[0]!.problem).toContain('and b, c wait behind it');
  });

  test('Cassandra of the homelab: a reduction by the room of its Job passes, a larger one stops at the first rack', () => {
    const smaller = (mebibytes: number) => {
      const after = stateOf((h) => void (h.databases.cassandra.memory = Size.mebibytes(mebibytes)));
      return { before: base, after, homelab: after.homelab };
    };
    // Two old racks use 256 MiB more each. The 512 MiB that a Job and its predecessor reserve are free, because they do not run.
    expect(told(smaller(5120 - 256))).toEqual([]);
    expect(told(smaller(4608))).toEqual([
      'cassandra/quota.limits.memory: 15488 MiB -> 16000 MiB',
      'cassandra/quota.requests.memory: 15488 MiB -> 16000 MiB',
    ]);
    const [risk] = risks(smaller(4608));
    expect(risk!.problem).toContain(
      'with a new pod of cassandra-r1, cassandra-r2 5504 MiB + cassandra-r3 5504 MiB + the new pod 4992 MiB = 16000 MiB',
    );
    expect(risk!.problem).toContain('cassandra-r2, cassandra-r3 wait behind it');
    expect(risk!.way![0]).toContain('Lower it in 2 equal steps');
  });
});

test.each<[string, Manifest, Manifest, string[]]>([
  ['of pods that end', { scopes: ['Terminating'] }, {}, []],
  ['of pods that go on', { scopes: ['NotTerminating'] }, {}, ['apps/quota.pods: 1 -> 2']],
  ['of pods without requests', { scopes: ['BestEffort'] }, {}, []],
  ['of pods with requests', { scopes: ['NotBestEffort'] }, {}, ['apps/quota.pods: 1 -> 2']],
  [
    'of a priority',
    { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] } },
    { priorityClassName: 'high' },
    ['apps/quota.pods: 1 -> 2'],
  ],
  [
    'of another priority',
    { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] } },
    { priorityClassName: 'low' },
    [],
  ],
])('a quota %s counts only those', (_, scopes, pod, expected) => {
  const scoped = { ...quota({}), spec: { ...scopes, hard: { pods: 1 } } };
  const two = deployment('a', '1Mi');
  Object.assign(two.spec.template.spec, pod);
  expect(told(plain([scoped], [scoped, two]))).toEqual(expected);
});

describe('a LimitRange', () => {
  test('with a maximum and no default sets the maximum as the limit of containers', () => {
    const silent = deployment('a', '1Mi');
    delete silent.spec.template.spec.containers[0].resources;
    const [risk] = risks(plain([], [range({ type: 'Pod', max: { memory: '1Gi' } }), silent]));
    expect(risk!.problem).toContain('the pod has no limit of memory, and at most 1024 MiB are allowed');
    const container = range({ type: 'Container', max: { memory: '64Mi' } });
    expect(told(plain([], [container, silent]))).toEqual([]);
    expect(told(plain([], [container, silent, quota({ memory: '100Mi' })]))).toEqual([
      'apps/quota.memory: 100 MiB -> 128 MiB',
    ]);
  });

  test.each<[string, Manifest]>([
    ['at most', { type: 'Container', max: { memory: '64Mi' } }],
    ['at least', { type: 'Container', min: { memory: '256Mi' } }],
    ['the pod', { type: 'Pod', max: { cpu: '50m' } }],
  ])('rejects pods: %s', (text, limits) => {
    const [risk] = risks(plain([range(limits)], [range(limits), deployment('a', '100Mi')]));
    expect(risk).toMatchObject({ what: 'apps/a.limits', verdict: 'limit' });
    expect(risk!.problem).toContain(text);
  });

  test('that gets stricter applies to existing pods', () => {
    const step = plain(
      [range({ type: 'Container', max: { memory: '1Gi' } }), deployment('a', '100Mi')],
      [range({ type: 'Container', max: { memory: '64Mi' } }), deployment('a', '100Mi')],
    );
    expect(told(step)).toEqual(['apps/a.limits: admitted -> refused']);
  });
});

describe('the room of a node', () => {
  test('counts old and new pods at the same time', () => {
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
])('%s reaches no limit', (_, step) => expect(told({ ...step, homelab: base.homelab })).toEqual([]));
