import { same } from './json';
import { amountOf } from './quantity';
import { wayOf, type Refusal, type Sides } from './refusal';
import type { KindRules, ServerRules } from './rules';

/** Rules that a table of fields cannot express. @param frozen what the table refuses @returns what the server refuses */
type Transition = (
  frozen: readonly Refusal[],
  sides: Sides,
  differs: (path: string) => boolean,
  kind: KindRules,
) => Refusal[];

/** By group and kind. */
export const transitions: Readonly<Record<string, Transition>> = {
  '/ConfigMap': sealed,
  '/Secret': sealed,
  '/PersistentVolume': (frozen, { live, next }) => {
    if (live.spec.nodeAffinity === undefined || next.spec.nodeAffinity !== undefined) return [...frozen];
    return [
      ...frozen,
      { path: 'spec.nodeAffinity', reason: 'the node affinity of a volume cannot change', way: wayOf(next) },
    ];
  },
  '/PersistentVolumeClaim': claim,
  '/ResourceQuota': (frozen, { live, next }) => {
    const scopes = ({ spec }: Sides['live']) => [...new Set<string>(spec?.scopes ?? [])].sort();
    if (same(scopes(live), scopes(next))) return [...frozen];
    return [...frozen, { path: 'spec.scopes', reason: 'the scopes of a quota cannot change', way: wayOf(next) }];
  },
  '/Service': service,
  'apps/Deployment': (frozen, { next }) => {
    if (next.spec.strategy.type !== 'Recreate' || next.spec.strategy.rollingUpdate === undefined) return [...frozen];
    return [...frozen, left('spec.strategy', 'Recreate', next)];
  },
  'apps/StatefulSet': (frozen, { next }) => {
    const { type, rollingUpdate } = next.spec.updateStrategy;
    if (type !== 'OnDelete' || rollingUpdate === undefined) return [...frozen];
    return [...frozen, left('spec.updateStrategy', 'OnDelete', next)];
  },
  'batch/Job': job,
  'storage.k8s.io/StorageClass': (frozen, sides) => {
    if (frozen.some(({ path }) => path === 'parameters') || !isNewlyEmpty(sides, 'parameters')) return [...frozen];
    return [
      ...frozen,
      { path: 'parameters', reason: 'the parameters of a class cannot change', way: wayOf(sides.next) },
    ];
  },
};

/** Rules of old versions only, with the first minor version that was measured without the rule. */
const GONE: Readonly<Record<string, number>> = { 'storage.k8s.io/StorageClass': 36 };

/** The transitions of a kind in the version of these rules. */
export function transitionOf({ kubernetes }: ServerRules, kind: string): Transition | undefined {
  const minor = Number(/^v1\.(\d+)/.exec(kubernetes)![1]);
  return minor < (GONE[kind] ?? Infinity) ? transitions[kind] : undefined;
}

/** The default for the old strategy has no field manager, so server-side apply does not remove it. */
function left(path: string, type: string, { kind, metadata }: Sides['next']): Refusal {
  const field = path.split('.')[1]!;
  const place = `-n ${metadata.namespace} ${metadata.name}`;
  return {
    path: `${path}.type`,
    reason: `${path}.rollingUpdate, a default of the API server, stays, and ${type} does not allow it`,
    way: `remove it before the sync: kubectl patch ${String(kind).toLowerCase()} ${place} --type=json -p '[{"op":"replace","path":"/spec/${field}","value":{"type":"${type}"}}]'`,
  };
}

function sealed(frozen: readonly Refusal[], sides: Sides, differs: (path: string) => boolean): Refusal[] {
  const { live, next } = sides;
  if (live.immutable !== true) return [...frozen];
  const changed = ['immutable', 'data', 'binaryData'].filter(
    (path) => differs(path) || (live[path] === undefined) !== (next[path] === undefined) || isNewlyEmpty(sides, path),
  );
  const reason = `the ${live.kind} has immutable: true, so it cannot change`;
  return [...frozen, ...changed.map((path) => ({ path, reason, way: wayOf(next) }))];
}

/** The server stores an empty map as none, but sees a difference while it compares. */
function isNewlyEmpty({ live, merged }: Sides, path: string): boolean {
  return live[path] === undefined && merged[path] !== undefined && merged[path] !== null;
}

