import { Duration } from 'cdk8s';
import { portProblem } from './names';
import { suggested } from './nearest';
import { commandProblem } from './processes';
import { sentence } from './problem';
import { textProblem } from './text';

/** Two paths: a service whose database is down is not ready, but a restart would not help. */
export interface HttpProbeProps {
  /** Answers 2xx or 3xx while the process is worth keeping. @default /healthz */
  readonly live?: string;
  /** Answers 2xx or 3xx while the process can take requests. @default /readyz */
  readonly ready?: string;
  /** Name of a port of the service, or a number. @default the service's first port */
  readonly port?: number | string;
  /** Headers of the request, such as Host. @default none but those of the kubelet */
  readonly headers?: Readonly<Record<string, string>>;
  /** With HTTPS the kubelet does not verify the certificate. @default HTTP */
  readonly scheme?: 'HTTP' | 'HTTPS';
  /** How long a start may take, 1 second to 1 hour. @default 1 minute */
  readonly startup?: Duration;
}

/** An open port counts as alive and as ready: for what speaks neither HTTP nor gRPC. */
export interface TcpProbeProps {
  /** Name of a port of the service, or a number. @default the service's first port */
  readonly port?: number | string;
  /** How long a start may take, 1 second to 1 hour. @default 1 minute */
  readonly startup?: Duration;
}

/** For a server that speaks grpc.health.v1; one answer counts as alive and as ready. */
export interface GrpcProbeProps {
  /** Name of a port of the service, or a number. @default the service's first port */
  readonly port?: number | string;
  /** Service name in the health protocol. @default the whole server */
  readonly service?: string;
  /** How long a start may take, 1 second to 1 hour. @default 1 minute */
  readonly startup?: Duration;
}

/** Commands that run in the container. Each run is a process of its own, so it should be a small one. */
export interface ExecProbeProps {
  /** Ends with 0 while the process is worth keeping. Runs without a shell. */
  readonly live: readonly string[];
  /** @default the same as live */
  readonly ready?: readonly string[];
  /** How long a start may take, 1 second to 1 hour. @default 1 minute */
  readonly startup?: Duration;
}

/** What the kubelet does to check a container. A port is a name or a number; the service's first port if undefined. */
export type ProbeAction =
  | {
      readonly http: {
        readonly path: string;
        readonly port?: number | string;
        readonly headers?: Readonly<Record<string, string>>;
        readonly scheme?: 'HTTP' | 'HTTPS';
      };
    }
  | { readonly tcp: { readonly port?: number | string } }
  | { readonly grpc: { readonly port?: number | string; readonly service: string } }
  | { readonly exec: { readonly command: readonly string[] } };

/**
 * How the kubelet checks a service. The other probes wait for the startup probe, so a slow start does not count as a hang. The
 * startup probe runs every 2 s, so a fast start is ready quickly.
 */
export class Probes {
  /** Probes by HTTP GET on two paths; any 2xx or 3xx is a success. */
  static http(props: HttpProbeProps = {}): Probes {
    const { live = '/healthz', ready = '/readyz', port, headers, scheme, startup, ...unknown } = props;
    const http = { port, headers, scheme };
    const [alive, isReady] = [{ http: { path: live, ...http } }, { http: { path: ready, ...http } }];
    return new Probes(alive, isReady, startup, undefined, unknown);
  }

  /** Probes by opening a TCP port, which does not check the application. */
  static tcp({ startup, port, ...unknown }: TcpProbeProps = {}): Probes {
    return new Probes({ tcp: { port } }, { tcp: { port } }, startup, undefined, unknown);
  }

  /** Probes by the health protocol of gRPC, which the server must implement. */
  static grpc({ startup, service = '', port, ...unknown }: GrpcProbeProps = {}): Probes {
    const action = { grpc: { port, service } };
    return new Probes(action, action, startup, undefined, unknown);
  }

  /** Probes by a command in the container. */
  static exec({ live, ready = live, startup, ...unknown }: ExecProbeProps): Probes {
    return new Probes({ exec: { command: live } }, { exec: { command: ready } }, startup, undefined, unknown);
  }

  /**
   * No probes: a container counts as ready when its process runs, and restarts only when it ends. The reason is an annotation of
   * the pods, as 'answers only its peers'.
   */
  static none(reason: string): Probes {
    return new Probes(undefined, undefined, undefined, reason);
  }

  private constructor(
    /** Fails when a restart would help. Undefined without probes. */
    readonly live: ProbeAction | undefined,
    /** Fails while no requests should arrive. Undefined without probes. */
    readonly ready: ProbeAction | undefined,
    /** How long a start may take. */
    readonly startup: Duration = Duration.minutes(1),
    /** Why there are none. Undefined with probes. */
    readonly reason?: string,
    /** Fields that no probe of the kind has; refused, because synth runs without a type check. */
    readonly unknown: Readonly<Record<string, unknown>> = {},
  ) {}
}

