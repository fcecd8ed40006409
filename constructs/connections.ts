import { Construct, type IConstruct } from 'constructs';
import { k8s } from 'cdk8s-plus-28';
import { portProblem, ipv4Network } from '../values/names';
import { KEEP } from './argo-cd';
import type { EnvValue } from './env';
import { NAMESPACE_NAME_LABEL, type Labels } from './labels';
import { late } from './late';
import { assertValid, fail } from './validation';

/** The other end of a connection. */
export type Peer =
  /** Pods of a namespace, all of them where `labels` is empty. */
  | { readonly namespace: string; readonly labels: Labels }
  /** An IPv4 network outside the cluster, one machine as `192.168.1.30/32`. */
  | { readonly cidr: string }
  /** Everyone who can reach the node. */
  | 'anywhere';

/** A port of a connection: that of the pods or of the machine outside, never the port of a Service. */
export interface Port {
  /** 1 to 65535; `allowFrom` and `allowTo` refuse anything else. */
  readonly port: number;
  /** @default TCP */
  readonly protocol?: 'TCP' | 'UDP';
}

/** A client of connections, such as a service or a job. */
export abstract class Client extends Construct {
  /** Its name, also of its role or user in a database. */
  abstract readonly name: string;
  /** Namespace of its pods, in which the secrets of its connections must exist. */
  abstract readonly namespace: string;
  /** Its NetworkPolicy, to which the target adds an egress rule. */
  abstract readonly connections: Connections;
  /** Adds environment variables. @throws on a name that another connection took */
  abstract addEnv(env: Readonly<Record<string, EnvValue>>): void;

  /** Lets this client reach a target, and adds environment variables with the target's address. */
  connectTo<Options>(target: Connectable<Options>, ...[options]: OptionsOf<Options>): void {
    target.accept(this, options as Options);
  }
}

/**
 * A target that clients can connect to. `accept` adds rules to the NetworkPolicies of both sides, gives the client its
 * environment variables, and registers its role or user. Call `client.connectTo(target, options)` instead.
 */
export interface Connectable<Options = undefined> extends IConstruct {
  /** Called by `connectTo`, once per connection. @throws when the target does not support the options */
  accept(client: Client, options: Options): void;
}

/** Options of `connectTo`: may be left out when the target has none or all are optional. */
export type OptionsOf<Options> = undefined extends Options ? [options?: Options] : [options: Options];

/** The pods that a policy selects, and its metadata. */
export interface ConnectionsProps {
  /** Name of the NetworkPolicy. */
  readonly name: string;
  /** Namespace of the policy and of the pods that it selects. */
  readonly namespace: string;
  /** Labels that select the pods. */
  readonly selector: Labels;
  /** Labels of the policy itself. */
  readonly labels: Labels;
  /** Whether Argo CD keeps the policy when it is removed from Git. @default false */
  readonly keep?: boolean;
  /** Further annotations of the policy. @default none */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The cluster's name server: the pods behind the address in every pod's resolv.conf. */
export const DNS_PEER: Peer = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
export const DNS_PORTS: readonly Port[] = [{ port: 53, protocol: 'UDP' }, { port: 53 }];

/**
 * The connections of one workload, rendered as its one NetworkPolicy, which denies all other traffic. DNS is allowed if any
 * egress is. Rules are collected when the object is rendered, and sorted, so the order of calls does not matter.
 */
export class Connections extends Construct {
  /** Rendered with every rule that was added before. Denies all ingress without an ingress rule. */
  readonly policy: k8s.KubeNetworkPolicy;
  /** This workload as the peer of another workload's connection. */
  readonly peer: Peer;
  private readonly ingress: [Peer, Port][] = [];
  private readonly egress: [Peer, Port][] = [];

  constructor(scope: Construct, id: string, props: ConnectionsProps) {
    super(scope, id);
    this.peer = { namespace: props.namespace, labels: props.selector };
    for (const port of DNS_PORTS) this.egress.push([DNS_PEER, port]);
    this.policy = new k8s.KubeNetworkPolicy(this, 'policy', {
      metadata: {
        name: props.name,
        namespace: props.namespace,
        labels: { ...props.labels },
        annotations: props.keep || props.annotations ? { ...(props.keep && KEEP), ...props.annotations } : undefined,
      },
      spec: late((): k8s.NetworkPolicySpec => ({
        podSelector: podSelector(props.selector),
        policyTypes: ['Ingress', 'Egress'],
        // The API server drops empty lists, so Argo CD would always show a diff.
        ingress:
          this.ingress.length === 0
            ? undefined
            : rules(this.ingress).map(({ peer, ports }) => ({ from: peer && [peer], ports })),
        egress: rules(this.egress).map(({ peer, ports }) => ({ to: peer && [peer], ports })),
      })),
    });
  }

  /** Lets a peer reach a port of this workload. */
  allowFrom(peer: Peer, port: Port): void {
    this.validate(peer, port);
    this.ingress.push([peer, port]);
  }

  /** Lets this workload reach a port of a peer. */
  allowTo(peer: Peer, port: Port): void {
    this.validate(peer, port);
    this.egress.push([peer, port]);
  }

  private validate(peer: Peer, { port }: Port): void {
    assertValid(this, portProblem(port, 'the port of a connection'));
    if (peer !== 'anywhere' && 'cidr' in peer && !ipv4Network(peer.cidr)) {
      fail(this, {
        what: 'the address of a connection must be an IPv4 network',
        got: peer.cidr,
        allowed: 'A.B.C.D/N without host bits',
        fix: 'write one machine as 192.168.1.30/32',
      });
    }
  }
}

/** Opens a port of one workload for another, in the policies of both. */
export function openBetween(client: Connections, server: Connections, ...ports: readonly number[]): void {
  for (const port of ports) {
    client.allowTo(server.peer, { port });
    server.allowFrom(client.peer, { port });
  }
}

/** One rule for each peer, with all its ports; sorted, without duplicates. */
function rules(entries: readonly [Peer, Port][]): { peer?: k8s.NetworkPolicyPeer; ports: k8s.NetworkPolicyPort[] }[] {
  const byPeer = new Map<string, { peer: Peer; ports: Map<string, Port> }>();
  for (const [peer, port] of entries) {
    const key = JSON.stringify(
      peer === 'anywhere' || 'cidr' in peer ? peer : [peer.namespace, Object.entries(peer.labels).sort()],
    );
    const rule = byPeer.get(key) ?? { peer, ports: new Map() };
    rule.ports.set(`${String(port.port).padStart(5, '0')} ${port.protocol ?? 'TCP'}`, port);
    byPeer.set(key, rule);
  }
  return inOrder(byPeer).map(({ peer, ports }) => ({
    peer: policyPeer(peer),
    ports: inOrder(ports).map(({ port, protocol }) => ({
      port: k8s.IntOrString.fromNumber(port),
      protocol: protocol ?? 'TCP',
    })),
  }));
}

function inOrder<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function policyPeer(peer: Peer): k8s.NetworkPolicyPeer | undefined {
  if (peer === 'anywhere') return undefined;
  if ('cidr' in peer) return { ipBlock: { cidr: peer.cidr } };
  return {
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: peer.namespace } },
    podSelector: podSelector(peer.labels),
  };
}

/** Empty for all pods: the API server drops an empty `matchLabels`, so Argo CD would always show a diff. */
function podSelector(labels: Labels): k8s.LabelSelector {
  return Object.keys(labels).length === 0 ? {} : { matchLabels: { ...labels } };
}
