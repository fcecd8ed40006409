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
  expect(spec.egress[0].to[0].podSelector.matchLabels).toEqual({ 'k8s-app': 'kube-dns' });
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
