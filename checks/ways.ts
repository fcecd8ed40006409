import { BECAUSE } from '../constructs';
import { isInternet } from '../values/ways-out';
import type { Rendering } from './rendering';
import type { Manifest } from './step/objects';
import { isDns, podsText } from './step/access/peer-text';
import { isPeer, Policies, portsOf, portsTo, type Direction, type PodPeer, type Rule } from './step/access/policies';
import { ALL_PORTS, portsInBoth, portsText, portsWithout, type Ports } from './step/access/ranges';
import { renderedState } from './step/rendered';
import { containersOf, viewOf, type View, type Workload } from './step/access/view';

/** A way that policies permit, or that only one side of it permits. */
export interface Way {
  /** Pods as NAMESPACE/NAME, or `anywhere`, a network, or pods that no chart renders. */
  readonly from: string;
  /** The same, or `internet`: all public addresses. */
  readonly to: string;
  /** Such as TCP 9042. */
  readonly ports: string;
  /** Login of the client in the database; undefined where it needs none. */
  readonly login?: string;
  /** Reasons that the client's policies give, sorted; for pods without a policy that. */
  readonly because: readonly string[];
  /** Whether one end is not in the cluster: the internet, an address, or anybody. */
  readonly outside: boolean;
  /** What the way lacks to be open; undefined for an open way. */
  readonly lacks?: string;
}

/**
 * Every way that the rendered policies permit, and every rule without its other side, sorted: those to and from the outside
 * first. The way to the cluster's name server is left out, because all pods have it.
 */
export function waysOf(rendering: Rendering): Way[] {
  const view = viewOf(renderedState(rendering));
  const policies = new Policies(view);
  const ways = [...view.workloads.values()].flatMap((workload) => [
    ...side(policies, workload, 'egress'),
    ...side(policies, workload, 'ingress'),
  ]);
  return merged(ways);
}

/** The ways of pods in one direction. Open ways between pods are found by the client alone. */
function side(policies: Policies, own: Workload, direction: Direction): Found[] {
  const { isolated, rules } = policies.side(own, direction);
  if (!isolated)
    return [found(own, direction, 'anywhere', ALL_PORTS, { outside: true, because: ['no policy selects these pods'] })];
  return rules.flatMap((rule) => ruleWays(policies, own, direction, rule));
}

function ruleWays(policies: Policies, own: Workload, direction: Direction, rule: Rule): Found[] {
  const listener = direction === 'ingress' ? own : undefined;
  const ports = portsOf(rule.ports, listener);
  if (!rule.peer || rule.block) {
    const peer = outsideText(rule.peer);
    const because = direction === 'egress' ? reasons(policies, own, peer, ports) : [];
    return [found(own, direction, peer, ports, { outside: true, because })];
  }
  const { view } = policies;
  const others = [...view.workloads.values()].filter((other) => isPeer(rule.peer!, asPeer(other, view)));
  if (others.length === 0) {
    const pods = podsText(rule.peer);
    return isDns(pods)
      ? []
      : [found(own, direction, pods, ports, { lacks: 'the other side: no chart renders such pods' })];
  }
  return others.flatMap((other) => between(policies, own, other, direction, rule));
}

function between(policies: Policies, own: Workload, other: Workload, direction: Direction, rule: Rule): Found[] {
  const { view } = policies;
  const listener = direction === 'egress' ? other : own;
  const wanted = portsOf(rule.ports, listener);
  const opposite = policies.side(other, direction === 'egress' ? 'ingress' : 'egress').rules;
  const theirs = portsTo(opposite, asPeer(own, view), listener);
  const open = portsInBoth(wanted, theirs);
  const closed = portsWithout(wanted, theirs);
  const lacks =
    direction === 'egress' ? 'the other side: it lets nobody in there' : 'the other side: it may not go there';
  return [
    ...(open.length > 0 && direction === 'egress'
      ? [found(own, direction, nameOf(other), open, { login: loginOf(own, nameOf(other)) })]
      : []),
    // Rules for the pods of one workload among themselves are written once for all racks.
    ...(closed.length > 0 && nameOf(own) !== nameOf(other)
      ? [found(own, direction, nameOf(other), closed, { lacks })]
      : []),
  ];
}

