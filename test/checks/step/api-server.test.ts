import { apiServerChange } from '../../../checks/step/api-server';
import { filled } from '../../../checks/step/api-server/filled';
import { canonicalQuantity } from '../../../checks/step/api-server/quantity';
import { rulesOf } from '../../../checks/step/api-server/rules';
import type { Manifest } from '../../../checks/step/objects';

function deployment(change: (spec: any) => void = () => undefined): Manifest {
  const spec = {
    selector: { matchLabels: { app: 'a' } },
    template: {
      metadata: { labels: { app: 'a' } },
      spec: { containers: [{ name: 'a', image: 'a:1', resources: { limits: { memory: '1Gi' } } }] },
    },
  };
  change(spec);
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a', namespace: 'a' }, spec };
}

function object(apiVersion: string, kind: string, rest: Manifest): Manifest {
  return { apiVersion, kind, metadata: { name: 'a', namespace: 'a' }, ...rest };
}

function verdictOf(before: Manifest, after: Manifest, ...rest: any[]): string {
  return apiServerChange(before, after, ...rest).verdict;
}

describe('what the API server fills in', () => {
  test.each([
    ['replicas', (spec: any) => (spec.replicas = 1)],
    ['a strategy', (spec: any) => (spec.strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } })],
    ['a policy of restarts', (spec: any) => (spec.template.spec.restartPolicy = 'Always')],
    ['false for a flag', (spec: any) => (spec.template.spec.hostNetwork = false)],
    ['an empty list', (spec: any) => (spec.template.spec.tolerations = [])],
    ['a policy of pulls', (spec: any) => (spec.template.spec.containers[0].imagePullPolicy = 'IfNotPresent')],
    ['a quantity in other words', (spec: any) => (spec.template.spec.containers[0].resources.limits.memory = '1024Mi')],
  ])('%s, written into the manifest, changes nothing', (_, change) => {
    expect(verdictOf(deployment(), deployment(change))).toBe('nothing');
    expect(verdictOf(deployment(change), deployment())).toBe('nothing');
  });

  test('a volume without a source gets emptyDir, and another keeps its source', () => {
    const { next } = apiServerChange(
      deployment(),
      deployment((spec) => (spec.template.spec.volumes = [{ emptyDir: { sizeLimit: '16Mi' } }, {}])),
    );
    expect(next.spec.template.spec.volumes).toEqual([{ emptyDir: { sizeLimit: '16Mi' } }, { emptyDir: {} }]);
  });

  test('maxUnavailable of a DaemonSet, only with RollingUpdate', () => {
    const filledIn = (updateStrategy: object) =>
      filled(rulesOf('v1.36.3'), object('apps/v1', 'DaemonSet', { spec: { updateStrategy } })).spec.updateStrategy
        .rollingUpdate.maxUnavailable;
    expect(filledIn({ rollingUpdate: {} })).toBe(1);
    expect(filledIn({ rollingUpdate: { maxSurge: 1 } })).toBe(0);
    expect(filledIn({ type: 'OnDelete', rollingUpdate: {} })).toBe(0);
  });

  test('another order of keys is no change, another order of containers is one', () => {
    const second = { name: 'b', image: 'b:1' };
    const two = deployment((spec) => spec.template.spec.containers.push(second));
    const reversed = deployment((spec) => spec.template.spec.containers.unshift(second));
    const { verdict, next, fields } = apiServerChange(two, reversed);
    expect(verdict).toBe('live');
    expect(next.spec.template.spec.containers.map(({ name }: Manifest) => name)).toEqual(['b', 'a']);
    expect(fields).toEqual([
      expect.objectContaining({ path: 'spec.template.spec.containers', before: ['a', 'b'], after: ['b', 'a'] }),
    ]);
    const keys = deployment((spec) => (spec.template.metadata = { labels: { app: 'a' }, annotations: {} }));
    expect(verdictOf(deployment(), keys)).toBe('nothing');
  });

  test('a default stays when the field that it came from changes', () => {
    const latest = deployment((spec) => (spec.template.spec.containers[0].image = 'a:latest'));
    const { next } = apiServerChange(deployment(), latest);
    expect(next.spec.template.spec.containers[0].imagePullPolicy).toBe('IfNotPresent');
    const closed = object('networking.k8s.io/v1', 'NetworkPolicy', { spec: { podSelector: {} } });
    const open = object('networking.k8s.io/v1', 'NetworkPolicy', { spec: { podSelector: {}, egress: [{}] } });
    expect(apiServerChange(closed, open).next.spec.policyTypes).toEqual(['Ingress']);
  });

  test('a removed service account stays in its deprecated field', () => {
    const named = deployment((spec) => (spec.template.spec.serviceAccountName = 'web'));
    const { verdict, fields } = apiServerChange(named, deployment());
    expect(verdict).toBe('nothing');
    expect(fields).toEqual([
      {
        path: 'spec.template.spec.serviceAccountName',
        before: 'web',
        verdict: 'nothing',
        reason: 'the API server keeps its value',
      },
    ]);
  });
});

