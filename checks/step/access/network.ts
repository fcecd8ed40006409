import type { Manifest } from '../objects';
import { podsText } from './peer-text';
import {
  demands,
  isPeer,
  newAddressPorts,
  Policies,
  portsOf,
  portsTo,
  ruleKey,
  samples,
  witnesses,
  type Direction,
  type PodPeer,
  type Rule,
} from './policies';
import { ALL_ADDRESSES, portsInBoth, portsText, portsWithout, type Ports } from './ranges';
import { earlier, NAME_LABEL, stable, type View, type Workload } from './view';

/** A connection that pods may open or receive, and could not before. */
export interface Opening {
  readonly subject: Workload;
  /** Whether the pods themselves are new. */
  readonly isNew: boolean;
  readonly direction: Direction;
  /** Peer in messages, such as TCP 9042 of cassandra/cassandra-r1. */
  readonly peer: string;
  /** Whether the peer is outside the cluster, or anybody. */
  readonly outside: boolean;
  /** Ids of the changed policies that permit it. */
  readonly objects: readonly string[];
}

/** Pods of one side of a step, and the same pods before it. */
interface Subject {
  readonly now: Workload;
  readonly then?: Workload;
}

/** Compares what the policies of two states permit to every rendered pod, and to other pods that policies select. */
export function openings(before: View, after: View): Opening[] {
  return sameNetwork(before, after) ? [] : new Comparison(before, after).openings();
}

/** Skips the comparison when policies, namespaces and labels of pods are unchanged. */
function sameNetwork(before: View, after: View): boolean {
  const text = (view: View) =>
    stable([
      view
        .ofKind('NetworkPolicy')
        .map((policy) => stable([policy.metadata.namespace, policy.spec]))
        .sort(),
      namespacesOf(view),
      [...view.workloads.values()].map(({ name, labels }) => stable([name, labels])).sort(),
    ]);
  return text(before) === text(after);
}

function namespacesOf(view: View): string {
  return stable(
    view
      .ofKind('Namespace')
      .map(({ metadata }) => [
        metadata.name,
        Object.entries(metadata.labels ?? {}).filter(([key]) => !key.startsWith('pod-security')),
      ])
      .sort(),
  );
}

class Comparison {
  private readonly before: Policies;
  private readonly after: Policies;
  private readonly found: Opening[] = [];
  private readonly connections = new Set<string>();
  private readonly pods = new Map<string, Subject[]>();
  /** Pods that this step no longer restricts in a direction. Their single connections are not reported. */
  private readonly wideOpen = new Set<string>();
  /** Peers that are already reported, by direction and pods: a single connection to one of them is not reported again. */
  private readonly told = new Map<string, Manifest[]>();
  private readonly relabelled: boolean;
  private byPeer: Map<string, Subject[]> | undefined;

  constructor(before: View, after: View) {
    this.before = new Policies(before);
    this.after = new Policies(after);
    this.relabelled = namespacesOf(before) !== namespacesOf(after);
  }

  openings(): Opening[] {
    const rendered = [...this.after.view.workloads.values()].map((now): Subject => ({
      now,
      then: earlier(now, this.before.view),
    }));
    for (const subject of rendered) {
      push(this.pods, '', subject);
      for (const [key, value] of Object.entries({ '': '', ...subject.now.labels }))
        push(this.pods, `${subject.now.namespace} ${key}=${value}`, subject);
    }
    const touched = [...rendered, ...this.selectedOnly()].filter((subject) => this.isTouched(subject));
    for (const subject of touched)
      for (const direction of ['egress', 'ingress'] as const) this.oneSide(subject, direction);
    for (const subject of touched)
      for (const direction of ['egress', 'ingress'] as const) this.bothSides(subject, direction);
    return this.found;
  }

  /** Pods that policies select but no chart renders, such as those of other programs in the namespace. */
  private selectedOnly(): Subject[] {
    const found = new Map<string, Subject>();
    const rendered = this.selectingRendered();
    for (const { view } of [this.before, this.after])
      for (const policy of view.ofKind('NetworkPolicy')) {
        const { metadata, spec } = policy;
        const namespace = metadata.namespace ?? 'default';
        const selector = spec.podSelector ?? {};
        const all = Object.keys(selector).length === 0 || stable(selector) === '{"matchLabels":{}}';
        if (!all && rendered.has(policy)) continue;
        const name = all
          ? `other pods of ${namespace}`
          : podsText({ podSelector: selector, namespaceSelector: { matchLabels: { [NAME_LABEL]: namespace } } });
        for (const labels of samples(selector)) {
          const now = { id: `pods ${namespace} ${stable(labels)}`, name, namespace, labels, pod: {}, object: {} };
          found.set(now.id, { now, then: this.before.view.hasNamespace(namespace) ? now : undefined });
        }
      }
    return [...found.values()];
  }

