import { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { Probes } from '../../constructs/probes';

const named = k8s.IntOrString.fromString;
const numbered = k8s.IntOrString.fromNumber;

test('probes a start every 2 s for a minute, restarts after 30 s without an answer, and is not ready after 10 s', () => {
  const { startupProbe, livenessProbe, readinessProbe } = Probes.tcp().render();
  const action = { tcpSocket: { port: named('http') } };
  expect(startupProbe).toEqual({ ...action, periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 30 });
  expect(livenessProbe).toEqual({ ...action, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 });
  expect(readinessProbe).toEqual({ ...action, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 });
});

test.each([
  [Duration.minutes(5), 150],
  // At least as long as it says, and once at least.
  [Duration.seconds(3), 2],
  [Duration.millis(0), 1],
])('a start may take %s', (startup, failureThreshold) => {
  expect(Probes.http({ startup }).render().startupProbe).toMatchObject({ periodSeconds: 2, failureThreshold });
});

test('HTTP probes use different paths for live and ready', () => {
  const { startupProbe, livenessProbe, readinessProbe } = Probes.http().render();
  expect(startupProbe!.httpGet).toEqual({ path: '/healthz', port: named('http') });
  expect(livenessProbe!.httpGet).toEqual({ path: '/healthz', port: named('http') });
  expect(readinessProbe!.httpGet).toEqual({ path: '/readyz', port: named('http') });
  const own = Probes.http({ live: '/live', ready: '/ready', port: 9000 }).render();
  expect(own.livenessProbe!.httpGet).toEqual({ path: '/live', port: numbered(9000) });
  expect(own.readinessProbe!.httpGet).toEqual({ path: '/ready', port: numbered(9000) });
});

test('gRPC and TCP probes are the same for live and ready', () => {
  const grpc = Probes.grpc({ port: 50051, service: 'chat' }).render();
  for (const probe of Object.values(grpc)) expect(probe.grpc).toEqual({ port: 50051, service: 'chat' });
  expect(Probes.grpc({ port: 1 }).render().livenessProbe!.grpc).toEqual({ port: 1, service: '' });
  for (const probe of Object.values(Probes.tcp({ port: 25 }).render()))
    expect(probe.tcpSocket).toEqual({ port: numbered(25) });
});

test('command probes use one command for both, or one for each', () => {
  expect(Probes.exec({ live: ['a'] }).render().readinessProbe!.exec).toEqual({ command: ['a'] });
  const { livenessProbe, readinessProbe } = Probes.exec({ live: ['a'], ready: ['b', 'c'] }).render();
  expect([livenessProbe!.exec, readinessProbe!.exec]).toEqual([{ command: ['a'] }, { command: ['b', 'c'] }]);
});
