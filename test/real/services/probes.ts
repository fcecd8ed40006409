import { Duration } from 'cdk8s';
import { MicroserviceDeployment, Probes, type MicroserviceDeploymentProps } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Pod } from '../node/pod';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { GRPC_APP, HTTP_APP, WORKER } from './programs';

type Case = Omit<MicroserviceDeploymentProps, 'image'> & { readonly image?: string };

const startup = Duration.seconds(6);

/** Services whose probes can succeed. */
const GOOD: Readonly<Record<string, Case>> = {
  defaults: {},
  'other-paths': { probes: Probes.http({ live: '/env', ready: '/healthz' }) },
  'other-port': { port: 9000, env: { PORT: '9000' } },
  'a-header': { probes: Probes.http({ live: '/headers', ready: '/headers', headers: { 'X-Probe': 'yes' } }) },
  'a-slow-start': { env: { READY_AFTER: '4' }, probes: Probes.http({ startup: Duration.seconds(30) }) },
  tcp: { probes: Probes.tcp() },
  grpc: { image: GRPC_APP, port: 50051, probes: Probes.grpc({ port: 50051 }) },
  'grpc-one-service': {
    image: GRPC_APP,
    port: 50051,
    args: ['health', '-service', 'chat.v1.Chat'],
    probes: Probes.grpc({ port: 50051, service: 'chat.v1.Chat' }),
  },
  command: {
    image: WORKER,
    probes: Probes.exec({ live: ['/usr/local/bin/node', '-e', 'require("fs").statSync("/tmp/heartbeat")'] }),
  },
};

/** Services whose probes never can, and what the kubelet then says. */
const BAD: Readonly<Record<string, readonly [Case, says: RegExp]>> = {
  'wrong-path': [{ probes: Probes.http({ live: '/health', startup }) }, /statuscode: 404/],
  'wrong-port': [{ port: 9000, probes: Probes.http({ startup }) }, /connection refused/],
  'no-header': [{ probes: Probes.http({ live: '/headers', ready: '/headers', startup }) }, /statuscode: 403/],
  'https-of-http': [{ probes: Probes.http({ scheme: 'HTTPS', startup }) }, /HTTP response to HTTPS client/],
  'too-slow': [{ env: { READY_AFTER: '60' }, probes: Probes.http({ startup }) }, /statuscode: 503/],
  'tcp-closed': [{ port: 9000, probes: Probes.tcp({ startup }) }, /connection refused/],
  'grpc-of-http': [{ probes: Probes.grpc({ port: 8080, startup }) }, /timeout|connect|error/],
  'grpc-other-service': [
    { image: GRPC_APP, port: 50051, probes: Probes.grpc({ port: 50051, service: 'other', startup }) },
    /UNKNOWN|unknown service|NOT_FOUND|error/i,
  ],
};

/** Each kind of probe becomes ready where it can, and ends the container where it never can. */
export function probes(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      for (const [name, props] of Object.entries(GOOD))
        new MicroserviceDeployment(chart, name, { image: HTTP_APP, ...props });
      for (const [name, [props]] of Object.entries(BAD))
        new MicroserviceDeployment(chart, name, { image: HTTP_APP, ...props });
    },
    async (bench) => {
      const bad = Object.keys(BAD).map((name): readonly [string, Pod] => [name, bench.run(name)]);
      const good = await bench.ready(...Object.keys(GOOD));
      for (const pod of good) bench.check(`${pod.name} is ready without a restart`, pod.restarts === 0, bench.logs());
      for (const [name, pod] of bad) {
        const [container] = pod.containers;
        await until(
          `${name} is ended by its startup probe`,
          40,
          async () => container!.killedByProbe > 0,
          () => bench.logs(),
        );
        const says = container!.killedBecause ?? '';
        bench.check(`${name} never is ready, and the kubelet says why`, !pod.ready && BAD[name]![1].test(says), says);
      }
    },
  );
}
