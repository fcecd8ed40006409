import { fieldsProblem, wordOf } from './fields';
import { portProblem } from './names';
import { Probes, type ProbeAction } from './probes';
import { sentence } from './problem';

/** What a port speaks. HTTP and gRPC are TCP; clients get a URL of HTTP ports only. */
export type PortProtocol = 'http' | 'grpc' | 'tcp' | 'udp';

/** One port of a service. */
export interface PortOptions {
  /** Port on which the container listens, 1 to 65535. */
  readonly port: number;
  /** Port of the Service, which clients use, 1 to 65535. @default that of the container */
  readonly service?: number;
  /** @default http */
  readonly protocol?: PortProtocol;
}

/** Ports by name, as `{ http: 3000, ssh: { port: 2222, service: 22, protocol: 'tcp' } }`. The first one is the default of connections, routes and probes. */
export type Ports = Readonly<Record<string, number | PortOptions>>;

/** A port with its defaults. */
export interface ServicePort {
  /** Name in `ports`, and of the port of the Service. */
  readonly name: string;
  /** Port on which the container listens. */
  readonly container: number;
  /** Port of the Service. */
  readonly service: number;
  /** What the port speaks. */
  readonly protocol: PortProtocol;
}

/** Port of a service that names none. */
const DEFAULT_PORT = 8080;
/** More are a mistake: a range of ports cannot be a Service. */
const MAX_PORTS = 20;

/** The ports of a server; a worker has none. */
export function portsOf({
  kind,
  port = DEFAULT_PORT,
  ports = { http: port },
}: {
  readonly kind?: string;
  readonly port?: number;
  readonly ports?: Ports;
}): ServicePort[] {
  if (kind !== undefined && kind !== 'server') return [];
  return Object.entries(ports).map(([name, given]) => {
    const {
      port: container,
      service = container,
      protocol = 'http',
    } = typeof given === 'number' ? { port: given } : given;
    return { name, container, service, protocol };
  });
}

/** TCP or UDP, as Kubernetes names it. */
export function transportOf({ protocol }: ServicePort): 'TCP' | 'UDP' {
  return protocol === 'udp' ? 'UDP' : 'TCP';
}

/** What is wrong with the ports of a service, as a sentence, or undefined. */
export function portsProblem(value: unknown, what: string): string | undefined {
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length === 0 || entries.length > MAX_PORTS)
    return sentence({
      what: `${what} must be ports by name`,
      got: value,
      allowed: `1 to ${MAX_PORTS}`,
      fix: "write ports: { http: 8080, ssh: { port: 2222, service: 22, protocol: 'tcp' } }",
    });
  for (const [name, port] of entries) {
    const problem =
      portNameProblem(name, `the name ${what}.${name}`) ??
      onePortProblem(port, `${what}.${name}`) ??
      silentProtocolProblem(name, port, `${what}.${name}`);
    if (problem !== undefined) return problem;
  }
  const all = portsOf({ ports: value as Ports });
  return twice(all, 'container', what) ?? twice(all, 'service', what);
}

/** IANA service name, as the API server checks names of ports. */
export function portNameProblem(name: unknown, what: string): string | undefined {
  const isName =
    typeof name === 'string' &&
    /^(?=.*[a-z])[a-z0-9](?:[a-z0-9]|-(?!-))*$/.test(name) &&
    name.length <= 15 &&
    !name.endsWith('-');
  if (isName) return undefined;
  return sentence({
    what: `${what} must be the name of a port`,
    got: name,
    allowed: '1 to 15 of a-z, 0-9 and -, with a letter; no - first, last or twice in a row',
    fix: 'write it like grpc or admin-http',
  });
}

function onePortProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'object') return portProblem(value, what);
  const fields = { port: portProblem, service: portProblem, protocol: wordOf('http', 'grpc', 'tcp', 'udp') };
  return fieldsProblem<PortOptions>(value, what, fields, ['port']);
}

/** A name says nothing to Kubernetes: without `protocol` requests and probes would be HTTP/1.1, which a gRPC server does not answer. */
function silentProtocolProblem(name: string, port: number | PortOptions, what: string): string | undefined {
  if (!/^grpc/.test(name) || (typeof port === 'object' && port.protocol !== undefined)) return undefined;
  return sentence({
    what: `${what} must say its protocol`,
    got: port,
    allowed: 'http, grpc, tcp, udp',
    fix: `write ${name}: { port: ${typeof port === 'number' ? port : port.port}, protocol: 'grpc' }`,
  });
}

function twice(ports: readonly ServicePort[], of: 'container' | 'service', what: string): string | undefined {
  const second = ports.find((port, index) =>
    ports.slice(0, index).some((other) => other[of] === port[of] && transportOf(other) === transportOf(port)),
  );
  if (second === undefined) return undefined;
  const side = of === 'container' ? 'port' : 'service';
  return sentence({
    what: `${what}.${second.name}.${side} must be a ${transportOf(second)} port of its own`,
    got: `${second[of]}, which another one has`,
    fix: of === 'container' ? 'give one of the two another port' : 'give one of the two another `service` port',
  });
}

/** What is wrong with the ports of probes, as a sentence, or undefined. */
export function probePortsProblem(probes: Probes, ports: readonly ServicePort[], what: string): string | undefined {
  for (const action of [probes.live, probes.ready]) {
    if (action === undefined || 'exec' in action) continue;
    const { port } = addressOf(action);
    if (typeof port === 'number') continue;
    const usable = ports.filter(({ protocol }) => protocol !== 'udp');
    if (port === undefined ? usable.length > 0 : usable.some(({ name }) => name === port)) continue;
    return sentence({
      what: `${what}.port must be the name of a TCP port of the service`,
      got: port,
      allowed: usable.map(({ name }) => name).join(', ') || 'none exists',
      fix: usable.length > 0 ? 'name one of them, or write its number' : "write Probes.exec({ live: ['...'] })",
    });
  }
  return undefined;
}

function addressOf(action: Exclude<ProbeAction, { exec: unknown }>): { readonly port?: number | string } {
  if ('http' in action) return action.http;
  return 'tcp' in action ? action.tcp : action.grpc;
}

/** Probes of a service that names none: by the protocol of its first port. Undefined if it has no TCP port. */
export function defaultProbes(ports: readonly ServicePort[]): Probes | undefined {
  const first = ports.find(({ protocol }) => protocol !== 'udp');
  if (first === undefined) return undefined;
  const of = { http: Probes.http, grpc: Probes.grpc, tcp: Probes.tcp, udp: Probes.tcp };
  return of[first.protocol]();
}
