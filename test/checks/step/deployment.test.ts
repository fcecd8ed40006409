import { deploymentRisks } from '../../../checks/step/deployment';
import { pairs, type Step } from '../../../checks/step/step';
import { edited, stateOf } from './states';

const base = stateOf();

/** As "chat.folder data". */
function told(step: Step): string[] {
  return deploymentRisks(step, pairs(step)).map(({ what, verdict }) => `${what} ${verdict}`);
}

const is = (object: any, kind: string, name: string) => object.kind === kind && object.metadata.name === name;
const application = (name: string, edit: (object: any) => unknown) =>
  edited(base, (object) => (is(object, 'Application', name) ? edit(object) : undefined));

describe('an Application', () => {
  test.each<[string, (spec: any) => void, string]>([
    [
      'another repository',
      (spec) => (spec.source.repoURL = 'https://example.org/x.git'),
      'services.spec.source.repoURL not-deployed',
    ],
    [
      'another revision',
      (spec) => (spec.source.targetRevision = 'old'),
      'services.spec.source.targetRevision not-deployed',
    ],
    ['another cluster', (spec) => (spec.destination.server = 'https://other'), 'services.spec.destination.server data'],
    ['a project that is not there', (spec) => (spec.project = 'other'), 'services.spec.project not-deployed'],
    ['no automation', (spec) => delete spec.syncPolicy.automated, 'services.spec.syncPolicy.automated not-deployed'],
    [
      'automation switched off',
      (spec) => (spec.syncPolicy.automated.enabled = false),
      'services.spec.syncPolicy.automated not-deployed',
    ],
    [
      'no pruning',
      (spec) => (spec.syncPolicy.automated.prune = false),
      'services.spec.syncPolicy.automated.prune not-deployed',
    ],
    [
      'no healing',
      (spec) => (spec.syncPolicy.automated.selfHeal = false),
      'services.spec.syncPolicy.automated.selfHeal not-deployed',
    ],
    [
      'apply by the client',
      (spec) => (spec.syncPolicy.syncOptions = []),
      'services.spec.syncPolicy.syncOptions not-deployed',
    ],
    [
      'replacement',
      (spec) => spec.syncPolicy.syncOptions.push('Replace=true'),
      'services.spec.syncPolicy.syncOptions data',
    ],
    [
      'Prune=false',
      (spec) => spec.syncPolicy.syncOptions.push('Prune=false'),
      'services.spec.syncPolicy.syncOptions not-deployed',
    ],
  ])('with %s', (_, edit, expected) =>
    expect(told(application('services', ({ spec }) => void edit(spec)))).toEqual([expected]),
  );

  test('with another folder orphans its old folder', () =>
    expect(told(application('llm', ({ spec }) => void (spec.source.path = 'dist/other')))).toEqual([
      'llm.spec.source.path not-deployed',
      expect.stringMatching(/^llm\.\S+ not-deployed$/),
    ]));

  test('that is deleted with a namespace in it is a data risk', () => {
    const step = edited(base, (object) => {
      if (!is(object, 'Application', 'platform')) return;
      delete object.metadata.annotations;
      object.metadata.finalizers = ['resources-finalizer.argocd.argoproj.io'];
    });
    const gone = application('platform', () => false);
    expect(told({ before: step.after, after: gone.after })).toContain('platform.application data');
    expect(told(gone)).not.toContain('platform.application data');
  });
});

describe('never deployed', () => {
  test('a kind or a namespace that the project does not permit, a folder without an application', () => {
    const map = (namespace: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace } });
    const thing = { apiVersion: 'x.io/v1', kind: 'Thing', metadata: { name: 'x', namespace: 'services' } };
    const add = (object: any, folder?: string) => told(edited(base, () => undefined, [object], folder));
    expect(add(map('services'))).toEqual([]);
    expect(add(map('kube-system'))).toEqual(['services.x not-deployed']);
    expect(add(thing)).toEqual(['services.x not-deployed']);
    expect(add(map('services'), 'extra')).toEqual(['extra.x not-deployed']);
  });

  test('a kind that argocd-cm excludes', () => {
    const slices = '- apiGroups: [discovery.k8s.io]\n  kinds: [EndpointSlice]\n';
    const step = edited(
      base,
      (object) => void (is(object, 'ConfigMap', 'argocd-cm') && (object.data['resource.exclusions'] += slices)),
    );
    expect(told(step)).toEqual([expect.stringMatching(/\.excluded not-deployed$/)]);
    expect(told({ before: step.after, after: step.after })).toEqual([]);
  });
});