function claim(frozen: readonly Refusal[], { live, next, classes }: Sides): Refusal[] {
  const path = 'spec.resources.requests.storage';
  const [was, is] = [live, next].map(({ spec }) => amountOf(spec.resources?.requests?.storage));
  const others = ({ spec }: Sides['live']) => {
    const { storage: _, ...requests } = spec.resources?.requests ?? {};
    return { ...spec.resources, requests };
  };
  if (!same(others(live), others(next)))
    return [
      { path: 'spec.resources', reason: 'only the requested storage of a claim can change', way: wayOf(next) },
      ...frozen,
    ];
  if (was === undefined || is === undefined || is === was) return [...frozen];
  if (is < was) return [{ path, reason: 'a claim can grow but not shrink', way: wayOf(next) }, ...frozen];
  const holder = classes?.get(live.spec.storageClassName);
  if (holder === undefined || holder.allowVolumeExpansion === true) return [...frozen];
  const reason = `claims of the StorageClass ${holder.metadata.name} cannot grow: it lacks allowVolumeExpansion: true`;
  return [{ path, reason, way: wayOf(next) }, ...frozen];
}

function service(frozen: readonly Refusal[], { live, next }: Sides): Refusal[] {
  const [was, is] = [live.spec.type, next.spec.type];
  const [checkedWas, checkedIs] = [live.spec.healthCheckNodePort, next.spec.healthCheckNodePort];
  // A Service loses its address with type ExternalName, its class when it is no LoadBalancer, and its health check port when it needs none.
  const kept = frozen.filter(({ path }) => {
    if (path === 'spec.clusterIP') return was !== 'ExternalName' && is !== 'ExternalName';
    if (path === 'spec.healthCheckNodePort') return checkedWas !== undefined && checkedIs !== undefined;
    if (path === 'spec.loadBalancerClass') return was === 'LoadBalancer' && is === 'LoadBalancer';
    return true;
  });
  if (next.spec.clusterIP !== 'None' || !['NodePort', 'LoadBalancer'].includes(is)) return kept;
  const reason = `a headless Service cannot get a cluster IP, and ${is} needs one`;
  return [...kept, { path: 'spec.clusterIP', reason, way: wayOf(next) }];
}

/** A suspended Job can change its scheduling. An indexed Job can change its number of indexes. */
function job(
  frozen: readonly Refusal[],
  { live, next, before, merged }: Sides,
  differs: (path: string) => boolean,
  kind: KindRules,
): Refusal[] {
  const { labels } = before.spec.template.metadata ?? {};
  if (labels && merged.spec.template.metadata?.labels === undefined) {
    const reason = 'removing all labels of the template also removes those that the API server added and requires';
    return [...frozen, { path: 'spec.template.metadata.labels', reason, way: wayOf(next) }];
  }
  const { completionMode, completions, parallelism } = next.spec;
  const elastic =
    completionMode === 'Indexed' &&
    completions === parallelism &&
    completions !== undefined &&
    live.spec.completions !== undefined;
  return frozen.flatMap((refusal) => {
    if (refusal.path === 'spec.completions' && elastic) return [];
    if (refusal.path !== 'spec.template' || live.spec.suspend !== true) return [refusal];
    const open = kind.whileSuspended ?? [];
    return differsBeyond(
      live.spec.template,
      next.spec.template,
      open.map((path) => path.replace('spec.template.', '')),
    ) || !differs('spec.template')
      ? [refusal]
      : [];
  });
}

/** Whether two templates differ outside some fields. */
function differsBeyond(live: unknown, next: unknown, open: readonly string[]): boolean {
  return !same(without(live, open), without(next, open));
}

/** A copy without some fields. A list includes each of its entries. */
function without(value: any, paths: readonly string[], path = ''): any {
  if (Array.isArray(value)) return value.map((entry) => without(entry, paths, path));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, each]) => [key, each, path === '' ? key : `${path}.${key}`] as const)
      .filter(([, , below]) => !paths.includes(below))
      .map(([key, each, below]) => [key, without(each, paths, below)]),
  );
}
