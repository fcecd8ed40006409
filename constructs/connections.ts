import { Construct } from 'constructs';
import { k8s } from 'cdk8s-plus-28';
import {
  connectionNameProblem,
  envPrefixProblem,
  fieldsOfKind,
  prefixOfName,
  variableOfField,
  type ConnectionField,
  type ConnectionKind,
} from '../values/connection-fields';
import { portProblem, ipv4Network } from '../values/names';
import { becauseProblem, isInternet } from '../values/ways-out';
import { KEEP } from './argo-cd';
import type { EnvValue } from './env';
import { NAMESPACE_NAME_LABEL, type Labels } from './labels';
import { late } from './late';
import { onRender, type Json } from './rendering';
import type { SecretKey } from './secrets';
import { assertValid, fail } from './validation';

/** The other end of a connection. */
export type Peer =
  /** Pods of a namespace, all of them where `labels` is empty. */
  | {
      readonly namespace: string;
      readonly labels: Labels;
      /** Labels of further pods that may do the same. @default none */
      readonly also?: readonly Labels[];
    }
  /** An IPv4 network outside the cluster, one machine as `192.168.1.30/32`, without the networks of `except` inside it. */
  | { readonly cidr: string; readonly except?: readonly string[] }
  /** Everyone who can reach the node. */
  | 'anywhere';

/** A port of a connection: that of the pods or of the machine outside, never the port of a Service. */
export interface Port {
  /** 1 to 65535; `allowFrom` and `allowTo` refuse anything else. */
  readonly port: number;
  /** @default TCP */
  readonly protocol?: 'TCP' | 'UDP';
}

/** How a client names a connection. */
export interface ConnectionName {
  /** Its name for `Env.from`; its variables start with the name in upper case. @default the name of the target */
  readonly as?: string;
  /** Prefix of its variables. @default that of `as`, else of the target */
  readonly envPrefix?: string;
}

/** What a connection gives to its client. */
export interface ConnectionEnv {
  /** Kind of the target, which decides the names of fields and variables. */
  readonly kind: ConnectionKind;
  /** Its fields. A field with a variable is set as PREFIX_VARIABLE, others only where `Env.from` asks for them. */
  readonly fields: { readonly [field in ConnectionField]?: string | SecretKey };
  /** URI of another database with the same login, for `Env.from`; undefined where the login has no role there. */
  readonly uriOf?: (database: string) => string | undefined;
}

/** A client of connections, such as a service or a job. */
export abstract class Client extends Construct {
  /** Its name, also of its role or user in a database. */
  abstract readonly name: string;
  /** Namespace of its pods, in which the secrets of its connections must exist. */
  abstract readonly namespace: string;
  /** Its NetworkPolicy, to which the target adds an egress rule. */
  abstract readonly connections: Connections;
  private readonly given: (ConnectionEnv & { readonly name: string })[] = [];

  /** What its connections give, by name, in the order of the calls. */
  get connectionEnv(): readonly (ConnectionEnv & { readonly name: string })[] {
    return this.given;
  }

  /** Adds environment variables. @throws on a name that another connection took */
  abstract addEnv(env: Readonly<Record<string, EnvValue>>): void;

  /**
   * Adds the variables of a connection. Called by targets.
   * @param name name and prefix that the client chose
   * @param defaults those of the target
   * @throws on a name that another connection has, and on a variable that is taken
   */
  addConnection(
    name: ConnectionName | undefined,
    defaults: { readonly name: string; readonly prefix: string },
    env: ConnectionEnv,
  ): void {
    const { as, envPrefix } = name ?? {};
    assertValid(
      this,
      as === undefined ? undefined : connectionNameProblem(as, '`as`'),
      envPrefix === undefined ? undefined : envPrefixProblem(envPrefix, '`envPrefix`'),
    );
    if (as !== undefined && this.given.some((other) => other.name === as))
      fail(this, {
        what: '`as` must be the name of one connection',
        got: as,
        fix: 'give one of the two another name',
      });
    this.given.push({ ...env, name: as ?? defaults.name });
    const prefix = envPrefix ?? (as === undefined ? defaults.prefix : prefixOfName(as));
    const variables = fieldsOfKind(env.kind).flatMap((field): [string, EnvValue][] => {
      const variable = variableOfField(env.kind, field);
      const value = env.fields[field];
      return variable === undefined || value === undefined ? [] : [[`${prefix}_${variable}`, value]];
    });
    this.addEnv(Object.fromEntries(variables));
  }

  /** Lets this client reach a target, and adds environment variables with the target's address. */
  connectTo<Options>(target: Connectable<Options>, ...[options]: OptionsOf<Options>): void {
    target.accept(this, options as Options);
  }
}

/**
 * A target that clients can connect to. `accept` adds rules to the NetworkPolicies of both sides, gives the client its
 * environment variables, and registers its role or user. Call `client.connectTo(target, options)` instead.
 */
