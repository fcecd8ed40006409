import { k8s } from 'cdk8s-plus-28';
import type { ProbeAction, Probes } from '../values/probes';

/** The probes of a container. */
export type ContainerProbes = Pick<k8s.Container, 'startupProbe' | 'livenessProbe' | 'readinessProbe'>;

/** As a container takes them: every 2 s until it has started, then live every 10 s and ready every 5 s. */
export function containerProbes({ live, ready, startup }: Probes): ContainerProbes {
  if (live === undefined || ready === undefined) return {};
  const period = 2;
  return {
    startupProbe: {
      ...action(live),
      periodSeconds: period,
      timeoutSeconds: 3,
      failureThreshold: Math.max(1, Math.ceil(startup.toSeconds({ integral: false }) / period)),
    },
    // Three failures in 30 s restart it; a restart costs more than a short stall.
    livenessProbe: { ...action(live), periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 },
    readinessProbe: { ...action(ready), periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
  };
}

function action(probe: ProbeAction): Pick<k8s.Probe, 'httpGet' | 'tcpSocket' | 'grpc' | 'exec'> {
  if ('exec' in probe) return { exec: { command: [...probe.exec.command] } };
  if ('grpc' in probe) return { grpc: { port: Number(probe.grpc.port), service: probe.grpc.service } };
  if ('tcp' in probe) return { tcpSocket: { port: port(probe.tcp.port) } };
  const { path, headers, scheme } = probe.http;
  return {
    httpGet: {
      path,
      port: port(probe.http.port),
      scheme,
      httpHeaders: headers && Object.entries(headers).map(([name, value]) => ({ name, value })),
    },
  };
}

function port(value: number | string = 'http'): k8s.IntOrString {
  return typeof value === 'number' ? k8s.IntOrString.fromNumber(value) : k8s.IntOrString.fromString(value);
}
