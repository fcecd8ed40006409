import { leaving } from '../../../checks/step/leaving';
import type { Manifest } from '../../../checks/step/objects';
import type { State } from '../../../checks/step/step';

const OPTIONS = 'argocd.argoproj.io/sync-options';
const annotated = (key: string, value: string) => ({ annotations: { [key]: value } });

interface Edits {
  /** Metadata of the map that leaves. */
  readonly map?: Manifest;
  readonly application?: (object: any) => void;
  /** What happens to the application in the same step. */
  readonly end?: 'stays' | 'deleted' | 'folder empty';
  readonly root?: (object: any) => void;
  readonly namespace?: Manifest;
  /** Whether the namespace leaves in the same step. */
  readonly namespaceGoes?: boolean;
  readonly unread?: boolean;
}

function application(name: string, edit: (object: any) => void = () => undefined): Manifest {
  const object = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name, namespace: 'argocd', finalizers: ['resources-finalizer.argocd.argoproj.io/foreground'] },
    spec: { source: { path: `dist/${name}` }, syncPolicy: { automated: { prune: true }, syncOptions: [] } },
  };
  edit(object);
  return object;
}

/** What happens to a ConfigMap that leaves the folder apps. */
function told({ map, application: edit, end = 'stays', root, namespace, namespaceGoes, unread }: Edits): string {
  const at = (folder: string, object: Manifest) => ({
    folder,
    file: `${folder}/${object.kind}.${object.metadata.name}.yaml`,
    object,
  });
  const rootObject = at('argocd', application('argocd', root));
  const own = unread ? [] : [at('argocd', application('apps', edit))];
  const space = at('platform', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'apps', ...namespace } });
  const platform = [
    at('argocd', application('platform')),
    at('platform', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }),
  ];
  const leaves = at('apps', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'm', namespace: 'apps', ...map },
  });
  const stays = at('apps', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'n', namespace: 'other' } });
  const state = (...objects: State['objects'][number][]): State => ({ objects, secrets: [] });
  const before = state(rootObject, ...own, ...platform, space, leaves, stays);
  const after = state(
    rootObject,
    ...(end === 'deleted' ? [] : own),
    ...platform,
    ...(namespaceGoes ? [] : [space]),
    ...(end === 'stays' ? [stays] : []),
  );
  const { verdict, reason } = leaving({ id: 'm', before: leaves }, { before, after });
  return `${verdict}: ${reason ?? ''}`;
}

test.each<[string, Edits, string]>([
  ['as everything is', {}, 'pruned: '],
  [
    'Prune=false among others',
    { map: annotated(OPTIONS, 'Delete=false, Prune=false') },
    'kept: its options tell Argo CD to keep it',
  ],
  ['Prune=confirm', { map: annotated(OPTIONS, 'Prune=confirm') }, 'kept: Argo CD waits until you confirm'],
  ['Delete=false alone', { map: annotated(OPTIONS, 'Delete=false') }, 'pruned: '],
  ['the policy of Helm', { map: annotated('helm.sh/resource-policy', 'keep') }, 'pruned: '],
  [
    'pruning switched off',
    { application: ({ spec }) => (spec.syncPolicy.automated.prune = false) },
    'kept: its application apps does not prune',
  ],
  [
    'automation switched off',
    { application: ({ spec }) => delete spec.syncPolicy.automated },
    'kept: its application apps does not prune',
  ],
  [
    'Prune=false for the whole application',
    { application: ({ spec }) => spec.syncPolicy.syncOptions.push('Prune=false') },
    'kept: its options tell Argo CD to keep it',
  ],
  [
    'the same, and its own word against it',
    {
      application: ({ spec }) => spec.syncPolicy.syncOptions.push('Prune=false'),
      map: annotated(OPTIONS, 'Prune=true'),
    },
    'pruned: ',
  ],
  ['all of a folder at once', { end: 'folder empty' }, 'kept: its application apps finds no objects any more'],
  ['a folder that nobody read', { unread: true }, 'kept: no Argo CD application read its folder'],
])('leaves Git: %s', (_, edits, expected) => expect(told(edits)).toContain(expected));

test.each<[string, Edits, string]>([
  ['that takes it along', {}, 'pruned: its application apps is deleted with its objects'],
  [
    'although Prune=false',
    { map: annotated(OPTIONS, 'Prune=false') },
    'pruned: its application apps is deleted with its objects',
  ],
  [
    'Delete=false',
    { map: annotated(OPTIONS, 'Delete=false') },
    'kept: its application apps is deleted, and its options tell',
  ],
  ['the policy of Helm', { map: annotated('helm.sh/resource-policy', 'keep') }, 'its options tell Argo CD to keep it'],
  ['Delete=confirm', { map: annotated(OPTIONS, 'Delete=confirm') }, 'kept: the deletion of its application apps waits'],
  [
    'Delete=false for the whole application',
    { application: ({ spec }) => spec.syncPolicy.syncOptions.push('Delete=false') },
    'kept: its application apps is deleted, and its options tell',
  ],
  ['without a finalizer', { application: ({ metadata }) => delete metadata.finalizers }, 'without the finalizer'],
  [
    'that is kept itself',
    { application: ({ metadata }) => (metadata.annotations = { [OPTIONS]: 'Prune=false' }) },
    'kept: its application apps is kept',
  ],
  [
    'whose owner does not prune',
    { root: ({ spec }) => (spec.syncPolicy.automated.prune = false) },
    'kept: its application apps is kept',
  ],
])('its application is deleted: %s', (_, edits, expected) =>
  expect(told({ ...edits, end: 'deleted' })).toContain(expected),
);

test('is deleted with its namespace, whatever its own annotations say', () => {
  const map = annotated(OPTIONS, 'Prune=false,Delete=false');
  expect(told({ map, namespaceGoes: true })).toBe('pruned: its namespace apps is deleted with everything in it');
  expect(told({ map, namespaceGoes: true, namespace: annotated(OPTIONS, 'Prune=false') })).toBe(
    'kept: its options tell Argo CD to keep it',
  );
});