test('a field shows the key of its list entry and its effect', () => {
  const { verdict, fields } = apiServerChange(
    deployment(),
    deployment((spec) => {
      spec.template.spec.containers[0].image = 'a:2';
      spec.replicas = 1;
    }),
  );
  expect(verdict).toBe('live');
  expect(fields).toEqual([
    {
      path: 'spec.template.spec.containers[a].image',
      before: 'a:1',
      after: 'a:2',
      verdict: 'live',
      reason: 'the API server updates it in place',
    },
    { path: 'spec.replicas', after: 1, verdict: 'nothing', reason: 'it equals the default of the API server' },
  ]);
});

describe('what the API server rejects', () => {
  const job = (change: (spec: any) => void = () => undefined) => {
    const spec: any = { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a:1' }] } } };
    change(spec);
    return object('batch/v1', 'Job', { spec });
  };
  const volume = (node?: string, path = '/a') => {
    const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }];
    const nodeAffinity = node && { required: { nodeSelectorTerms: terms } };
    return object('v1', 'PersistentVolume', { spec: { local: { path }, ...(nodeAffinity && { nodeAffinity }) } });
  };
  const settings = (immutable: boolean, a: string) => object('v1', 'ConfigMap', { immutable, data: { a } });
  const service = (spec: Manifest) => object('v1', 'Service', { spec: { ports: [{ port: 80 }], ...spec } });
  const budget = (scopes: string[]) => object('v1', 'ResourceQuota', { spec: { hard: { pods: '1' }, scopes } });
  const claims = (storage: string) => [{ metadata: { name: 'data' }, spec: { resources: { requests: { storage } } } }];
  const set = (storage: string, replicas = 1) =>
    object('apps/v1', 'StatefulSet', { spec: { serviceName: 'a', replicas, volumeClaimTemplates: claims(storage) } });

  test.each([
    ['a selector', deployment(), deployment((spec) => (spec.selector.matchLabels.app = 'b')), 'spec.selector'],
    ['a larger disk of a set', set('1Gi'), set('2Gi'), 'spec.volumeClaimTemplates'],
    ['the image of a Job', job(), job((spec) => (spec.template.spec.containers[0].image = 'a:2')), 'spec.template'],
    ['the node of a volume', volume('one'), volume('two'), 'spec.nodeAffinity'],
    ['the path of a volume', volume('one'), volume('one', '/b'), 'spec.local'],
    ['an immutable ConfigMap', settings(true, 'a'), settings(true, 'b'), 'data'],
    ['a Service that becomes headless', service({}), service({ clusterIP: 'None' }), 'spec.clusterIP'],
    [
      'a headless Service that gets a load balancer',
      service({ clusterIP: 'None' }),
      service({ type: 'LoadBalancer' }),
      'spec.clusterIP',
    ],
    ['the scopes of a quota', budget(['Terminating']), budget(['NotTerminating']), 'spec.scopes'],
    [
      'a strategy whose filled-in part stays',
      deployment(),
      deployment((spec) => (spec.strategy = { type: 'Recreate' })),
      'spec.strategy',
    ],
  ])('%s', (_, before, after, path) => {
    const { verdict, way, fields } = apiServerChange(before, after);
    expect({ verdict, ways: way !== undefined }).toEqual({ verdict: 'refused', ways: true });
    expect(fields.filter((field) => field.verdict === 'refused').map((field) => field.path)).toEqual([
      expect.stringContaining(path),
    ]);
  });

  test.each([
    ['the node of a volume, said for the first time', volume(), volume('one')],
    ['a ConfigMap that becomes immutable', settings(false, 'a'), settings(true, 'b')],
    ['more replicas of a set', set('1Gi'), set('1Gi', 3)],
    ['the order of scopes', budget(['BestEffort', 'Terminating']), budget(['Terminating', 'BestEffort'])],
    ['a Service that becomes a name', service({}), service({ type: 'ExternalName', externalName: 'a.example' })],
    [
      'the node of a suspended Job',
      job((spec) => (spec.suspend = true)),
      job((spec) => {
        spec.suspend = true;
        spec.template.spec.nodeSelector = { a: 'b' };
      }),
    ],
  ])('but not %s', (_, before, after) => {
    expect(verdictOf(before, after)).toBe('live');
  });

  test('a claim grows if its class allows it, and never shrinks', () => {
    const claim = (storage: string) =>
      object('v1', 'PersistentVolumeClaim', { spec: { storageClassName: 'a', resources: { requests: { storage } } } });
    const classes = (allowVolumeExpansion: boolean) =>
      new Map([['a', object('storage.k8s.io/v1', 'StorageClass', { allowVolumeExpansion })]]);
    expect(verdictOf(claim('1Gi'), claim('2Gi'), undefined, classes(true))).toBe('live');
    expect(verdictOf(claim('1Gi'), claim('2Gi'), undefined, classes(false))).toBe('refused');
    expect(verdictOf(claim('2Gi'), claim('1Gi'), undefined, classes(true))).toBe('refused');
    expect(verdictOf(claim('1Gi'), claim('1024Mi'), undefined, classes(false))).toBe('nothing');
  });

  test('a list entry without its key', () => {
    const account = (secrets: unknown) => object('v1', 'ServiceAccount', { secrets });
    const { verdict, reason } = apiServerChange(account([{ name: 'a' }]), account([{}]));
    expect(verdict).toBe('refused');
    expect(reason).toContain('without name');
  });

  test('empty parameters of a class that had none, only in old versions', () => {
    const [none, empty] = [{}, { parameters: {} }].map((rest) =>
      object('storage.k8s.io/v1', 'StorageClass', { provisioner: 'a', ...rest }),
    );
    expect(verdictOf(none!, empty!, 'v1.31.4')).toBe('refused');
    expect(verdictOf(none!, empty!, 'v1.36.3')).toBe('nothing');
  });

  test('another health check port, unless the Service no longer needs one', () => {
    const balanced = (spec: object) =>
      object('v1', 'Service', { spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec } });
    const local = (spec: object) => balanced({ externalTrafficPolicy: 'Local', ...spec });
    expect(verdictOf(local({ healthCheckNodePort: 30001 }), local({ healthCheckNodePort: 30002 }))).toBe('refused');
    expect(verdictOf(local({ healthCheckNodePort: 30001 }), local({}))).toBe('nothing');
    expect(verdictOf(local({ healthCheckNodePort: 30001 }), balanced({}))).toBe('live');
    expect(verdictOf(local({}), local({ healthCheckNodePort: 0 }))).toBe('nothing');
  });

  test('two list entries with the same key', () => {
    const twice = [1, 2].map((value) => ({ name: 'A', value: `${value}` }));
    const { verdict, reason } = apiServerChange(
      deployment(),
      deployment((spec) => (spec.template.spec.containers[0].env = twice)),
    );
    expect(verdict).toBe('refused');
    expect(reason).toContain('two entries A');
  });
});

test.each([
  ['1024Mi', '1Gi'],
  ['0.5', '500m'],
  ['1000m', '1'],
  ['1.5Gi', '1536Mi'],
  ['1023Ki', '1023Ki'],
  ['1073741824', '1073741824'],
  ['5000M', '5G'],
  ['1e3', '1e3'],
  ['0Gi', '0'],
  [1, '1'],
  ['no quantity', 'no quantity'],
])('the API server writes %s as %s', (given, stored) => {
  expect(canonicalQuantity(given)).toBe(stored);
});

test.each([
  [undefined, 'v1.36'],
  ['v1.36.3', 'v1.36'],
  ['v1.40.0', 'v1.36'],
  ['v1.33.1', 'v1.31'],
  ['v1.31.4', 'v1.31'],
  ['v1.29.0', 'v1.31'],
])('Kubernetes %s uses the rules of %s', (version, known) => {
  expect(rulesOf(version).kubernetes).toContain(`${known}.`);
});