/** Fields of each kind of probes. */
const PROBE_FIELDS = {
  http: ['live', 'ready', 'port', 'headers', 'scheme', 'startup'],
  tcp: ['port', 'startup'],
  grpc: ['port', 'service', 'startup'],
  exec: ['live', 'ready', 'startup'],
} as const;

/** What is wrong with probes, as a sentence, or undefined. */
export function probesProblem(value: unknown, what: string): string | undefined {
  if (!(value instanceof Probes))
    return sentence({
      what: `${what} must be Probes`,
      got: value,
      allowed: 'Probes.http({ ... }), .grpc({ ... }), .tcp({ ... }), .exec({ ... }) or .none(reason)',
      fix: "write Probes.http({ live: '/healthz', ready: '/readyz' })",
    });
  if (value.live === undefined || value.ready === undefined) return reasonProblem(value.reason, `${what}.none`);
  return (
    unknownProblem(value.live, value.unknown, what) ??
    startupProblem(value.startup, `${what}.startup`) ??
    actionProblem(value.live, what, 'live') ??
    actionProblem(value.ready, what, 'ready')
  );
}

/** What is wrong with the reason of an exception, as a sentence, or undefined. */
export function reasonProblem(value: unknown, what: string): string | undefined {
  if (typeof value === 'string' && value.trim().length >= 3 && value.length <= 200 && !/[\r\n]/.test(value))
    return textProblem(value, what);
  return sentence({
    what: `${what} must give a reason`,
    got: value,
    allowed: '3 to 200 characters on one line',
    fix: 'say why it is needed: the reason stands in the rendering',
  });
}

function unknownProblem(
  action: ProbeAction,
  unknown: Readonly<Record<string, unknown>>,
  what: string,
): string | undefined {
  const [field] = Object.keys(unknown);
  if (field === undefined) return undefined;
  const kind = (['http', 'tcp', 'grpc', 'exec'] as const).find((each) => each in action)!;
  const known: readonly string[] = PROBE_FIELDS[kind];
  return sentence({
    what: `${what}.${field} must be a field of Probes.${kind}`,
    got: unknown[field],
    allowed: known.join(', '),
    fix: suggested(field, known, 'correct the name or remove it'),
  });
}

/** The kubelet's counters are whole numbers, and more than an hour hides a start that hangs. */
function startupProblem(value: unknown, what: string): string | undefined {
  const seconds =
    typeof (value as Partial<Duration> | null)?.toSeconds === 'function'
      ? (value as Duration).toSeconds({ integral: false })
      : NaN;
  if (seconds >= 1 && seconds <= 3600) return undefined;
  return sentence({
    what: `${what} must be a Duration from 1 second to 1 hour`,
    got: Number.isFinite(seconds) ? `${seconds} s` : value,
    fix: 'write Duration.minutes(5)',
  });
}

function actionProblem(action: ProbeAction, what: string, which: 'live' | 'ready'): string | undefined {
  if ('exec' in action) return commandProblem(action.exec.command, `${what}.${which}`);
  const { port } = 'http' in action ? action.http : 'tcp' in action ? action.tcp : action.grpc;
  const wrong = typeof port === 'number' ? portProblem(port, `${what}.port`) : undefined;
  if (wrong !== undefined) return wrong;
  if ('grpc' in action) return textProblem(action.grpc.service, `${what}.service`);
  if ('tcp' in action) return undefined;
  return pathProblem(action.http.path, `${what}.${which}`) ?? headersProblem(action.http, what);
}

function pathProblem(path: unknown, what: string): string | undefined {
  if (typeof path === 'string' && /^\/[!-~]*$/.test(path)) return undefined;
  return sentence({ what: `${what} must be the path of a URL`, got: path, fix: 'write it like /healthz' });
}

/** Names of headers as the API server checks them (apimachinery's IsHTTPHeaderName). */
function headersProblem({ headers = {}, scheme }: HttpProbeProps, what: string): string | undefined {
  if (scheme !== undefined && scheme !== 'HTTP' && scheme !== 'HTTPS')
    return sentence({ what: `${what}.scheme must be HTTP or HTTPS`, got: scheme, fix: "write scheme: 'HTTPS'" });
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    return sentence({
      what: `${what}.headers must be an object of values by name`,
      got: headers,
      fix: "write it as { 'X-Probe': '1' }",
    });
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[-A-Za-z0-9]+$/.test(name))
      return sentence({
        what: `${what}.headers must have names of letters, digits and -`,
        got: name,
        fix: 'write it like X-Probe',
      });
    // eslint-disable-next-line no-control-regex
    if (typeof value !== 'string' || /[\x00-\x1f\x7f]/.test(value))
      return sentence({
        what: `${what}.headers.${name} must be text on one line`,
        got: value,
        fix: 'write it in quotes',
      });
    const wrong = textProblem(value, `${what}.headers.${name}`);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
