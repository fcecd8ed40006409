import { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { Construct, type IConstruct } from 'constructs';
import { llmKeySecret } from '../values/llm-keys';
import { serviceNameProblem } from '../values/names';
import type { Client, Connectable, ConnectionName, Connections, Peer } from './connections';
import { plainText } from './env';
import { labels, selectorLabels } from './labels';
import type { EndpointProxy, LlmEndpoint } from './llm-endpoint';
import { onRender, overrideManifests, type ManifestOverride } from './rendering';
import { DeclaredSecret, type SecretKey } from './secrets';
import { assertValid, fail, namespaceOf } from './validation';

/** Props of a service for language models outside the cluster. */
export interface ExternalLlmServiceProps {
  /** Name of the Service, which clients use. @default the construct's id */
  readonly name?: string;
  /** Namespace of its clients. @default the chart's namespace */
  readonly namespace?: string;
  /** How the Service reaches the machine. An EndpointSlice needs no proxy, but Argo CD must not exclude EndpointSlices. */
  readonly endpoint: LlmEndpoint;
  /** Models by the name that clients use; `tag` is the name at the endpoint. */
  readonly models: Readonly<Record<string, { readonly tag: string }>>;
  /**
   * API key of the endpoint, from a declared secret; clients get it as PREFIX_API_KEY. With `per-client` each client has a
   * generated one of its own, in the declared secret SERVICE-CLIENT. @default none
   */
  readonly apiKey?: SecretKey | 'per-client';
  /** Changes the pod of the proxy, if there is one. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** Options of a client's connection. The client gets PREFIX_HOST, _PORT, _BASE_URL (ends in /v1), _MODEL, and _API_KEY if there is one. */
export interface LlmConnection extends ConnectionName {
  /** One of the service's models, by name. */
  readonly model: string;
}

/** Language models on a machine outside the cluster, reached by a Service inside it. */
export class ExternalLlmService extends Construct implements Connectable<LlmConnection> {
  /** Name of the Service, and the host name by which clients of any namespace reach it. */
  readonly name: string;
  /** Namespace of the Service. Clients in other namespaces get an alias of the same name there. */
  readonly namespace: string;
  /** The given endpoint: it decides which of the objects below exist. */
  readonly endpoint: LlmEndpoint;
  /** The given models. A client gets the `tag` as PREFIX_MODEL. */
  readonly models: Readonly<Record<string, { readonly tag: string }>>;
  /** The Service: it selects the proxy, has no selector (with an EndpointSlice), or is an ExternalName. */
  readonly service: k8s.KubeService;
  /** The address of the machine behind the Service. Undefined for a proxy and for a DNS name. */
  readonly endpointSlice?: k8s.KubeEndpointSlice;
  /** Workload and connections of the proxy, if the endpoint is a proxy. */
  readonly proxy?: EndpointProxy;
  /** Keys of their own, by the name of the client. */
  private readonly keys = new Map<string, { readonly owner: IConstruct; readonly key: SecretKey }>();
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

  /** Lets a client reach the machine, and sets variables for its address and the model's tag. @throws on an unknown model */
  accept(client: Client, { model, ...name }: LlmConnection): void {
    const tag = this.tagOf(model, this);
    client.addConnection(
      name,
      { name: model, prefix: 'LLM' },
      {
        kind: 'model',
        fields: {
          host: this.endpoint.host ?? this.name,
          port: String(this.endpoint.port),
          baseUrl: `${this.url}/v1`,
          model: plainText(tag),
          apiKey: this.keyOf(client.name, client, client.namespace),
        },
      },
    );
    this.openFor(client.connections);
    if (client.namespace !== this.namespace) this.alias(client);
  }

  /**
   * API key for a client, which `connectTo` passes on. Undefined when the endpoint has none.
   * @throws when another client has the same name, such as one in another namespace
   */
  keyOf(name: string, owner: IConstruct, namespace: string): SecretKey | undefined {
    const { apiKey } = this.props;
    if (apiKey !== 'per-client') return apiKey;
    const known = this.keys.get(name);
    if (known && known.owner !== owner)
      fail(owner, {
        what: `the name of a client of ${this.node.path} must be its own, because its key has it`,
        got: `${name}, that of ${known.owner.node.path} too`,
        fix: 'give one of the two another name',
      });
    if (known) return known.key;
    const secret = new DeclaredSecret(this, `key-${name}`, {
      name: llmKeySecret(this.name, name),
      namespaces: [namespace],
      keys: { 'api-key': { generate: 'alphanumeric', length: 48 } },
    });
    const key = secret.key('api-key');
    this.keys.set(name, { owner, key });
    return key;
  }

  /** Name at the endpoint of one of the models. @throws on an unknown one, for `by` */
  tagOf(model: string, by: IConstruct): string {
    const known = this.models[model];
    if (known) return known.tag;
    return fail(by, {
      what: 'a client must connect to a declared model',
      got: model,
      allowed: Object.keys(this.models).join(', '),
      fix: 'add it to `models`, or correct the name',
    });
  }

  /** URL for clients, without a path: https://api.example.com. */
  get url(): string {
    return this.endpoint.url(this.name);
  }

  /** Lets a workload reach only the address of the machine. */
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

  /** Creates an alias of the same name in a client's namespace, once, in the first client's chart, under an id that does not depend on the client. */
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
