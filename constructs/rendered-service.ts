import { ApiObject, Chart } from 'cdk8s';
import { Construct, type IConstruct } from 'constructs';
import { prefixOfName } from '../values/connection-fields';
import { Connections, type Client, type Connectable, type ConnectionName } from './connections';
import { jsonOf, type Json } from './rendering';
import { fail } from './validation';
import { podSpecOf } from './footprint';

/** Which port a client uses, and the name of the connection. */
export interface RenderedServiceConnection extends ConnectionName {
  /** Name or number of a port of the Service. @default the first */
  readonly port?: string | number;
}

/**
 * A Service that no construct of this library made, such as one of a Helm chart, as a target of connections: clients get its
 * address, and a NetworkPolicy lets them reach its pods.
 */
export class RenderedService extends Construct implements Connectable<RenderedServiceConnection | undefined> {
  /** The target for a Service of a chart, made once. @throws when the chart renders no such Service, or one without a selector */
  static of(chart: Chart, name: string): RenderedService {
    const id = `clients-of-${name}`;
    const known = chart.node.tryFindChild(id);
    return known instanceof RenderedService ? known : new RenderedService(chart, id, name);
  }

  /** Name of the Service. */
  readonly name: string;
  /** Its namespace. */
  readonly namespace: string;
  /** NetworkPolicy of the pods behind it. It is added to other policies, and lets in clients only. */
  readonly connections: Connections;
  private readonly spec: Json;

  private constructor(chart: Chart, id: string, name: string) {
    super(chart, id);
    const services = objectsOf(chart).filter(({ kind }) => kind === 'Service');
    const service = services.find((object) => object.name === name);
    if (service === undefined)
      fail(this, {
        what: `the chart ${chart.node.id} must render the Service`,
        got: name,
        allowed: services.map((object) => object.name).join(', ') || 'it renders none',
        fix: 'name one of its Services',
      });
    const { metadata, spec } = jsonOf(service);
    if (spec.selector === undefined)
      fail(this, {
        what: `Service ${name} must select pods`,
        got: 'no selector',
        fix: 'connect to a Service with a selector',
      });
    this.name = name;
    this.namespace = metadata.namespace;
    this.spec = spec;
    this.connections = new Connections(this, 'connections', {
      name: id,
      namespace: this.namespace,
      selector: spec.selector,
      labels: {},
    });
  }

  /** Connects a client, which gets NAME_HOST, NAME_PORT and NAME_URL. */
  accept(client: Client, options: RenderedServiceConnection = {}): void {
    const used = this.portOf(options.port);
    const host = `${this.name}.${this.namespace}.svc.cluster.local`;
    const address = `${host}:${used.port}`;
    client.addConnection(
      options,
      { name: this.name, prefix: prefixOfName(this.name) },
      { kind: 'service', fields: { host, port: String(used.port), url: `http://${address}`, address } },
    );
    const protocol = used.protocol === 'UDP' ? 'UDP' : 'TCP';
    client.connections.allowTo(this.connections.peer, { port: this.podPort(used), protocol });
    this.connections.allowFrom(client.connections.peer, { port: this.podPort(used), protocol });
  }

  private portOf(wanted: string | number | undefined): Json {
    const ports: readonly Json[] = this.spec.ports ?? [];
    const found = wanted === undefined ? ports[0] : ports.find(({ name, port }) => name === wanted || port === wanted);
    if (found !== undefined) return found;
    return fail(this, {
      what: `Service ${this.name} must have the port of a connection`,
      got: wanted,
      allowed: ports.map(({ name, port }) => (name === undefined ? port : `${name} (${port})`)).join(', ') || 'none',
      fix: 'name one of its ports',
    });
  }

  /** Policies see the port of the pods, not that of the Service. */
  private podPort({ port, targetPort = port }: Json): number {
    if (typeof targetPort === 'number') return targetPort;
    const container = objectsOf(Chart.of(this))
      .map(jsonOf)
      .filter((object) => podSpecOf(object) !== undefined && this.selects(object))
      .flatMap((object) => podSpecOf(object)!.containers as Json[])
      .flatMap(({ ports = [] }) => ports as Json[])
      .find(({ name }) => name === targetPort);
    if (container !== undefined) return container.containerPort;
    return fail(this, {
      what: `a container behind Service ${this.name} must have the port`,
      got: targetPort,
      fix: 'give the Service a number as targetPort, or the container a port of that name',
    });
  }

  private selects({ kind, metadata, spec }: Json): boolean {
    const labels = (kind === 'Pod' ? metadata : spec.template?.metadata)?.labels ?? {};
    return Object.entries(this.spec.selector).every(([key, value]) => labels[key] === value);
  }
}

function objectsOf(scope: IConstruct): ApiObject[] {
  return scope.node.findAll().filter(ApiObject.isApiObject);
}
