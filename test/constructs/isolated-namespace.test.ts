import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { IsolatedNamespace, type IsolatedNamespaceProps } from '../../constructs/isolated-namespace';
import { chartIn, objectOf, objects, yamlOf } from './render';

function rendered(props: IsolatedNamespaceProps = {}) {
  const chart = chartIn('platform');
  new IsolatedNamespace(chart, 'services', props);
  return chart;
}

test('requires restricted pods, or a reason for another level', () => {
  expect(objectOf(rendered(), 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  expect(() => rendered({ podSecurity: 'privileged' })).toThrow(
    'platform/services: a namespace with Pod Security level privileged must give a reason',
  );
});

test('denies all traffic except DNS', () => {
  const { spec } = objectOf(rendered(), 'NetworkPolicy');
  expect(spec).toMatchObject({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  expect(spec.ingress).toBeUndefined();
  expect(spec.egress).toEqual([
    {
      to: [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
          podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
        },
      ],
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    },
  ]);
});

test('writes the reason for another level than restricted as an annotation', () => {
  const { metadata } = objectOf(rendered({ podSecurity: 'baseline', podSecurityReason: 'host ports' }), 'Namespace');
  expect(metadata.annotations).toEqual({ 'collab-homelab/pod-security-reason': 'host ports' });
  for (const mode of ['enforce', 'audit', 'warn'])
    expect(metadata.labels[`pod-security.kubernetes.io/${mode}`]).toBe('baseline');
  expect(objectOf(rendered(), 'Namespace').metadata).not.toHaveProperty('annotations');
});

test.each<[string, IsolatedNamespaceProps['containerDefault'], string, string]>([
  ['little', undefined, '64Mi', '10m'],
  ['what is given', { memory: Size.gibibytes(1), cpu: Cpu.millis(250) }, '1Gi', '250m'],
])('a container without resources gets %s', (_, containerDefault, memory, cpu) => {
  expect(objectOf(rendered({ containerDefault }), 'LimitRange').spec).toEqual({
    limits: [{ type: 'Container', default: { memory }, defaultRequest: { cpu, memory } }],
  });
});

test('rejects impossible defaults of containers', () => {
  const containerDefault = { memory: Size.gibibytes(NaN), cpu: Cpu.millis(10) };
  expect(() => rendered({ containerDefault })).toThrow('platform/services: containerDefault.memory must be a Size');
});

test('the quota limits the requests of all pods, and their memory limits', () => {
  const quota = { memory: Size.mebibytes(1536), cpu: Cpu.millis(1500), pods: 4 };
  const hard = { 'requests.memory': '1536Mi', 'limits.memory': '1536Mi', 'requests.cpu': '1500m', pods: 4 };
  expect(objectOf(rendered({ quota }), 'ResourceQuota').spec).toEqual({ hard });
  expect(objectOf(rendered({ quota: () => quota }), 'ResourceQuota').spec).toEqual({ hard });
  expect(objects(rendered()).map(({ kind }) => kind)).not.toContain('ResourceQuota');
});

test('name sets another name than that of the construct', () => {
  expect(objects(rendered({ name: 'other' })).map(({ metadata }) => metadata.namespace ?? metadata.name)).toEqual(
    Array(3).fill('other'),
  );
});

test('a namespace that holds data, its policy, limits and quota are never pruned', () => {
  const chart = rendered({ keep: true, quota: { memory: Size.gibibytes(1), cpu: Cpu.units(1), pods: 3 } });
  for (const object of objects(chart)) {
    expect(object.metadata.annotations['argocd.argoproj.io/sync-options']).toBe('Prune=false,Delete=false');
  }
});

test('a namespace is in no namespace, though the chart has one', () => {
  expect(objectOf(rendered(), 'Namespace').metadata).not.toHaveProperty('namespace');
});

test('renders no LimitRange with containerDefault: false', () => {
  expect(objects(rendered({ containerDefault: false })).map((object) => object.kind)).not.toContain('LimitRange');
});

test('renders a namespace with a quota', () => {
  expect(
    yamlOf(rendered({ quota: { memory: Size.mebibytes(1536), cpu: Cpu.millis(1500), pods: 4 } })),
  ).toMatchSnapshot();
});
