import { identity, type Manifest } from '../objects';
import {
  ALL_ADDRESSES,
  ALL_PORTS,
  blockRange,
  portsInBoth,
  portsWithout,
  without,
  type Ports,
  type Range,
} from './ranges';
import { containersOf, NAME_LABEL, stable, type Labels, type View, type Workload } from './view';

/** What NetworkPolicies permit, independent of their names, their number and the order of rules. */

export type Direction = 'egress' | 'ingress';

/** Pods as a peer: their labels, and those of their namespace. */
export interface PodPeer {
  readonly labels: Labels;
  readonly namespaceLabels: Labels;
}

/** One peer of one rule. */
export interface Rule {
  /** Undefined if the rule names no peer: everyone. */
  readonly peer?: Manifest;
  /** Undefined if the peer is not a block of addresses. */
  readonly block?: readonly Range[];
  readonly ports: readonly Manifest[];
}

/** What the pods of a workload may do in one direction. */
export interface Side {
  /** Without a policy that selects them, pods may do everything. */
  readonly isolated: boolean;
  readonly rules: readonly Rule[];
  /** Ids of the policies that select them. */
  readonly policies: readonly string[];
}

/** The policies of a state, indexed. */
export class Policies {
  private readonly byLabel = new Map<string, Manifest[]>();
  private readonly sides = new Map<string, Side>();

  constructor(readonly view: View) {
    for (const policy of view.ofKind('NetworkPolicy')) {
      const key = bucket(policy.metadata.namespace ?? 'default', policy.spec.podSelector);
      this.byLabel.set(key, [...(this.byLabel.get(key) ?? []), policy]);
    }
  }

  /** What pods may do. */
  side(workload: Workload, direction: Direction): Side {
    const key = `${direction} ${workload.id} ${workload.name}`;
    const known = this.sides.get(key);
    if (known) return known;
    const mine = this.selecting(workload).filter((policy) => typesOf(policy).includes(direction));
    const side = {
      isolated: mine.length > 0,
      rules: mine.length > 0 ? mine.flatMap((policy) => rulesOf(policy, direction)) : [{ ports: [] }],
      policies: mine.map(identity),
    };
    this.sides.set(key, side);
    return side;
  }

  /** The policies that select pods. */
  selecting({ namespace, labels }: Workload): Manifest[] {
    const keys = ['', ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)];
    return keys
      .flatMap((key) => this.byLabel.get(`${namespace} ${key}`) ?? [])
      .filter(({ spec }) => selects(spec.podSelector, labels));
  }
}

function bucket(namespace: string, { matchLabels = {} }: Manifest = {}): string {
  const [first] = Object.entries(matchLabels);
  return `${namespace} ${first ? `${first[0]}=${first[1]}` : ''}`;
}

/** A policy without policyTypes is for ingress, and also for egress if it has egress rules. */
function typesOf({ spec }: Manifest): string[] {
  const types: string[] = spec.policyTypes ?? ['Ingress', ...(spec.egress?.length > 0 ? ['Egress'] : [])];
  return types.map((each) => each.toLowerCase());
}

function rulesOf({ spec, metadata }: Manifest, direction: Direction): Rule[] {
  return (spec[direction] ?? []).flatMap((rule: Manifest) => {
    const peers: readonly Manifest[] = (direction === 'egress' ? rule.to : rule.from) ?? [];
    const ports = rule.ports ?? [];
    if (peers.length === 0) return [{ ports }];
    return peers.map((peer): Rule => {
      if (peer.ipBlock) return { peer, ports, block: blockOf(peer.ipBlock) };
      // A peer without a namespace selector is in the policy's own namespace.
      const own = { matchLabels: { [NAME_LABEL]: metadata.namespace ?? 'default' } };
      return { ports, peer: { namespaceSelector: peer.namespaceSelector ?? own, podSelector: peer.podSelector ?? {} } };
    });
  });
}

function blockOf({ cidr, except = [] }: Manifest): Range[] {
  return without([blockRange(cidr)], except.map(blockRange));
}

