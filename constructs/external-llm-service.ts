import { Size } from 'cdk8s';
import { Chart } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { dnsNameProblem, imageProblem, ipv4, portProblem, serviceNameProblem } from '../values/names';
import { Connections, type Client, type Connectable, type Peer } from './connections';
import { plainText } from './env';
import { images } from './images';
import { labels, selectorLabels } from './labels';
import { contentHash, overrideManifests, onRender, type ManifestOverride } from './rendering';
import { assertValid, namespaceOf, fail } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import type { SecretKey } from './secrets';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';

/** Ollama's own port. */
const OLLAMA_PORT = 11434;
const HTTPS_PORT = 443;

/** A machine that is reached by its address. Loopback, link-local and multicast addresses are refused. */
export interface AddressProps {
  /** IPv4 address of the machine. */
  readonly address: string;
  /** @default 11434, Ollama's */
  readonly port?: number;
}

/** A machine that is reached through a proxy in the cluster: one nginx that passes TCP on. */
export interface TcpProxyProps extends AddressProps {
  /** @default images.tcpProxy */
  readonly image?: string;
  /** @default 64 MiB, 50m: it holds connections, not answers */
  readonly resources?: Resources;
}

/** A machine that has a name in DNS; an address in place of the name is refused. */
export interface DnsNameProps {
  /** A name that the cluster's DNS resolves. */
  readonly name: string;
  /** The addresses behind it: a network policy knows no names. */
  readonly addresses: readonly [string, ...string[]];
  /** @default 11434, Ollama's */
  readonly port?: number;
  /** Whether it speaks HTTPS, by a certificate for `name` that clients trust. @default only on port 443 */
  readonly tls?: boolean;
}

/** How the Service's name leads to the machine. */
export class LlmEndpoint {
  /**
   * An EndpointSlice that names the machine's address: nothing runs in between. Argo CD must not exclude EndpointSlices,
   * as it does by default since 3.0.
   */
  static endpointSlice(props: AddressProps): LlmEndpoint {
    return new LlmEndpoint('endpoint-slice', [props.address], props.port ?? OLLAMA_PORT);
  }

  /** A proxy of our own, for clusters whose Argo CD leaves EndpointSlices out. Its readiness is the machine's answer. */
  static tcpProxy(props: TcpProxyProps): LlmEndpoint {
    return new LlmEndpoint('tcp-proxy', [props.address], props.port ?? OLLAMA_PORT, { proxy: props });
  }

  /** A DNS name, as an ExternalName Service. Clients are told the name itself, which certificates and virtual hosts are made for. */
  static dnsName(props: DnsNameProps): LlmEndpoint {
    const port = props.port ?? OLLAMA_PORT;
    return new LlmEndpoint('dns-name', props.addresses, port, {
      name: props.name,
      tls: props.tls ?? port === HTTPS_PORT,
    });
  }

  private constructor(
    /** Which of the three factories made it. */
    readonly kind: 'endpoint-slice' | 'tcp-proxy' | 'dns-name',
    /** IPv4 addresses of the machine, for the EndpointSlice and for NetworkPolicies. */
    readonly addresses: readonly string[],
    /** Port of the machine, and of the Service and the proxy where there are any: nothing translates it. */
    readonly port: number,
    /** What one kind has besides: options of the proxy, or the DNS name. */
    readonly more: { readonly proxy?: TcpProxyProps; readonly name?: string; readonly tls?: boolean } = {},
  ) {}
}

/** Where models run, and by what name the cluster knows them. */
export interface ExternalLlmServiceProps {
  /** Name that clients use. @default the construct's id */
  readonly name?: string;
  /** Where its clients are. @default the chart's namespace */
  readonly namespace?: string;
  /** How the name leads to the machine. An EndpointSlice has nothing in between, but Argo CD must not exclude it. */
  readonly endpoint: LlmEndpoint;
  /** Models by the name that clients ask for; `tag` is what the endpoint calls it. */
  readonly models: Readonly<Record<string, { readonly tag: string }>>;
  /** The key that the endpoint asks for, from a declared secret; clients get it as PREFIX_API_KEY. @default none */
  readonly apiKey?: SecretKey;
  /** Changes the proxy's pod, where there is one. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** What a client asks for. Its environment then has PREFIX_HOST, _PORT, _BASE_URL (ends in /v1), _MODEL, and _API_KEY where there is one. */
export interface LlmConnection {
  /** One of the service's models, by name. */
  readonly model: string;
  /** What the variables start with. @default LLM */
  readonly envPrefix?: string;
}

/** A language model on a machine outside the cluster, under a plain name inside it. */
export class ExternalLlmService extends Construct implements Connectable<LlmConnection> {
  /** Name of the Service, and the host name by which clients of any namespace reach it. */
  readonly name: string;
  /** Where the Service is. In a client's namespace, where it is another, one of the same name leads here. */
  readonly namespace: string;
  /** As it was given: its kind says which of the objects below there are. */
  readonly endpoint: LlmEndpoint;
  /** As they were given. A client gets the `tag` as PREFIX_MODEL. */
  readonly models: Readonly<Record<string, { readonly tag: string }>>;
  /** As it was given. */
  readonly apiKey?: SecretKey;
  /** What the name stands for: it selects the proxy, nothing (with an EndpointSlice), or is an ExternalName. */
  readonly service: k8s.KubeService;
  /** The address of the machine behind the Service. Undefined for a proxy and for a DNS name. */
  readonly endpointSlice?: k8s.KubeEndpointSlice;
  /** The proxy's workload and connections, where the endpoint is one. */
  readonly proxy?: {
    readonly deployment: k8s.KubeDeployment;
    readonly configMap: k8s.KubeConfigMap;
    readonly connections: Connections;
  };
  /** Namespaces that have an alias. */
  private readonly aliases = new Set<string>();
  private readonly metadata: { name: string; namespace: string; labels: Record<string, string> };

