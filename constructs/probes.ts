import { k8s } from 'cdk8s-plus-28';
import type { ServicePort } from '../values/ports';
import type { ProbeAction, Probes } from '../values/probes';
import { filled } from './rendering';

/** The probes of a container. */
export type ContainerProbes = Pick<k8s.Container, 'startupProbe' | 'livenessProbe' | 'readinessProbe'>;

/** As a container takes them: every 2 s until it has started, then live every 10 s and ready every 5 s. */
export function containerProbes({ live, ready, startup }: Probes, ports: readonly ServicePort[]): ContainerProbes {
  if (live === undefined || ready === undefined) return {};
  const period = 2;
  return {
    startupProbe: {
      ...action(live, ports),
      periodSeconds: period,
      timeoutSeconds: 3,
      failureThreshold: Math.max(1, Math.ceil(startup.toSeconds({ integral: false }) / period)),
    },
    // Three failures in 30 s restart it; a restart costs more than a short stall.
    livenessProbe: { ...action(live, ports), periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 },
    readinessProbe: { ...action(ready, ports), periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
  };
}

function action(
  probe: ProbeAction,
  ports: readonly ServicePort[],
): Pick<k8s.Probe, 'httpGet' | 'tcpSocket' | 'grpc' | 'exec'> {
  if ('exec' in probe) return { exec: { command: [...probe.exec.command] } };
  if ('grpc' in probe) return { grpc: { port: numberOf(probe.grpc.port, ports), service: probe.grpc.service } };
  if ('tcp' in probe) return { tcpSocket: { port: portOf(probe.tcp.port, ports) } };
  const { path, port, headers, scheme } = probe.http;
  return {
    httpGet: {
      path,
      port: portOf(port, ports),
      scheme,
      httpHeaders: filled(Object.entries(headers ?? {}).map(([name, value]) => ({ name, value }))),
    },
  };
}

function firstOf(ports: readonly ServicePort[]): string {
  return ports.find(({ protocol }) => protocol !== 'udp')?.name ?? '';
}

function portOf(value: number | string | undefined, ports: readonly ServicePort[]): k8s.IntOrString {
  return typeof value === 'number'
    ? k8s.IntOrString.fromNumber(value)
    : k8s.IntOrString.fromString(value ?? firstOf(ports));
}

/** gRPC probes take no port name. */
function numberOf(value: number | string | undefined, ports: readonly ServicePort[]): number {
  return typeof value === 'number' ? value : ports.find(({ name }) => name === (value ?? firstOf(ports)))!.container;
}
