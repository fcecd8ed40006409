import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { dnsNameProblem, imageProblem, ipv4, portProblem } from '../values/names';
import { Connections } from './connections';
import { images } from './images';
import type { Labels } from './labels';
import { contentHash } from './rendering';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';
import { assertValid, fail } from './validation';

/** Ollama's own port. */
const OLLAMA_PORT = 11434;
const HTTPS_PORT = 443;

/** A machine reached by its address. Loopback, link-local and multicast addresses are refused. */
export interface AddressProps {
  /** IPv4 address of the machine. */
  readonly address: string;
  /** @default 11434, that of Ollama */
  readonly port?: number;
}

/** A machine reached through a proxy in the cluster: one nginx that forwards TCP. */
export interface TcpProxyProps extends AddressProps {
  /** @default images.tcpProxy */
  readonly image?: string;
  /** @default 64 MiB, 50m: it holds connections, not answers */
  readonly resources?: Resources;
}

/** A machine with a DNS name; an address in place of the name is refused. */
export interface DnsNameProps {
  /** A name that the cluster's name server resolves. */
  readonly name: string;
  /** Networks of that name, because a NetworkPolicy cannot hold names. */
  readonly addresses: readonly [string, ...string[]];
  /** @default 11434, that of Ollama */
  readonly port?: number;
  /** Whether it uses HTTPS, with a certificate for `name` that clients trust. @default only on port 443 */
  readonly tls?: boolean;
}

/** Metadata and overrides for the objects of an endpoint. */
export interface EndpointTarget {
  /** Metadata of the Service and of all other objects. */
  readonly metadata: { name: string; namespace: string; labels: Record<string, string> };
  /** Labels that select the proxy's pods, if there is a proxy. */
  readonly selector: Labels;
  /** Changes the pod of the proxy. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
}

/** The proxy's workload and connections. */
export interface EndpointProxy {
  /** Runs the proxy, one pod. */
  readonly deployment: k8s.KubeDeployment;
  /** Its nginx configuration. */
  readonly configMap: k8s.KubeConfigMap;
  /** Policy of its pods. */
  readonly connections: Connections;
}

/** Objects of an endpoint: a Service and its backend. */
export interface EndpointObjects {
  /** The name that clients use. */
  readonly service: k8s.KubeService;
  /** Addresses behind the Service. Undefined where the Service has pods or a DNS name behind it. */
  readonly endpointSlice?: k8s.KubeEndpointSlice;
  /** Undefined where clients reach the machine without a proxy. */
  readonly proxy?: EndpointProxy;
}

/** Implementation of one kind of endpoint. */
interface EndpointWay {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly host?: string;
  readonly tls?: boolean;
  /** @throws on problems other than addresses and port */
  readonly validate?: (scope: Construct) => void;
  readonly render: (scope: Construct, target: EndpointTarget) => EndpointObjects;
}

/** How the Service reaches the machine. */
export class LlmEndpoint {
  /**
   * An EndpointSlice with the machine's address, without a proxy in between. Argo CD must not exclude EndpointSlices, as it does
   * by default since 3.0.
   */
  static endpointSlice({ address, port = OLLAMA_PORT }: AddressProps): LlmEndpoint {
    const addresses = [address];
    return new LlmEndpoint({
      addresses,
      port,
      render: (scope, target) => endpointSlice(scope, target, addresses, port),
    });
  }

  /** A proxy in the cluster, for an Argo CD that excludes EndpointSlices. It is ready while the machine answers. */
  static tcpProxy(props: TcpProxyProps): LlmEndpoint {
    const { address, port = OLLAMA_PORT, image = images.tcpProxy } = props;
    return new LlmEndpoint({
      addresses: [address],
      port,
      validate: (scope) => assertValid(scope, imageProblem(image, 'image')),
      render: (scope, target) => tcpProxy(scope, target, props, port),
    });
  }

  /** A DNS name, as an ExternalName Service. Clients get the DNS name itself, which certificates and virtual hosts use. */
  static dnsName({ name, addresses, port = OLLAMA_PORT, tls = port === HTTPS_PORT }: DnsNameProps): LlmEndpoint {
    return new LlmEndpoint({
      addresses,
      port,
      tls,
      host: name,
      validate: (scope) => validateDnsName(scope, name),
      render: (scope, { metadata }) => ({
        service: new k8s.KubeService(scope, 'service', {
          metadata,
          spec: { type: 'ExternalName', externalName: name },
        }),
      }),
    });
  }

  private constructor(private readonly way: EndpointWay) {}

  /** IPv4 addresses of the machine, for the EndpointSlice and for NetworkPolicies. */
  get addresses(): readonly string[] {
    return this.way.addresses;
  }

  /** Port of the machine, the Service and the proxy. */
  get port(): number {
    return this.way.port;
  }

