import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { IsolatedNamespace, type IsolatedNamespaceProps } from '../../constructs/isolated-namespace';
import { chartIn, objectOf, objects, yamlOf } from './render';

function rendered(props: IsolatedNamespaceProps = {}) {
  const chart = chartIn('platform');
  new IsolatedNamespace(chart, 'services', props);
  return chart;
}

test('pods must be restricted unless someone says why not', () => {
  expect(objectOf(rendered(), 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  expect(() => rendered({ podSecurity: 'privileged' })).toThrow(
    'platform/services: a namespace with Pod Security level privileged must say why',
  );
});

test('nothing may talk in either direction but to DNS', () => {
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

test('the reason for more than restricted pods stands on the namespace', () => {
  const { metadata } = objectOf(rendered({ podSecurity: 'baseline', podSecurityReason: 'host ports' }), 'Namespace');
  expect(metadata.annotations).toEqual({ 'collab-homelab/pod-security-reason': 'host ports' });
  for (const mode of ['enforce', 'audit', 'warn'])
    expect(metadata.labels[`pod-security.kubernetes.io/${mode}`]).toBe('baseline');
  expect(objectOf(rendered(), 'Namespace').metadata).not.toHaveProperty('annotations');
});

test.each<[string, IsolatedNamespaceProps['containerDefault'], string, string]>([
  ['little', undefined, '64Mi', '10m'],
  ['what is given', { memory: Size.gibibytes(1), cpu: Cpu.millis(250) }, '1Gi', '250m'],
])('a container that asks for nothing gets %s', (_, containerDefault, memory, cpu) => {
  expect(objectOf(rendered({ containerDefault }), 'LimitRange').spec).toEqual({
    limits: [{ type: 'Container', default: { memory }, defaultRequest: { cpu, memory } }],
  });
});

test('what no container can get is refused', () => {
  const containerDefault = { memory: Size.gibibytes(NaN), cpu: Cpu.millis(10) };
  expect(() => rendered({ containerDefault })).toThrow('platform/services: containerDefault.memory must be a Size');
});

test('pods may ask together for the quota, and for no more memory than that in their limits', () => {
  const quota = { memory: Size.mebibytes(1536), cpu: Cpu.millis(1500), pods: 4 };
  const hard = { 'requests.memory': '1536Mi', 'limits.memory': '1536Mi', 'requests.cpu': '1500m', pods: 4 };
  expect(objectOf(rendered({ quota }), 'ResourceQuota').spec).toEqual({ hard });
  expect(objectOf(rendered({ quota: () => quota }), 'ResourceQuota').spec).toEqual({ hard });
  expect(objects(rendered()).map(({ kind }) => kind)).not.toContain('ResourceQuota');
});

test('a namespace has another name than its construct where one is given', () => {
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

test('limits can be left to those who know: no LimitRange', () => {
  expect(objects(rendered({ containerDefault: false })).map((object) => object.kind)).not.toContain('LimitRange');
});

test('a namespace with a quota, as it is rendered', () => {
  expect(
    yamlOf(rendered({ quota: { memory: Size.mebibytes(1536), cpu: Cpu.millis(1500), pods: 4 } })),
  ).toMatchSnapshot();
});