/** A way before its ports are merged with others of the same ends. */
type Found = Omit<Way, 'ports'> & { readonly ports: readonly Ports[] };

function found(
  own: Workload,
  direction: Direction,
  peer: string,
  ports: readonly Ports[],
  more: Partial<Pick<Way, 'login' | 'because' | 'outside' | 'lacks'>> = {},
): Found {
  const [from, to] = direction === 'egress' ? [nameOf(own), peer] : [peer, nameOf(own)];
  return { because: [], outside: false, ...more, from, to, ports };
}

/** Pods of one instance have one name: the racks of a ring are one. */
function nameOf({ namespace, name, labels }: Workload): string {
  const instance = labels['app.kubernetes.io/instance'];
  return instance === undefined ? name : `${namespace}/${instance}`;
}

function outsideText(peer: Manifest | undefined): string {
  const { cidr, except = [] } = peer?.ipBlock ?? {};
  if (cidr === undefined) return 'anywhere';
  if (isInternet(cidr, except)) return 'internet';
  return `${cidr.replace(/\/32$/, '')}${except.length > 0 ? ` except ${except.join(', ')}` : ''}`;
}

/** Reasons in the annotations of the policies that select pods, for one peer and its ports. */
function reasons(policies: Policies, own: Workload, peer: string, ports: readonly Ports[]): string[] {
  const lines = policies
    .selecting(own)
    .flatMap(({ metadata }) => String(metadata.annotations?.[BECAUSE] ?? '').split('\n'));
  return lines.flatMap((line) => {
    const [, to, protocol, port, because] = /^(\S+) (TCP|UDP) (\d+): (.*)$/.exec(line) ?? [];
    const isOf = ports.some(
      (each) => each.protocol === protocol && each.from <= Number(port) && Number(port) <= each.to,
    );
    return to === peer && isOf ? [because!] : [];
  });
}

/** Logins of the administrators, which jobs of a database use besides those that they create. */
const ADMINISTRATORS = ['root', 'admin'];

/** The login with which pods enter a database: its secret is named DATABASE-LOGIN. */
function loginOf(client: Workload, database: string): string | undefined {
  const [namespace, name] = database.split('/') as [string, string];
  const logins = containersOf(client.pod)
    .flatMap(({ env = [] }) => env)
    .map(({ valueFrom }: Manifest) => valueFrom?.secretKeyRef)
    .filter((key: Manifest | undefined) => key?.key === 'username' && key.name.startsWith(`${name}-`))
    .map((key: Manifest) => key.name.slice(name.length + 1) as string)
    .filter((login) => namespace !== client.namespace || ADMINISTRATORS.includes(login));
  return [...new Set(logins)].sort().join(', ') || undefined;
}

function asPeer({ namespace, labels }: Workload, view: View): PodPeer {
  return { labels, namespaceLabels: view.namespaceLabels(namespace) };
}

/** One way for each pair of ends, with all ports; sorted. */
function merged(ways: readonly Found[]): Way[] {
  const groups = new Map<string, Found[]>();
  for (const way of ways) {
    const key = JSON.stringify([way.outside ? 0 : 1, way.from, way.to, way.lacks ?? '', way.because]);
    groups.set(key, [...(groups.get(key) ?? []), way]);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, [first, ...rest]]) => ({
      ...first!,
      ports: portsText([first!, ...rest].flatMap(({ ports }) => ports)),
      because: [...new Set(first!.because)].sort(),
      login: [first!, ...rest].find(({ login }) => login !== undefined)?.login,
    }));
}
