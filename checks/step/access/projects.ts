import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import { listed, stable } from './view';

/** AppProjects by which Argo CD may do more. */
export function projectRisks(pairs: readonly Pair[]): Risk[] {
  return pairs.flatMap(({ id, before, after }) => {
    if (after?.object.kind !== 'AppProject') return [];
    const old = before ? permissions(before.object) : [];
    const fresh = permissions(after.object).filter(
      (now) => !old.some((then) => then.every((pattern, index) => covers(pattern, now[index]!))),
    );
    // Every new project permits something; only one that permits everything is reported.
    const told = before ? fresh : fresh.filter((each) => each.slice(1).some((part) => part === '*'));
    const lifted = before ? withoutAll(barriers(before.object), barriers(after.object)) : [];
    if (told.length + lifted.length === 0) return [];
    const texts = [...told.map(text), ...lifted];
    const { name } = after.object.metadata;
    return [
      {
        verdict: 'access',
        what: `${name}.project`,
        objects: [id],
        path: 'spec',
        from: 'not permitted',
        to: listed(texts),
        problem: `With the project ${name}, everyone who can push to its repository may newly use ${listed(texts)}.`,
      },
    ];
  });
}

/** What a project permits, as a kind of permission and its patterns. */
function permissions({ spec }: Manifest): string[][] {
  const kinds = (what: string, list: readonly Manifest[] | undefined) =>
    (list ?? []).map(({ group = '', kind }) => [what, group, kind] as string[]);
  return [
    ...(spec.sourceRepos ?? []).map((repository: string) => ['the source', repository]),
    ...(spec.sourceNamespaces ?? []).map((namespace: string) => ['applications of the namespace', namespace]),
    ...(spec.destinations ?? []).map(({ server = '', name = '', namespace = '' }: Manifest) => [
      'the destination',
      server || name,
      namespace,
    ]),
    ...kinds('the cluster-wide kind', spec.clusterResourceWhitelist),
    // Without a list, every namespaced kind is permitted.
    ...kinds('the kind', spec.namespaceResourceWhitelist ?? [{ group: '*', kind: '*' }]),
    ...(spec.roles ?? []).flatMap(({ name, policies = [] }: Manifest) =>
      policies
        .filter((policy: string) => !policy.endsWith('deny'))
        .map((policy: string) => [`the role ${name}`, policy]),
    ),
  ];
}

/** Kinds and namespaces that a project forbids. */
function barriers({ spec }: Manifest): string[] {
  return [
    ...(spec.clusterResourceBlacklist ?? []).map((each: Manifest) => `the kind ${each.group}/${each.kind}`),
    ...(spec.namespaceResourceBlacklist ?? []).map((each: Manifest) => `the kind ${each.group}/${each.kind}`),
    ...(spec.syncWindows ?? []).map((each: Manifest) => `times outside of the sync window ${stable(each)}`),
    ...(spec.signatureKeys ?? []).map((each: Manifest) => `commits without the signature ${each.keyID}`),
  ];
}

function withoutAll(all: readonly string[], others: readonly string[]): string[] {
  return all.filter((each) => !others.includes(each));
}

function text([what = '', ...parts]: readonly string[]): string {
  return `${what} ${parts.filter((part) => part !== '').join('/')}`;
}

/** Compares like Argo CD: * matches any characters. */
function covers(pattern: string, value: string): boolean {
  if (!pattern.includes('*')) return pattern === value;
  const literal = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`).test(value);
}