  /**
   * Host name that clients get instead of the Service name, because the server accepts only its DNS name and has a certificate
   * for it. Undefined when the Service has endpoints.
   */
  get host(): string | undefined {
    return this.way.host;
  }

  /** URL of the machine for clients of a Service of that name, without a path: https://api.example.com. */
  url(serviceName: string): string {
    const { host = serviceName, port, tls } = this.way;
    return `${tls ? 'https' : 'http'}://${host}${tls && port === HTTPS_PORT ? '' : `:${port}`}`;
  }

  /** Creates the Service and its backend. @throws on an invalid address or name */
  render(scope: Construct, target: EndpointTarget): EndpointObjects {
    assertValid(scope, portProblem(this.port, 'port'));
    for (const address of this.addresses) validateAddress(scope, address);
    this.way.validate?.(scope);
    return this.way.render(scope, target);
  }
}

function service(
  scope: Construct,
  metadata: EndpointTarget['metadata'],
  port: number,
  selector?: Labels,
): k8s.KubeService {
  return new k8s.KubeService(scope, 'service', {
    metadata,
    spec: {
      selector: selector && { ...selector },
      ports: [{ name: 'http', port, targetPort: k8s.IntOrString.fromNumber(port), protocol: 'TCP' }],
    },
  });
}

/** The address of the machine as the endpoint of a Service without a selector. */
function endpointSlice(
  scope: Construct,
  { metadata }: EndpointTarget,
  addresses: readonly string[],
  port: number,
): EndpointObjects {
  return {
    service: service(scope, metadata, port),
    endpointSlice: new k8s.KubeEndpointSlice(scope, 'endpoints', {
      metadata: {
        ...metadata,
        labels: {
          ...metadata.labels,
          'kubernetes.io/service-name': metadata.name,
          'endpointslice.kubernetes.io/managed-by': 'collab-homelab',
        },
      },
      addressType: 'IPv4',
      // Set explicitly. Without them the API server stores `conditions: {}`, so Argo CD would always show a diff.
      endpoints: [{ addresses: [...addresses], conditions: { ready: true, serving: true, terminating: false } }],
      ports: [{ name: 'http', port, protocol: 'TCP' }],
    }),
  };
}

/** A Deployment with one nginx, which the Service selects. */
function tcpProxy(
  scope: Construct,
  { metadata, selector, overridePodSpec }: EndpointTarget,
  proxy: TcpProxyProps,
  port: number,
): EndpointObjects {
  const made = service(scope, metadata, port, selector);
  // A TCP relay. Its timeout limits pauses within an answer. A large model takes long before the first token.
  const config = {
    'nginx.conf': scriptFile('llm-proxy-nginx.conf', { ADDRESS: proxy.address, PORT: String(port) }),
  };
  const configMap = new k8s.KubeConfigMap(scope, 'proxy-config', { metadata, data: config });
  const connections = new Connections(scope, 'proxy-connections', { ...metadata, selector });
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
        resources: resourceRequirements(scope, proxy.resources ?? { memory: Size.mebibytes(64), cpu: Cpu.millis(50) }),
        livenessProbe: { tcpSocket: { port: through }, periodSeconds: 10, failureThreshold: 3 },
        // Probes through the proxy, so that the machine itself must answer.
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
      { name: 'config', configMap: { name: metadata.name } },
    ],
  };
  const deployment = new k8s.KubeDeployment(scope, 'proxy', {
    metadata,
    spec: {
      replicas: 1,
      selector: { matchLabels: { ...selector } },
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(0), maxSurge: k8s.IntOrString.fromNumber(1) },
      },
      revisionHistoryLimit: 3,
      template: {
        metadata: { labels: { ...metadata.labels }, annotations: { 'checksum/config': contentHash(config) } },
        spec: overridePodSpec ? overridePodSpec(spec) : spec,
      },
    },
  });
  return { service: made, proxy: { deployment, configMap, connections } };
}

function validateAddress(scope: Construct, address: string): void {
  const number = ipv4(address);
  const [first, second] = address.split('.');
  if (
    number === undefined ||
    first === '127' ||
    first === '0' ||
    Number(first) >= 224 ||
    (first === '169' && second === '254')
  ) {
    fail(scope, {
      what: 'the address of a model must be an IPv4 address of another machine',
      got: address,
      allowed: 'neither loopback, link-local nor multicast',
      fix: 'give the static address of the machine',
    });
  }
}

function validateDnsName(scope: Construct, name: string): void {
  if (ipv4(name) !== undefined)
    fail(scope, {
      what: 'the name of an endpoint must be a DNS name',
      got: name,
      fix: 'for an address use LlmEndpoint.endpointSlice',
    });
  assertValid(scope, dnsNameProblem(name, 'the name of an endpoint'));
}