  /** Policies that select rendered pods, before or after. */
  private selectingRendered(): Set<Manifest> {
    return new Set(
      [this.before, this.after].flatMap((policies) =>
        [this.before, this.after].flatMap(({ view }) =>
          [...view.workloads.values()].flatMap((workload) => policies.selecting(workload)),
        ),
      ),
    );
  }

  private isTouched({ now, then }: Subject): boolean {
    if (!then || this.relabelled || stable(now.labels) !== stable(then.labels)) return true;
    const keys = (policies: Policies, workload: Workload, direction: Direction) => {
      const { isolated, rules } = policies.side(workload, direction);
      return stable([isolated, [...new Set(rules.map(ruleKey))].sort()]);
    };
    return (['egress', 'ingress'] as const).some(
      (direction) => keys(this.before, then, direction) !== keys(this.after, now, direction),
    );
  }

  /** Peers that are not rendered pods: addresses, everyone, pods of other charts. */
  private oneSide(subject: Subject, direction: Direction): void {
    const { now, then } = subject;
    const before = then ? this.before.side(then, direction).rules : [];
    for (const rule of unique(this.after.side(now, direction).rules)) {
      const listener = direction === 'ingress' ? now : undefined;
      const ports = portsOf(rule.ports, listener);
      if (rule.block) this.add(subject, direction, newAddressPorts(rule.block, ports, before, listener), rule, true);
      else if (!rule.peer) {
        const opened = [
          ...newAddressPorts(ALL_ADDRESSES, ports, before, listener),
          ...this.unknownPods(rule, ports, before, listener),
        ];
        if (opened.length > 0) this.wideOpen.add(`${direction} ${now.id}`);
        this.add(subject, direction, opened, rule, true);
      } else if (!this.isKnown(rule, before)) {
        const opened = this.unknownPods(rule, ports, before, listener);
        if (opened.length > 0) push(this.told, `${direction} ${now.id}`, rule.peer);
        this.add(subject, direction, opened, rule, false);
      }
    }
  }

  private unknownPods({ peer }: Rule, ports: Ports[], before: readonly Rule[], listener?: Workload): Ports[] {
    return witnesses(peer).flatMap((pods) => portsWithout(ports, portsTo(before, pods, listener)));
  }

  /** Whether a peer selects only rendered pods. If so, each connection is compared separately. */
  private isKnown({ peer }: Rule, before: readonly Rule[]): boolean {
    const asked = demands(peer!);
    if (asked === 0 || peer!.namespaceSelector?.matchLabels?.[NAME_LABEL] === undefined) return false;
    const known = this.podsOf(peer!);
    return (
      known.length > 0 &&
      !known.some(({ then }) =>
        before.some(
          ({ peer: old }) => then && old && isPeer(old, asPeer(then, this.before.view)) && demands(old) > asked,
        ),
      )
    );
  }

  /** Connections between rendered pods. Both sides must permit them. */
  private bothSides(subject: Subject, direction: Direction): void {
    for (const { peer } of unique(this.after.side(subject.now, direction).rules))
      if (peer && !peer.ipBlock)
        for (const other of this.podsOf(peer))
          if (direction === 'egress') this.connection(subject, other);
          else this.connection(other, subject);
    if (direction === 'ingress' && subject.then && stable(subject.then.labels) !== stable(subject.now.labels))
      for (const other of this.namedBy(subject)) this.connection(other, subject);
  }

  /** Pods whose policies name a peer that matches a workload. Needed when only the labels of the workload change, and no policy. */
  private namedBy({ now }: Subject): Subject[] {
    const byPeer = (this.byPeer ??= this.peers());
    const keys = ['', ...Object.entries(now.labels).map(([key, value]) => `${key}=${value}`)];
    return keys.flatMap((key) => byPeer.get(key) ?? []);
  }