export interface Connectable<Options = undefined> {
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
  /** Connections whose ways out it shares, such as those of the service that a job prepares. @default its own alone */
  readonly egressOf?: Connections;
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
  private readonly egress: [Peer, Port][];
  private readonly reasons: Set<string>;
  private readonly also: Labels[] = [];

  constructor(scope: Construct, id: string, props: ConnectionsProps) {
    super(scope, id);
    this.peer = { namespace: props.namespace, labels: props.selector, also: this.also };
    this.egress = props.egressOf?.egress ?? DNS_PORTS.map((port): [Peer, Port] => [DNS_PEER, port]);
    this.reasons = props.egressOf?.reasons ?? new Set();
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
          this.ingress.length === 0 ? undefined : rules(this.ingress).map(({ peer, ports }) => ({ from: peer, ports })),
        egress: rules(this.egress).map(({ peer, ports }) => ({ to: peer, ports })),
      })),
    });
    onRender(this.policy, (json) => (this.reasons.size === 0 ? json : withReasons(json, this.reasons)));
  }

  /** Lets further pods of its namespace reach what this workload reaches, such as those of a job before its rollout. */
  shareWith(labels: Labels): void {
    this.also.push(labels);
  }

  /** Lets a peer reach a port of this workload. */
  allowFrom(peer: Peer, port: Port): void {
    this.validate(peer, port);
    this.ingress.push([peer, port]);
  }

  /**
   * Lets this workload reach a port of a peer.
   * @param because why; stands in the policy's annotation `collab-homelab/because`. @default no reason
   */
  allowTo(peer: Peer, port: Port, because?: string): void {
    this.validate(peer, port);
    if (because !== undefined) {
      assertValid(this, becauseProblem(because, 'the reason of a connection'));
      this.reasons.add(`${peerText(peer)} ${port.protocol ?? 'TCP'} ${port.port}: ${because}`);
    }
    this.egress.push([peer, port]);
  }

  private validate(peer: Peer, { port }: Port): void {
    assertValid(this, portProblem(port, 'the port of a connection'));
    if (peer === 'anywhere' || !('cidr' in peer)) return;
    const problem = (got: string, fix: string) =>
      fail(this, {
        what: 'the address of a connection must be an IPv4 network',
        got,
        allowed: 'A.B.C.D/N without host bits',
        fix,
      });
    const outer = ipv4Network(peer.cidr) ?? problem(peer.cidr, 'write one machine as 192.168.1.30/32');
    for (const cidr of peer.except ?? []) {
      const inner = ipv4Network(cidr) ?? problem(cidr, 'write an excepted network like 192.168.1.0/24');
      // The API server refuses an exception that is not a strict part of its network.
      if (inner.first < outer.first || inner.last > outer.last || cidr === peer.cidr)
        problem(cidr, `except only networks inside ${peer.cidr}, or leave it out`);
    }
  }
}

/** Annotation of a policy: the reasons of its ways out, one line each: PEER PROTOCOL PORT: REASON. */
export const BECAUSE = 'collab-homelab/because';

function withReasons(json: Json, reasons: ReadonlySet<string>): Json {
  const annotations = { ...json.metadata.annotations, [BECAUSE]: [...reasons].sort().join('\n') };
  return { ...json, metadata: { ...json.metadata, annotations } };
}

/** A peer as one word, as reports name it. */
function peerText(peer: Peer): string {
  if (peer === 'anywhere') return peer;
  if ('cidr' in peer) return isInternet(peer.cidr, peer.except) ? 'internet' : peer.cidr.replace(/\/32$/, '');
  return `${peer.namespace}/${peer.labels['app.kubernetes.io/instance'] ?? '*'}`;
}

/** Opens a port of one workload for another, in the policies of both. */
export function openBetween(client: Connections, server: Connections, ...ports: readonly (number | Port)[]): void {
  for (const each of ports) {
    const port = typeof each === 'number' ? { port: each } : each;
    client.allowTo(server.peer, port);
    server.allowFrom(client.peer, port);
  }
}

/** One rule for each peer, with all its ports; sorted, without duplicates. */
function rules(entries: readonly [Peer, Port][]): { peer?: k8s.NetworkPolicyPeer[]; ports: k8s.NetworkPolicyPort[] }[] {
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
    peer: policyPeers(peer),
    ports: inOrder(ports).map(({ port, protocol }) => ({
      port: k8s.IntOrString.fromNumber(port),
      protocol: protocol ?? 'TCP',
    })),
  }));
}

function inOrder<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function policyPeers(peer: Peer): k8s.NetworkPolicyPeer[] | undefined {
  if (peer === 'anywhere') return undefined;
  if ('cidr' in peer) return [{ ipBlock: { cidr: peer.cidr, except: peer.except && [...peer.except] } }];
  return [peer.labels, ...(peer.also ?? [])].map((labels) => ({
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: peer.namespace } },
    podSelector: podSelector(labels),
  }));
}

/** Empty for all pods: the API server drops an empty `matchLabels`, so Argo CD would always show a diff. */
function podSelector(labels: Labels): k8s.LabelSelector {
  return Object.keys(labels).length === 0 ? {} : { matchLabels: { ...labels } };
}
