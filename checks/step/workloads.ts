import { groupOf, isClusterScoped } from '../../constructs';
import type { Manifest } from './objects';
import type { Placed, State } from './step';

/** A workload and its pods. */
export interface Workload {
  readonly placed: Placed;
  readonly kind: string;
  /** NAMESPACE/NAME, such as services/chat. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly podSpec: Manifest;
}

/** Finds the objects of a label selector with an index. */
export interface Workloads {
  readonly all: readonly Workload[];
  /** By kind and name, as Deployment services/chat. */
  readonly byName: ReadonlyMap<string, Workload>;
  select(namespace: string, selector: Manifest | undefined): readonly Workload[];
}

const GROUPS: ReadonlySet<string> = new Set(['', 'apps', 'batch']);
const known = new WeakMap<State, Workloads>();

/** Path of the pod template of a workload. */
export function templateOf({ apiVersion, kind, spec }: Manifest): Manifest | undefined {
  if (!GROUPS.has(groupOf(apiVersion))) return undefined;
  if (kind === 'CronJob') return spec?.jobTemplate?.spec?.template;
  return kind === 'Pod' ? undefined : spec?.template;
}

/** Objects with a pod template. */
export function workloads(state: State): Workloads {
  const found = known.get(state) ?? index(state);
  known.set(state, found);
  return found;
}

function index(state: State): Workloads {
  const all = state.objects.flatMap((placed): Workload[] => {
    const { object } = placed;
    const template = templateOf(object);
    if (!template?.spec || isClusterScoped(object.kind)) return [];
    const { namespace = 'default', name } = object.metadata;
    const labels = template.metadata?.labels ?? {};
    return [{ placed, kind: object.kind, name: `${namespace}/${name}`, namespace, labels, podSpec: template.spec }];
  });
  const byLabel = new Map<string, Workload[]>();
  const byNamespace = new Map<string, Workload[]>();
  for (const each of all) {
    add(byNamespace, each.namespace, each);
    for (const label of Object.entries(each.labels)) add(byLabel, place(each.namespace, label), each);
  }
  const select = (namespace: string, selector: Manifest | undefined) => {
    const lists = Object.entries<string>(selector?.matchLabels ?? {}).map(
      (label) => byLabel.get(place(namespace, label)) ?? [],
    );
    const shortest = lists.reduce((a, b) => (b.length < a.length ? b : a), byNamespace.get(namespace) ?? []);
    return shortest.filter(({ labels }) => selects(selector, labels));
  };
  const byName = new Map(all.map((each) => [`${each.kind} ${each.name}`, each]));
  return { all, byName, select };
}

function place(namespace: string, [key, value]: readonly [string, string]): string {
  return `${namespace} ${key}=${value}`;
}

/** Adds to the list under a key. */
export function add<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Groups items by a key, in their order. */
export function grouped<T>(all: readonly T[], key: (each: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const each of all) add(found, key(each), each);
  return found;
}

/** Whether a label selector selects an object with labels; an empty one selects everything. */
export function selects(selector: Manifest | undefined, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) if (labels[key] !== value) return false;
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }: Manifest) => {
    const is = labels[key];
    if (operator === 'Exists') return is !== undefined;
    if (operator === 'DoesNotExist') return is === undefined;
    return operator === 'In' ? is !== undefined && values.includes(is) : is === undefined || !values.includes(is);
  });
}