  constructor(
    scope: Construct,
    id: string,
    private readonly props: ExternalLlmServiceProps,
  ) {
    super(scope, id);
    this.name = props.name ?? id;
    this.namespace = namespaceOf(this, props.namespace);
    this.endpoint = props.endpoint;
    this.models = props.models;
    this.apiKey = props.apiKey;
    this.judge();
    const identity = { app: 'external-llm', instance: this.name, component: 'llm' };
    this.metadata = { name: this.name, namespace: this.namespace, labels: { ...labels(identity) } };
    const { kind, port, more } = props.endpoint;
    if (kind === 'dns-name') {
      this.service = new k8s.KubeService(this, 'service', {
        metadata: this.metadata,
        spec: { type: 'ExternalName', externalName: more.name },
      });
    } else {
      const selector = kind === 'tcp-proxy' ? { ...selectorLabels(identity) } : undefined;
      this.service = new k8s.KubeService(this, 'service', {
        metadata: this.metadata,
        spec: {
          selector,
          ports: [{ name: 'http', port, targetPort: k8s.IntOrString.fromNumber(port), protocol: 'TCP' }],
        },
      });
    }
    if (kind === 'endpoint-slice') this.endpointSlice = this.makeEndpointSlice();
    if (kind === 'tcp-proxy') this.proxy = this.makeProxy(more.proxy!, selectorLabels(identity));
    overrideManifests(this, props.overrideManifest);
  }

  /** Lets a client reach the machine, and tells it where, and what the model is called there. @throws on an unknown model */
  accept(client: Client, { model, envPrefix }: LlmConnection): void {
    const known = this.models[model];
    if (!known) {
      fail(this, {
        what: 'a client must ask for a model that is declared',
        got: model,
        allowed: Object.keys(this.models).join(', '),
        fix: 'add it to `models`, or correct the name',
      });
    }
    const prefix = envPrefix ?? 'LLM';
    client.addEnv({
      [`${prefix}_HOST`]: this.host,
      [`${prefix}_PORT`]: String(this.endpoint.port),
      [`${prefix}_BASE_URL`]: `${this.url}/v1`,
      [`${prefix}_MODEL`]: plainText(known.tag),
      ...(this.apiKey && { [`${prefix}_API_KEY`]: this.apiKey }),
    });
    this.openFor(client.connections);
    if (client.namespace !== this.namespace) this.alias(client);
  }

  /** Where clients reach it, without a path: https://api.example.com. */
  get url(): string {
    const { port, more } = this.endpoint;
    return `${more.tls ? 'https' : 'http'}://${this.host}${more.tls && port === HTTPS_PORT ? '' : `:${port}`}`;
  }

  /** By the plain name a server would be asked for a host that it does not know, and its certificate would be another's. */
  private get host(): string {
    return this.endpoint.more.name ?? this.name;
  }

  /** Lets a workload reach the machine, by its address only. */
  openFor(connections: Connections): void {
    const { port } = this.endpoint;
    for (const peer of this.peers()) connections.allowTo(peer, { port });
    this.proxy?.connections.allowFrom(connections.peer, { port });
  }

  private peers(): Peer[] {
    return this.proxy
      ? [this.proxy.connections.peer]
      : this.endpoint.addresses.map((address) => ({ cidr: `${address}/32` }));
  }

