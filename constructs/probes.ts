import { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';

/** Two paths: a service whose database is down is not ready, but a restart would not help. */
export interface HttpProbeProps {
  /** Answers 2xx while the process is worth keeping. @default /healthz */
  readonly live?: string;
  /** Answers 2xx while the process can take requests. @default /readyz */
  readonly ready?: string;
  /** Named or numbered port. @default the service's own */
  readonly port?: number | string;
  /** How long a start may take. @default 1 minute */
  readonly startup?: Duration;
}

/** An open port counts as alive and as ready: for what speaks neither HTTP nor gRPC. */
export interface TcpProbeProps {
  /** Named or numbered port. @default the service's own */
  readonly port?: number | string;
  /** How long a start may take. @default 1 minute */
  readonly startup?: Duration;
}

/** For a server that speaks grpc.health.v1; one answer counts as alive and as ready. */
export interface GrpcProbeProps {
  /** A number: gRPC probes take no port name. */
  readonly port: number;
  /** Service name in the health protocol. @default the whole server */
  readonly service?: string;
  /** How long a start may take. @default 1 minute */
  readonly startup?: Duration;
}

/** Commands that run in the container. Each run is a process of its own, so it should be a small one. */
export interface ExecProbeProps {
  /** Ends with 0 while the process is worth keeping. Runs without a shell. */
  readonly live: readonly string[];
  /** @default the same as live */
  readonly ready?: readonly string[];
  /** How long a start may take. @default 1 minute */
  readonly startup?: Duration;
}

type Action = Pick<k8s.Probe, 'httpGet' | 'tcpSocket' | 'grpc' | 'exec'>;

/** The probes of a container. */
export type ContainerProbes = Pick<k8s.Container, 'startupProbe' | 'livenessProbe' | 'readinessProbe'>;

/**
 * How the kubelet checks a service. The other probes wait for the startup probe, so a slow start does not count as a hang. The
 * startup probe runs every 2 s, so a fast start is ready quickly.
 */
export class Probes {
  /** Probes by HTTP GET on two paths; any 2xx or 3xx is a success. */
  static http(props: HttpProbeProps = {}): Probes {
    const get = (path: string): Action => ({ httpGet: { path, port: port(props.port ?? 'http') } });
    return new Probes(get(props.live ?? '/healthz'), get(props.ready ?? '/readyz'), props.startup);
  }

  /** Probes by opening a TCP port, which does not check the application. */
  static tcp(props: TcpProbeProps = {}): Probes {
    const action: Action = { tcpSocket: { port: port(props.port ?? 'http') } };
    return new Probes(action, action, props.startup);
  }

  /** Probes by the health protocol of gRPC, which the server must implement. */
  static grpc(props: GrpcProbeProps): Probes {
    const action: Action = { grpc: { port: props.port, service: props.service ?? '' } };
    return new Probes(action, action, props.startup);
  }

  /** Probes by a command in the container. */
  static exec(props: ExecProbeProps): Probes {
    const run = (command: readonly string[]): Action => ({ exec: { command: [...command] } });
    return new Probes(run(props.live), run(props.ready ?? props.live), props.startup);
  }

  private constructor(
    private readonly live: Action,
    private readonly ready: Action,
    /** How long a start may take. */
    readonly startup: Duration = Duration.minutes(1),
  ) {}

  /** As a container takes them: every 2 s until it has started, then live every 10 s and ready every 5 s. */
  render(): ContainerProbes {
    const period = 2;
    return {
      startupProbe: {
        ...this.live,
        periodSeconds: period,
        timeoutSeconds: 3,
        failureThreshold: Math.max(1, Math.ceil(this.startup.toSeconds() / period)),
      },
      // Three failures in 30 s restart it; a restart costs more than a short stall.
      livenessProbe: { ...this.live, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 },
      readinessProbe: { ...this.ready, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
    };
  }
}

function port(value: number | string): k8s.IntOrString {
  return typeof value === 'number' ? k8s.IntOrString.fromNumber(value) : k8s.IntOrString.fromString(value);
}
