import { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { containerProbes } from '../../constructs/probes';
import { portsOf } from '../../values/ports';
import { Probes } from '../../values/probes';

const ports = portsOf({});
const named = k8s.IntOrString.fromString;
const numbered = k8s.IntOrString.fromNumber;

test('probes a start every 2 s for a minute, restarts after 30 s without an answer, and is not ready after 10 s', () => {
  const { startupProbe, livenessProbe, readinessProbe } = containerProbes(Probes.tcp(), ports);
  const action = { tcpSocket: { port: named('http') } };
  expect(startupProbe).toEqual({ ...action, periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 30 });
  expect(livenessProbe).toEqual({ ...action, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 });
  expect(readinessProbe).toEqual({ ...action, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 });
});

test.each([
  [Duration.minutes(5), 150],
  // At least as long as it says, and once at least.
  [Duration.seconds(3), 2],
  [Duration.seconds(1), 1],
])('a start may take %s', (startup, failureThreshold) => {
  expect(containerProbes(Probes.http({ startup }), ports).startupProbe).toMatchObject({
    periodSeconds: 2,
    failureThreshold,
  });
});

test('HTTP probes use different paths for live and ready', () => {
  const { startupProbe, livenessProbe, readinessProbe } = containerProbes(Probes.http(), ports);
  expect(startupProbe!.httpGet).toEqual({ path: '/healthz', port: named('http') });
  expect(livenessProbe!.httpGet).toEqual({ path: '/healthz', port: named('http') });
  expect(readinessProbe!.httpGet).toEqual({ path: '/readyz', port: named('http') });
  const own = containerProbes(Probes.http({ live: '/live', ready: '/ready', port: 9000 }), ports);
  expect(own.livenessProbe!.httpGet).toEqual({ path: '/live', port: numbered(9000) });
  expect(own.readinessProbe!.httpGet).toEqual({ path: '/ready', port: numbered(9000) });
});

test('gRPC and TCP probes are the same for live and ready', () => {
  const grpc = containerProbes(Probes.grpc({ port: 50051, service: 'chat' }), ports);
  for (const probe of Object.values(grpc)) expect(probe.grpc).toEqual({ port: 50051, service: 'chat' });
  expect(containerProbes(Probes.grpc({ port: 1 }), ports).livenessProbe!.grpc).toEqual({ port: 1, service: '' });
  for (const probe of Object.values(containerProbes(Probes.tcp({ port: 25 }), ports)))
    expect(probe.tcpSocket).toEqual({ port: numbered(25) });
});

test('command probes use one command for both, or one for each', () => {
  expect(containerProbes(Probes.exec({ live: ['a'] }), ports).readinessProbe!.exec).toEqual({ command: ['a'] });
  const { livenessProbe, readinessProbe } = containerProbes(Probes.exec({ live: ['a'], ready: ['b', 'c'] }), ports);
  expect([livenessProbe!.exec, readinessProbe!.exec]).toEqual([{ command: ['a'] }, { command: ['b', 'c'] }]);
});
