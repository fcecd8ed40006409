import type { Size } from 'cdk8s';
import { k8s, type Cpu } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { dnsLabelProblem } from '../values/names';
import { bytes, cpuProblem, cpuQuantity, memoryQuantity, millicores, sizeProblem } from '../values/quantity';
import { KEEP } from './argo-cd';
import { DNS_PEER, DNS_PORTS } from './connections';
import { late } from './late';
import { clusterScoped, overrideManifests, type ManifestOverride } from './rendering';
import { assertValid, fail } from './validation';

/** Levels of the Pod Security Standards. */
export type PodSecurityLevel = 'restricted' | 'baseline' | 'privileged';

/** Limits for all pods of a namespace together: the API server refuses a pod that would exceed them. */
export interface NamespaceQuota {
  /** Sum of the memory requests, and of the limits, of all pods. */
  readonly memory: Size;
  /** Sum of the CPU requests of all pods. */
  readonly cpu: Cpu;
  /** Number of pods that have not terminated. */
  readonly pods: number;
}

/** Props of an isolated namespace. By default: restricted pods, no traffic except DNS, no quota. */
export interface IsolatedNamespaceProps {
  /** @default the construct's id */
  readonly name?: string;
  /** What the API server enforces. @default restricted */
  readonly podSecurity?: PodSecurityLevel;
  /** Reason for another level than restricted, written as an annotation. Required with any other level. */
  readonly podSecurityReason?: string;
  /**
   * Resources of a container that sets none; false leaves such containers without a limit.
   * @default 64 MiB, 10m: small, so that a forgotten setting is noticed early
   */
  readonly containerDefault?: { readonly memory: Size; readonly cpu: Cpu } | false;
  /** Quota. A function is called when the quota is rendered, so that it can depend on other objects. @default none */
  readonly quota?: NamespaceQuota | (() => NamespaceQuota);
  /** Whether it holds data: Argo CD then never prunes or deletes the namespace, its policies and its quota. @default false */
  readonly keep?: boolean;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** A namespace with Pod Security labels, a default-deny policy and limits: traffic and root containers must be declared. */
export class IsolatedNamespace extends Construct {
  /** Name of the namespace. */
  readonly name: string;
  /** Has the Pod Security level as enforce, audit and warn, and the reason for it. */
  readonly namespace: k8s.KubeNamespace;
  /** Selects every pod and allows only DNS; `Connections` add policies for declared connections. */
  readonly defaultDeny: k8s.KubeNetworkPolicy;
  /** Default resources of containers. Undefined with `containerDefault: false`. */
  readonly limitRange?: k8s.KubeLimitRange;
  /** Undefined without `quota`: the pods may then request all resources of the nodes. */
  readonly quota?: k8s.KubeResourceQuota;

  constructor(scope: Construct, id: string, props: IsolatedNamespaceProps = {}) {
    super(scope, id);
    this.name = props.name ?? id;
    const level = props.podSecurity ?? 'restricted';
    assertValid(this, dnsLabelProblem(this.name, 'the name of a namespace'));
    if (level !== 'restricted' && !props.podSecurityReason) {
      fail(this, {
        what: `a namespace with Pod Security level ${level} must give a reason`,
        got: props.podSecurityReason,
        fix: 'give podSecurityReason, or leave podSecurity out',
      });
    }
    const kept = props.keep ? { ...KEEP } : {};
    const annotations = {
      ...kept,
      ...(props.podSecurityReason && { 'collab-homelab/pod-security-reason': props.podSecurityReason }),
    };
    this.namespace = clusterScoped(
      new k8s.KubeNamespace(this, 'namespace', {
        metadata: { name: this.name, annotations, labels: podSecurityLabels(level) },
      }),
    );
    this.defaultDeny = this.makeDefaultDeny(kept);
    if (props.containerDefault !== false) this.limitRange = this.makeLimitRange(props.containerDefault, kept);
    if (props.quota) this.quota = this.makeQuota(props.quota, kept);
    overrideManifests(this, props.overrideManifest);
  }

  private makeDefaultDeny(annotations: Record<string, string>): k8s.KubeNetworkPolicy {
    return new k8s.KubeNetworkPolicy(this, 'default-deny', {
      metadata: { name: 'default-deny', namespace: this.name, annotations },
      spec: {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        egress: [
          {
            to: [
              {
                namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
                podSelector: { matchLabels: { ...(DNS_PEER as { labels: Record<string, string> }).labels } },
              },
            ],
            ports: DNS_PORTS.map(({ port, protocol }) => ({
              port: k8s.IntOrString.fromNumber(port),
              protocol: protocol ?? 'TCP',
            })),
          },
        ],
      },
    });
  }

  private makeLimitRange(
    containerDefault: Exclude<IsolatedNamespaceProps['containerDefault'], false>,
    annotations: Record<string, string>,
  ): k8s.KubeLimitRange {
    if (containerDefault)
      assertValid(
        this,
        sizeProblem(containerDefault.memory, 'containerDefault.memory'),
        cpuProblem(containerDefault.cpu, 'containerDefault.cpu'),
      );
    const memory = k8s.Quantity.fromString(containerDefault ? memoryQuantity(bytes(containerDefault.memory)) : '64Mi');
    const cpu = k8s.Quantity.fromString(containerDefault ? cpuQuantity(millicores(containerDefault.cpu)) : '10m');
    return new k8s.KubeLimitRange(this, 'limits', {
      metadata: { name: 'defaults', namespace: this.name, annotations },
      spec: { limits: [{ type: 'Container', default: { memory }, defaultRequest: { cpu, memory } }] },
    });
  }

  private makeQuota(
    quota: NamespaceQuota | (() => NamespaceQuota),
    annotations: Record<string, string>,
  ): k8s.KubeResourceQuota {
    return new k8s.KubeResourceQuota(this, 'quota', {
      metadata: { name: 'quota', namespace: this.name, annotations },
      spec: late((): k8s.ResourceQuotaSpec => {
        const { memory, cpu, pods } = typeof quota === 'function' ? quota() : quota;
        const mem = k8s.Quantity.fromString(memoryQuantity(bytes(memory)));
        return {
          hard: {
            'requests.memory': mem,
            'limits.memory': mem,
            'requests.cpu': k8s.Quantity.fromString(cpuQuantity(millicores(cpu))),
            pods: k8s.Quantity.fromNumber(pods),
          },
        };
      }),
    });
  }
}

function podSecurityLabels(level: PodSecurityLevel): Record<string, string> {
  return {
    'pod-security.kubernetes.io/enforce': level,
    'pod-security.kubernetes.io/audit': level,
    'pod-security.kubernetes.io/warn': level,
  };
}
