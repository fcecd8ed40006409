import { isClusterScoped, podSpecOf } from '../../../constructs';
import type { Manifest } from '../objects';
import type { Pair, Step } from '../step';

/** Input for the limits of one namespace; the state after the step unless named otherwise. */
export interface Namespace {
  readonly name: string;
  /** Workloads, before and after. */
  readonly workloads: readonly Pair[];
  readonly objects: readonly Manifest[];
  /** Objects before, by id. */
  readonly before: ReadonlyMap<string, Manifest>;
  readonly quotas: readonly Manifest[];
  readonly ranges: readonly Manifest[];
  readonly scalers: readonly Manifest[];
  /** Number of secrets in secrets.yaml for this namespace. */
  readonly secrets: number;
  /** Ids of its changed objects that limits count. */
  readonly changed: ReadonlySet<string>;
}

/** Namespaces with a change that a limit counts. */
export function touchedNamespaces({ after }: Step, pairs: readonly Pair[]): Namespace[] {
  const byName = new Map<string, Pair[]>();
  for (const pair of pairs) {
    const { kind, metadata } = (pair.after ?? pair.before)!.object;
    if (isClusterScoped(kind)) continue;
    const list = byName.get(metadata.namespace ?? 'default');
    if (list) list.push(pair);
    else byName.set(metadata.namespace ?? 'default', [pair]);
  }
  const secrets = new Map<string, number>();
  for (const { metadata } of after.secrets) secrets.set(metadata.namespace, (secrets.get(metadata.namespace) ?? 0) + 1);
  return [...byName]
    .filter(([, all]) => all.some((pair) => isKind(pair, 'ResourceQuota') || isKind(pair, 'LimitRange')))
    .map(([name, all]) => namespaceOf(name, all, secrets.get(name) ?? 0))
    .filter(({ changed }) => changed.size > 0);
}

function isKind({ before, after }: Pair, kind: string): boolean {
  return (after ?? before)!.object.kind === kind;
}

function namespaceOf(name: string, all: readonly Pair[], secrets: number): Namespace {
  const objects = all.flatMap(({ after }) => (after ? [after.object] : []));
  const of = (kind: string) => objects.filter((each) => each.kind === kind);
  const running = all.filter(({ before, after }) =>
    [before, after].some((each) => each && podSpecOf(each.object as Record<string, any>)),
  );
  const runs = new Set(running);
  const counts = (pair: Pair) =>
    runs.has(pair) ||
    ['ResourceQuota', 'LimitRange', 'PersistentVolumeClaim'].some((kind) => isKind(pair, kind)) ||
    !pair.before;
  const changed = all.filter(
    (pair) => JSON.stringify(pair.before?.object) !== JSON.stringify(pair.after?.object) && counts(pair),
  );
  return {
    name,
    objects,
    secrets,
    workloads: running,
    before: new Map(all.flatMap(({ id, before }) => (before ? [[id, before.object] as const] : []))),
    quotas: of('ResourceQuota'),
    ranges: of('LimitRange'),
    scalers: of('HorizontalPodAutoscaler'),
    changed: new Set(changed.map(({ id }) => id)),
  };
}