  /** The same plain name in another namespace: made in the chart of whoever asks first there, with a name that tells nothing of it. */
  private alias(client: Client): void {
    if (this.aliases.has(client.namespace)) return;
    this.aliases.add(client.namespace);
    const alias = new k8s.KubeService(Chart.of(client), `${client.namespace}-${this.name}`, {
      metadata: { ...this.metadata, namespace: client.namespace },
      spec: { type: 'ExternalName', externalName: `${this.name}.${this.namespace}.svc.cluster.local` },
    });
    if (this.props.overrideManifest) onRender(alias, this.props.overrideManifest);
  }

  private judge(): void {
    const { kind, addresses, port, more } = this.endpoint;
    assertValid(this, serviceNameProblem(this.name, 'the name of a service'), portProblem(port, 'port'));
    for (const address of addresses) {
      const number = ipv4(address);
      const [first, second] = address.split('.');
      if (
        number === undefined ||
        first === '127' ||
        first === '0' ||
        Number(first) >= 224 ||
        (first === '169' && second === '254')
      ) {
        fail(this, {
          what: 'the address of a model must be an IPv4 address of another machine',
          got: address,
          allowed: 'neither loopback, link-local nor multicast',
          fix: 'give the static address of the machine',
        });
      }
    }
    if (kind === 'dns-name') {
      if (ipv4(more.name) !== undefined)
        fail(this, {
          what: 'the name of an endpoint must be a DNS name',
          got: more.name,
          fix: 'for an address use LlmEndpoint.endpointSlice',
        });
      assertValid(this, dnsNameProblem(more.name, 'the name of an endpoint'));
    }
    assertValid(this, imageProblem(more.proxy?.image ?? images.tcpProxy, 'image'));
    if (Object.keys(this.models).length === 0)
      fail(this, {
        what: 'models must name at least one',
        got: {},
        fix: "add one: { chat: { tag: 'qwen2.5:14b-instruct-q4_K_M' } }",
      });
  }

  private makeEndpointSlice(): k8s.KubeEndpointSlice {
    const { addresses, port } = this.endpoint;
    return new k8s.KubeEndpointSlice(this, 'endpoints', {
      metadata: {
        ...this.metadata,
        labels: {
          ...this.metadata.labels,
          'kubernetes.io/service-name': this.name,
          'endpointslice.kubernetes.io/managed-by': 'collab-homelab',
        },
      },
      addressType: 'IPv4',
      // Written out: the API server stores `conditions: {}` where they are left out, and Argo CD sees a difference for ever.
      endpoints: [{ addresses: [...addresses], conditions: { ready: true, serving: true, terminating: false } }],
      ports: [{ name: 'http', port, protocol: 'TCP' }],
    });
  }

  private makeProxy(
    proxy: TcpProxyProps,
    selector: Readonly<Record<string, string>>,
  ): NonNullable<ExternalLlmService['proxy']> {
    const { port } = this.endpoint;
    // A plain TCP relay. Its timeout is the longest pause within an answer: a large model takes its time before the first word.
    const config = {
      'nginx.conf': scriptFile('llm-proxy-nginx.conf', { ADDRESS: proxy.address, PORT: String(port) }),
    };
    const configMap = new k8s.KubeConfigMap(this, 'proxy-config', { metadata: this.metadata, data: config });
    const connections = new Connections(this, 'proxy-connections', { ...this.metadata, selector });
    connections.allowTo({ cidr: `${proxy.address}/32` }, { port });
    const through = k8s.IntOrString.fromString('http');
    const spec: k8s.PodSpec = {
      ...hardenedPod(101),
      containers: [
        {
          name: 'proxy',
          image: proxy.image ?? images.tcpProxy,
          command: ['nginx', '-c', '/etc/proxy/nginx.conf', '-g', 'daemon off;'],
          ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
          resources: resourceRequirements(this, proxy.resources ?? { memory: Size.mebibytes(64), cpu: Cpu.millis(50) }),
          livenessProbe: { tcpSocket: { port: through }, periodSeconds: 10, failureThreshold: 3 },
          // Through the proxy: it is the machine that answers.
          readinessProbe: {
            httpGet: { path: '/api/version', port: through },
            periodSeconds: 10,
            timeoutSeconds: 3,
            failureThreshold: 3,
          },
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'config', mountPath: '/etc/proxy', readOnly: true },
          ],
        },
      ],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('16Mi') } },
        { name: 'config', configMap: { name: this.name } },
      ],
    };
    const deployment = new k8s.KubeDeployment(this, 'proxy', {
      metadata: this.metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: { ...selector } },
        strategy: {
          type: 'RollingUpdate',
          rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(0), maxSurge: k8s.IntOrString.fromNumber(1) },
        },
        revisionHistoryLimit: 3,
        template: {
          metadata: { labels: { ...this.metadata.labels }, annotations: { 'checksum/config': contentHash(config) } },
          spec: this.props.overridePodSpec ? this.props.overridePodSpec(spec) : spec,
        },
      },
    });
    return { deployment, configMap, connections };
  }
}