/** Whether a label selector matches labels. */
export function selects({ matchLabels = {}, matchExpressions = [] }: Manifest = {}, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }: Manifest) => {
      if (operator === 'In') return key in labels && values.includes(labels[key]);
      if (operator === 'NotIn') return !values.includes(labels[key]);
      return operator === 'Exists' ? key in labels : !(key in labels);
    })
  );
}

/** Ports on which rules permit connections to pods. @param listener the pods that define named ports, if known */
export function portsTo(rules: readonly Rule[], pods: PodPeer, listener?: Workload): Ports[] {
  return rules
    .filter(({ peer, block }) => !block && (!peer || isPeer(peer, pods)))
    .flatMap(({ ports }) => portsOf(ports, listener));
}

/** Whether a peer of a rule selects pods. */
export function isPeer(peer: Manifest, { labels, namespaceLabels }: PodPeer): boolean {
  return !peer.ipBlock && selects(peer.podSelector, labels) && selects(peer.namespaceSelector, namespaceLabels);
}

/** Ports of a rule. A rule without ports permits all. */
export function portsOf(ports: readonly Manifest[], listener?: Workload): Ports[] {
  if (ports.length === 0) return [...ALL_PORTS];
  return ports.flatMap(({ protocol = 'TCP', port, endPort }) => {
    if (port === undefined) return [{ protocol, from: 0, to: 65535 }];
    if (typeof port === 'number') return [{ protocol, from: port, to: endPort ?? port }];
    const numbers = containersOf(listener?.pod ?? {})
      .flatMap((container) => container.ports ?? [])
      .filter(({ name }: Manifest) => name === port)
      .map(({ containerPort }: Manifest) => containerPort as number);
    if (numbers.length === 0) return [{ protocol: `${protocol}:${port}`, from: 0, to: 0 }];
    return numbers.map((number) => ({ protocol, from: number, to: number }));
  });
}

/** Ports on which a rule permits addresses that were not all permitted before. */
export function newAddressPorts(
  addresses: readonly Range[],
  ports: readonly Ports[],
  before: readonly Rule[],
  listener?: Workload,
): Ports[] {
  const known = before
    .filter(({ peer, block }) => !peer || block)
    .map(({ block, ports: each }) => ({ block: block ?? ALL_ADDRESSES, ports: portsOf(each, listener) }));
  return segments(
    ports,
    known.flatMap((each) => each.ports),
  ).filter((segment) => {
    const there = known.filter((each) => portsWithout([segment], each.ports).length === 0);
    return (
      without(
        addresses,
        there.flatMap(({ block }) => block),
      ).length > 0
    );
  });
}

/** Splits ports at the limits of others, so that each piece is completely inside or outside each of them. */
function segments(ports: readonly Ports[], others: readonly Ports[]): Ports[] {
  return others.reduce<Ports[]>(
    (pieces, other) => [...portsInBoth(pieces, [other]), ...portsWithout(pieces, [other])],
    [...ports],
  );
}

/** Sample pods with exactly the labels that a peer requires. All other pods that it selects have more labels. */
export function witnesses(peer: Manifest | undefined): PodPeer[] {
  if (!peer) return [{ labels: {}, namespaceLabels: {} }];
  return samples(peer.podSelector).flatMap((labels) =>
    samples(peer.namespaceSelector).map((namespaceLabels) => ({ labels, namespaceLabels })),
  );
}

/** Labels that match a selector, one set for each value that it lists. */
export function samples({ matchLabels = {}, matchExpressions = [] }: Manifest = {}): Labels[] {
  return matchExpressions.reduce(
    (sets: Labels[], { key, operator, values = [] }: Manifest) => {
      const options = operator === 'In' ? values : operator === 'Exists' ? ['some-value'] : [];
      if (options.length === 0) return sets;
      return sets
        .flatMap((set) => options.map((value: string) => (key in set ? set : { ...set, [key]: value })))
        .slice(0, 64);
    },
    [{ ...matchLabels }],
  );
}

/** Number of requirements of a selector. */
export function demands({ podSelector = {} }: Manifest): number {
  return Object.keys(podSelector.matchLabels ?? {}).length + (podSelector.matchExpressions ?? []).length;
}

/** Text of a rule. Rules that permit the same have the same text. */
export function ruleKey(rule: Rule): string {
  return stable([rule.peer, rule.ports]);
}
