import { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { serviceNameProblem } from '../values/names';
import type { Client, Connectable, Connections, Peer } from './connections';
import { plainText } from './env';
import { labels, selectorLabels } from './labels';
import type { EndpointProxy, LlmEndpoint } from './llm-endpoint';
import { onRender, overrideManifests, type ManifestOverride } from './rendering';
import type { SecretKey } from './secrets';
import { assertValid, fail, namespaceOf } from './validation';

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
  /** As it was given: it decides which of the objects below there are. */
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
  readonly proxy?: EndpointProxy;
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
    this.validate();
    const identity = { app: 'external-llm', instance: this.name, component: 'llm' };
    this.metadata = { name: this.name, namespace: this.namespace, labels: { ...labels(identity) } };
    const { metadata } = this;
    const { overridePodSpec } = props;
    const made = props.endpoint.render(this, { metadata, selector: selectorLabels(identity), overridePodSpec });
    this.service = made.service;
    this.endpointSlice = made.endpointSlice;
    this.proxy = made.proxy;
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
      [`${prefix}_HOST`]: this.endpoint.host ?? this.name,
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
    return this.endpoint.url(this.name);
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

  private validate(): void {
    assertValid(this, serviceNameProblem(this.name, 'the name of a service'));
    if (Object.keys(this.models).length === 0)
      fail(this, {
        what: 'models must name at least one',
        got: {},
        fix: "add one: { chat: { tag: 'qwen2.5:14b-instruct-q4_K_M' } }",
      });
  }
}