  private peers(): Map<string, Subject[]> {
    const found = new Map<string, Subject[]>();
    for (const subject of this.pods.get('') ?? [])
      for (const { peer } of unique(this.after.side(subject.now, 'egress').rules)) {
        const [label] = Object.entries(peer?.podSelector?.matchLabels ?? {});
        if (peer && !peer.ipBlock) push(found, label ? `${label[0]}=${label[1] as string}` : '', subject);
      }
    return found;
  }

  private isTold(from: Subject, to: Subject): boolean {
    const fits = (subject: Subject, direction: Direction, other: Subject) =>
      this.wideOpen.has(`${direction} ${subject.now.id}`) ||
      (this.told.get(`${direction} ${subject.now.id}`) ?? []).some((peer) =>
        isPeer(peer, asPeer(other.now, this.after.view)),
      );
    return fits(from, 'egress', to) || fits(to, 'ingress', from);
  }

  private connection(from: Subject, to: Subject): void {
    const key = `${from.now.id} > ${to.now.id}`;
    if (this.connections.has(key)) return;
    this.connections.add(key);
    if (this.isTold(from, to)) return;
    const opened = portsWithout(
      open(this.after, from.now, to.now),
      from.then && to.then ? open(this.before, from.then, to.then) : [],
    );
    if (opened.length === 0) return;
    const objects = this.changed([
      ...this.after.side(from.now, 'egress').policies,
      ...this.after.side(to.now, 'ingress').policies,
      ...(from.then ? this.before.side(from.then, 'egress').policies : []),
      ...(to.then ? this.before.side(to.then, 'ingress').policies : []),
    ]);
    const byTarget = !to.then && from.then;
    const [subject, direction] = byTarget ? [to, 'ingress' as const] : [from, 'egress' as const];
    const peer = byTarget ? `${from.now.name} at ${portsText(opened)}` : `${to.now.name} at ${portsText(opened)}`;
    this.found.push({ subject: subject.now, isNew: !subject.then, direction, peer, outside: false, objects });
  }

  private add(subject: Subject, direction: Direction, ports: readonly Ports[], rule: Rule, outside: boolean): void {
    if (ports.length === 0) return;
    const { now, then } = subject;
    // In a namespace without isolation, new pods without isolation are not reported.
    if (!then && !this.after.side(now, direction).isolated && !this.isolates(now.namespace)) return;
    const objects = this.changed([
      ...this.after.side(now, direction).policies,
      ...(then ? this.before.side(then, direction).policies : []),
    ]);
    const peer = `${podsText(rule.peer)} at ${portsText(ports)}`;
    this.found.push({ subject: now, isNew: !then, direction, peer, outside, objects });
  }

  private isolates(namespace: string): boolean {
    return this.after.view
      .ofKind('NetworkPolicy')
      .some(({ metadata }) => (metadata.namespace ?? 'default') === namespace);
  }

  private changed(ids: readonly string[]): string[] {
    const text = ({ view }: Policies, id: string) => stable(view.byId.get(id)?.spec);
    return [...new Set(ids)].filter((id) => text(this.before, id) !== text(this.after, id));
  }

  /** Rendered pods that a peer selects. */
  private podsOf({ podSelector = {}, namespaceSelector = {} }: Manifest): Subject[] {
    const [label] = Object.entries(podSelector.matchLabels ?? {});
    const bucket = label ? `${label[0]}=${label[1] as string}` : '=';
    const name = namespaceSelector.matchLabels?.[NAME_LABEL];
    const candidates = name
      ? (this.pods.get(`${name} ${bucket}`) ?? [])
      : [...this.pods].filter(([key]) => key.endsWith(` ${bucket}`)).flatMap(([, subjects]) => subjects);
    return candidates.filter(({ now }) => isPeer({ podSelector, namespaceSelector }, asPeer(now, this.after.view)));
  }
}

function open(policies: Policies, from: Workload, to: Workload): Ports[] {
  const { view } = policies;
  return portsInBoth(
    portsTo(policies.side(from, 'egress').rules, asPeer(to, view), to),
    portsTo(policies.side(to, 'ingress').rules, asPeer(from, view), to),
  );
}

function asPeer({ namespace, labels }: Workload, view: View): PodPeer {
  return { labels, namespaceLabels: view.namespaceLabels(namespace) };
}

function unique(rules: readonly Rule[]): Rule[] {
  return [...new Map(rules.map((rule) => [ruleKey(rule), rule])).values()];
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