test('an API version that the next Kubernetes removes', () => {
  const flow = (apiVersion: string) => ({ apiVersion, kind: 'FlowSchema', metadata: { name: 'own' } });
  const at = (kubernetes: string) => new Map([['versions.yaml', `kubernetes: ${kubernetes}\n`]]);
  const risks = (from: string, to: string, version = 'flowcontrol.apiserver.k8s.io/v1beta3') => {
    const { before, after } = edited(base, () => undefined, [flow(version)]);
    const step = { before: { ...before, machines: at(from) }, after: { ...after, machines: at(to) } };
    return told(step).filter((each) => each.startsWith('own.apiVersion'));
  };
  expect(risks('v1.31.9', 'v1.32.0')).toEqual(['own.apiVersion not-deployed']);
  expect(risks('v1.32.0', 'v1.33.0')).toEqual([]);
  expect(risks('v1.31.1', 'v1.31.9')).toEqual([]);
  expect(risks('v1.31.9', 'v1.32.0', 'flowcontrol.apiserver.k8s.io/v1')).toEqual([]);
});

describe('order', () => {
  const wave = (object: any, value: string) =>
    (object.metadata.annotations = { ...object.metadata.annotations, 'argocd.argoproj.io/sync-wave': value });
  test('a database that no longer starts before its clients', () => {
    const step = application('cassandra', (object) => void wave(object, '3'));
    expect(told(step)).toEqual([
      'cassandra/cassandra-r1.wave not-deployed',
      'cassandra/cassandra-r2.wave not-deployed',
      'cassandra/cassandra-r3.wave not-deployed',
    ]);
    expect(told(application('cassandra', (object) => void wave(object, '0')))).toEqual([]);
  });
});

describe('another folder', () => {
  const move = (kind: string, name: string, edit: (object: any) => void = () => undefined): Step => {
    const before = edited(base, (object) => void (is(object, kind, name) && edit(object))).after;
    const objects = before.objects.map((each) =>
      is(each.object, kind, name) ? { ...each, folder: 'llm', file: `llm/${kind}.yaml` } : each,
    );
    return { before, after: { ...before, objects } };
  };
  test('may delete an object with its content during the move', () => {
    expect(told(move('Service', 'chat'))).toEqual(['chat.folder not-deployed']);
    expect(told(move('Namespace', 'web'))).toEqual(['web.folder data']);
    const keep = (object: any) => (object.metadata.annotations = { 'argocd.argoproj.io/sync-options': 'Prune=false' });
    expect(told(move('Service', 'chat', (object) => void keep(object)))).toEqual([]);
    // Argo CD ignores this option when it prunes.
    const helm = (object: any) => (object.metadata.annotations = { 'helm.sh/resource-policy': 'keep' });
    expect(told(move('Service', 'chat', (object) => void helm(object)))).toEqual(['chat.folder not-deployed']);
  });

  test('of a deleted application: only Delete=false keeps the object', () => {
    const gone = (options?: string) => {
      const step = move('Service', 'chat', (object) => {
        if (options) object.metadata.annotations = { 'argocd.argoproj.io/sync-options': options };
      });
      const objects = step.after.objects.filter(({ object }) => !is(object, 'Application', 'services'));
      return told({ before: step.before, after: { ...step.after, objects } }).filter((each) => /folder/.test(each));
    };
    expect(gone()).toEqual(['chat.folder not-deployed']);
    expect(gone('Prune=false')).toEqual(['chat.folder not-deployed']);
    expect(gone('Prune=false,Delete=false')).toEqual([]);
  });
  test('with an empty old folder deletes nothing', () => {
    const step = move('Service', 'chat');
    const objects = step.after.objects.filter(({ folder }) => folder !== 'services');
    expect(told({ before: step.before, after: { ...step.after, objects } })).not.toContain('chat.folder not-deployed');
  });
});

test.each<[string, Step]>([
  ['nothing', { before: base, after: stateOf() }],
  ['a new service', { before: base, after: stateOf((h) => void (h.services.billing = { connects: [] })) }],
  ['more replicas', { before: base, after: stateOf((h) => void (h.services.chat.replicas = 3)) }],
  [
    'a label on each Application',
    edited(base, (o) => void (o.kind === 'Application' && (o.metadata.labels = { a: 'b' }))),
  ],
  ['another retry', application('services', ({ spec }) => void (spec.syncPolicy.retry.limit = 3))],
  [
    'one more sync option',
    application('services', ({ spec }) => void spec.syncPolicy.syncOptions.push('PruneLast=true')),
  ],
  [
    'another file name',
    { before: base, after: { ...base, objects: base.objects.map((each) => ({ ...each, file: `${each.file}.yaml` })) } },
  ],
  [
    'an annotation on each hook with other changes',
    edited(base, (o) => void (o.metadata.annotations = { ...o.metadata.annotations, a: 'b' })),
  ],
  ['a service that goes', edited(base, (o) => !(o.metadata.name === 'chat' && o.metadata.namespace === 'services'))],
  ['a wider project', edited(base, (o) => void (o.kind === 'AppProject' && o.spec.sourceRepos.push('x')))],
])('%s is no risk', (_, step) => expect(told(step)).toEqual([]));
