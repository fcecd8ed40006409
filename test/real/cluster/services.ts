import { App, Chart, Duration } from 'cdk8s';
import { MicroserviceDeployment, Probes, ScheduledJob } from '../../../constructs';
import { cronProblem } from '../../../values/cron';
import { portNameProblem } from '../../../values/ports';
import { timeZoneProblem } from '../../../values/schedule';
import type { Tally } from '../tally';
import type { Client, Json } from './client';
import { until } from './processes';

const namespace = 'service-kinds';
const image = 'ghcr.io/owner/app:1.0.0';

/** Every kind of service, with every option that renders something of its own. */
function rendered(): Json[] {
  const chart = new Chart(new App(), namespace, { namespace, disableResourceNameHashes: true });
  const server = new MicroserviceDeployment(chart, 'server', {
    image,
    ports: {
      http: 80,
      grpc: { port: 7070, service: 70, protocol: 'grpc' },
      dns: { port: 53, protocol: 'udp' },
      'dns-tcp': { port: 53, protocol: 'tcp' },
      metrics: 9100,
    },
    probes: Probes.http({ port: 'http', headers: { Host: 'app' }, scheme: 'HTTPS', startup: Duration.minutes(5) }),
    drain: Duration.seconds(10),
    autoscaling: { minReplicas: 2, maxReplicas: 4 },
    files: { '/etc/app/app.yaml': 'level: info' },
    beforeRollout: { command: ['migrate'] },
    initContainers: { unpack: { command: ['unpack'] } },
    sidecars: { proxy: { image: 'ghcr.io/owner/proxy:1.0.0' } },
    devices: { 'gpu.intel.com/i915': 1 },
    on: 'talos-worker-01',
    allow: { root: 'its entrypoint changes owners', writableRoot: 'unpacks its themes' },
    capabilities: { CHOWN: 'of its cache' },
  });
  const grpc = new MicroserviceDeployment(chart, 'grpc', {
    image,
    ports: { grpc: { port: 7070, protocol: 'grpc' } },
  });
  const worker = new MicroserviceDeployment(chart, 'worker', {
    image,
    kind: 'worker',
    probes: Probes.exec({ live: ['alive'] }),
  });
  const job = new ScheduledJob(chart, 'nightly', { image, schedule: '30 3 * * *', timeZone: 'Europe/Berlin' });
  for (const client of [grpc, worker, job]) client.connectTo(server);
  return chart.toJson();
}

/** The API server accepts every kind of service unchanged, and judges schedules, time zones and names of ports as we do. */
export async function servicesAccepted(client: Client, tally: Tally): Promise<void> {
  await client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const object of rendered()) {
    const what = `${object.kind} ${object.metadata.name}`;
    const first = await client.apply(object);
    tally.check(`${what} is accepted`, first.status < 300, String(first.body.message));
    const second = await client.apply(object);
    const same = first.body.metadata?.generation === second.body.metadata?.generation;
    tally.check(
      `a second apply of ${what} changes nothing`,
      second.status === 200 && same,
      String(second.body.message),
    );
  }
  const kept = await client.ask('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/server`);
  const { preStop } = kept.spec.template.spec.containers[0].lifecycle;
  tally.check('the native sleep is kept', preStop.sleep?.seconds === 10, JSON.stringify(preStop));
  const sidecar = kept.spec.template.spec.initContainers[0];
  tally.check('the sidecar is native', sidecar.restartPolicy === 'Always', JSON.stringify(sidecar.restartPolicy));
  for (const schedule of SCHEDULES) await agrees(schedule, { schedule }, cronProblem(schedule, 'schedule'));
  for (const timeZone of ZONES) await agrees(timeZone, { timeZone }, timeZoneProblem(timeZone, 'timeZone'));
  // A Service accepts more names, but its container ports have the same.
  for (const name of PORT_NAMES) {
    const labels = { app: 'judged' };
    const containers = [{ name: 'a', image, ports: [{ name, containerPort: 80 }] }];
    const spec = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } };
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'judged' }, spec };
    await judge('port', `/apis/apps/v1/namespaces/${namespace}/deployments`, body, name, portNameProblem(name, 'port'));
  }
  // No node has the device, so their pods would wait through the rest of the suite.
  await client.delete({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await until('the namespace is gone', 60, async () => {
    return (await client.request('GET', `/api/v1/namespaces/${namespace}`)).status === 404;
  });

  async function agrees(what: string, spec: Json, problem: string | undefined): Promise<void> {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image }] } };
    const body = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'judged' },
      spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template } }, ...spec },
    };
    await judge('CronJob', `/apis/batch/v1/namespaces/${namespace}/cronjobs`, body, what, problem);
  }

  async function judge(kind: string, path: string, body: Json, what: string, ours: string | undefined): Promise<void> {
    const { status, body: answer } = await client.request('POST', `${path}?dryRun=All`, body);
    const accepted = status < 300;
    tally.check(
      `${kind} with ${JSON.stringify(what)} is ${accepted ? 'accepted' : 'refused'} by both`,
      accepted === (ours === undefined) && [201, 422].includes(status),
      `the API server: ${status} ${answer.message ?? ''}; ours: ${ours ?? 'no problem'}`,
    );
  }
}

/** Without those that it accepts and that never come or that we want written otherwise. */
const SCHEDULES = [
  ...['0 3 * * *', '*/15 * * * *', '5/10 0-6,22-23 1-31/2 jan-MAR mon,WED-fri', '? ? ? ? ?', '0 0 31 2 1', '@daily'],
  ...['', '0 3 * *', '60 3 * * *', '0 24 * * *', '0 0 0 * *', '0 0 * 13 *', '0 0 * * 7', '0 0 * * sunday'],
  ...['*/0 * * * *', '30-10 * * * *', '0 0 L * *', '1-2-3 * * * *', 'TZ=Europe/Berlin 0 3 * * *', '@reboot'],
];
const ZONES = [
  'UTC',
  'Etc/UTC',
  'Europe/Berlin',
  'Asia/Calcutta',
  'Etc/GMT+5',
  'Local',
  'Europe',
  'Europe/Munich',
  '+01:00',
];
const PORT_NAMES = ['http', 'dns-tcp', 'a', '1a', 'a--b', '-a', 'a-', 'HTTP', 'a_b', '8080', 'sixteen-letters-'];
