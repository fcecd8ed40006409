import type { Manifest } from './objects';
import type { State } from './step';
import { add, selects, workloads, type Workload } from './workloads';

/** Allowed connections by the NetworkPolicies of a state. */
interface Connections {
  /** Workloads that one policy selects together, by more than their namespace. */
  parts(workload: Workload): ReadonlySet<Workload>;
  /** Workloads that its policies let in; undefined if no policy restricts ingress. */
  letsIn(workload: Workload): ReadonlySet<Workload> | undefined;
  /** Workloads that its policies let it connect to; undefined if no policy restricts egress. */
  reaches(workload: Workload): ReadonlySet<Workload> | undefined;
  /** Workloads whose policies name this one as a target. */
  named(workload: Workload): readonly Workload[];
}

const RUNS_ONCE: ReadonlySet<string> = new Set(['Job', 'CronJob']);
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';
const known = new WeakMap<State, Connections>();

/**
 * Workloads that may open connections to one, by name, as services/chat: a policy of one of both sides names the other, and
 * none of them forbids it. Leaves out Jobs, and the other parts of the same workload, such as the
 * racks of a ring: the same policy selects both.
 */
export function clientsOf(state: State, target: Workload): string[] {
  const connections = connectionsOf(state);
  const parts = connections.parts(target);
  const clients = connections.letsIn(target) ?? connections.named(target);
  return [...new Set(clients)]
    .filter((client) => client.name !== target.name && !RUNS_ONCE.has(client.kind))
    .filter((client) => !parts.has(client))
    .filter((client) => connections.reaches(client)?.has(target) ?? true)
    .map(({ name }) => name)
    .sort();
}

function isolates({ spec }: Manifest, type: 'Ingress' | 'Egress'): boolean {
  const types: readonly string[] = spec.policyTypes ?? ['Ingress', ...(spec.egress ? ['Egress'] : [])];
  return types.includes(type);
}

function connectionsOf(state: State): Connections {
  const found = known.get(state) ?? index(state);
  known.set(state, found);
  return found;
}

function index(state: State): Connections {
  const selected = policiesByWorkload(state);
  const policies = (workload: Workload) => selected.get(workload) ?? [];
  const namespaces = namespacesOf(state);
  // Many policies select the same pods and name the same peers, so each peer is resolved once.
  const peers = { ingress: once(peersOf('ingress')), egress: once(peersOf('egress')) };
  const groups = new Map<string, readonly Workload[]>();
  const group = ([key, { home, podSelector, namespaceSelector }]: readonly [string, Peer]) => {
    const places = () => (namespaceSelector ? namespaces(namespaceSelector) : [home]);
    const found = groups.get(key) ?? places().flatMap((namespace) => workloads(state).select(namespace, podSelector));
    groups.set(key, found);
    return found;
  };
  const named = (list: readonly Manifest[], way: 'ingress' | 'egress') =>
    [...new Map(list.flatMap((policy) => [...peers[way](policy)]))].flatMap(group);
  const parts = once(
    (workload: Workload): ReadonlySet<Workload> =>
      new Set([...new Map(policies(workload).flatMap(ownPeer))].flatMap(group)),
  );
  const side = (type: 'Ingress' | 'Egress', way: 'ingress' | 'egress') =>
    once((workload: Workload): ReadonlySet<Workload> | undefined => {
      const restricting = policies(workload).filter((policy) => isolates(policy, type));
      return restricting.length === 0 ? undefined : new Set(named(restricting, way));
    });
  const reaches = side('Egress', 'egress');
  let speakers: Map<Workload, Workload[]> | undefined;
  return {
    parts,
    letsIn: side('Ingress', 'ingress'),
    reaches,
    named: (workload) => (speakers ??= reversed(workloads(state).all, reaches)).get(workload) ?? [],
  };
}

/** The peer of a rule: pods by labels. */
interface Peer {
  /** Namespace of the policy, if the rule names none. */
  readonly home: string;
  readonly podSelector?: Manifest;
  readonly namespaceSelector?: Manifest;
}

/** The selectors of the pods that a policy names on one side. */
function peersOf(way: 'ingress' | 'egress') {
  return ({ metadata, spec }: Manifest): ReadonlyMap<string, Peer> => {
    const home = metadata.namespace ?? 'default';
    const rules: readonly Manifest[] = spec[way] ?? [];
    const named = rules
      .flatMap((rule): Manifest[] => rule[way === 'ingress' ? 'from' : 'to'] ?? [])
      .filter(({ podSelector, namespaceSelector }) => podSelector || namespaceSelector);
    return new Map(
      named.map(({ podSelector, namespaceSelector }): [string, Peer] => [
        JSON.stringify([namespaceSelector ? '' : home, podSelector, namespaceSelector]),
        { home, podSelector, namespaceSelector },
      ]),
    );
  };
}

/** The pods that a policy applies to, if it names any. */
function ownPeer({ metadata, spec }: Manifest): [string, Peer][] {
  const { podSelector } = spec;
  if (Object.keys(podSelector?.matchLabels ?? {}).length === 0) return [];
  const home = metadata.namespace ?? 'default';
  return [[JSON.stringify([home, podSelector]), { home, podSelector }]];
}

function once<K extends object, V>(find: (key: K) => V): (key: K) => V {
  const found = new Map<K, V>();
  return (key) => {
    if (!found.has(key)) found.set(key, find(key));
    return found.get(key)!;
  };
}

function reversed(
  all: readonly Workload[],
  reaches: (workload: Workload) => ReadonlySet<Workload> | undefined,
): Map<Workload, Workload[]> {
  const found = new Map<Workload, Workload[]>();
  for (const speaker of all) for (const target of reaches(speaker) ?? []) add(found, target, speaker);
  return found;
}

function policiesByWorkload(state: State): Map<Workload, Manifest[]> {
  const found = new Map<Workload, Manifest[]>();
  for (const { object } of state.objects)
    if (object.kind === 'NetworkPolicy')
      for (const workload of workloads(state).select(object.metadata.namespace ?? 'default', object.spec.podSelector))
        add(found, workload, object);
  return found;
}

/** Namespaces with objects in this state that a selector selects. */
function namespacesOf(state: State): (selector: Manifest) => readonly string[] {
  const labels = new Map<string, Record<string, string>>();
  for (const { object } of state.objects) {
    const { kind, metadata } = object;
    const namespace = kind === 'Namespace' ? metadata.name : metadata.namespace;
    if (!namespace || (kind !== 'Namespace' && labels.has(namespace))) continue;
    labels.set(namespace, { ...(kind === 'Namespace' && metadata.labels), [NAMESPACE_NAME]: namespace });
  }
  const found = new Map<string, readonly string[]>();
  return (selector) => {
    const key = JSON.stringify(selector);
    const known =
      found.get(key) ?? [...labels].filter(([, each]) => selects(selector, each)).map(([namespace]) => namespace);
    found.set(key, known);
    return known;
  };
}
