import { parse } from 'yaml';
import { groupOf } from '../../../constructs';
import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';

interface Filter {
  readonly apiGroups?: readonly string[];
  readonly kinds?: readonly string[];
  readonly clusters?: readonly string[];
}

/** Objects of kinds that Argo CD is configured to exclude: it ignores them without an error, and shows synced. */
export function exclusionRisks({ before, after }: Step, pairs: readonly Pair[]): Risk[] {
  const [was, is] = [filterOf(before), filterOf(after)];
  if (is === undefined) return [];
  return pairs.flatMap(({ id, before: old, after: now }): Risk[] => {
    if (!now || !is.drops(now.object) || (old && was?.drops(old.object))) return [];
    const { kind, metadata } = now.object;
    return [
      {
        verdict: 'not-deployed',
        what: `${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}.excluded`,
        objects: [id],
        from: old ? 'deployed' : 'no such object',
        to: 'excluded by Argo CD',
        problem: `argocd-cm excludes every ${kind} (resource.exclusions): ${metadata.name} is ${old ? 'no longer managed' : 'never created'}, but its application shows synced.`,
      },
    ];
  });
}

function filterOf({ objects }: State): { drops(object: Manifest): boolean } | undefined {
  const settings = objects.find(({ object }) => object.kind === 'ConfigMap' && object.metadata.name === 'argocd-cm');
  if (!settings) return undefined;
  const { data = {} } = settings.object;
  const exclusions = list(data['resource.exclusions']);
  const inclusions = list(data['resource.inclusions']);
  return {
    drops: (object) =>
      exclusions.some((each) => names(each, object)) ||
      (inclusions.length > 0 && !inclusions.some((each) => names(each, object))),
  };
}

function list(text: unknown): readonly Filter[] {
  const value: unknown = typeof text === 'string' ? parse(text) : [];
  return Array.isArray(value) ? (value as Filter[]) : [];
}

/** A missing list matches everything. */
function names({ apiGroups = ['*'], kinds = ['*'] }: Filter, { apiVersion, kind }: Manifest): boolean {
  const group = groupOf(apiVersion);
  const fits = (patterns: readonly string[], text: string) =>
    patterns.some((pattern) => pattern === text || (pattern.includes('*') && glob(pattern).test(text)));
  return fits(apiGroups, group) && fits(kinds, kind);
}

function glob(pattern: string): RegExp {
  const literal = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`);
}
