import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { homelabApp } from '../../charts';
import { budgetRows, checks, verdict, type Rendering } from '../../checks';
import type { Homelab } from '../../inventory';
import { render } from '../../synth';
import { ofKind } from '../homelab';

const examples = fs.readdirSync('examples').filter((name) => fs.existsSync(join('examples', name, 'homelab.ts')));
const homelabOf = async (name: string): Promise<Homelab> =>
  (await import(resolve('examples', name, 'homelab'))).default;
const renderedExample = async (name: string) => render(homelabApp(await homelabOf(name)));

test.each(examples)('examples/%s synthesizes, and no check finds an error', async (name) => {
  const rendering = await renderedExample(name);
  expect(verdict(checks, { rendering, homelab: await homelabOf(name) }).findings).toEqual([]);
  expect(rendering.length).toBeGreaterThan(10);
});

/** Manifests of Talos 1.13.9: internal/app/machined/pkg/controllers/k8s/internal/k8stemplates, and control_plane_static_pod.go. */
test.each(examples)('examples/%s counts what Talos puts on its nodes', async (name) => {
  const homelab = await homelabOf(name);
  const stated = new Map(
    Object.values(homelab.system).flatMap(({ on, pods = 1, containers }) =>
      Object.entries(containers).map(([container, { memory, cpu }]) => [
        container,
        `${pods} on ${on}, ${memory.toMebibytes()} MiB, ${cpu.amount}`,
      ]),
    ),
  );
  expect(Object.fromEntries(stated)).toMatchObject({
    'kube-apiserver': '1 on control-plane, 512 MiB, 200m',
    'kube-controller-manager': '1 on control-plane, 256 MiB, 50m',
    'kube-scheduler': '1 on control-plane, 64 MiB, 10m',
    // Two replicas that only prefer nodes apart and tolerate the control plane, and one more while they roll.
    coredns: '3 on any-node, 70 MiB, 100m',
    'kube-flannel': '1 on every-node, 50 MiB, 100m',
    'kube-network-policies': '1 on every-node, 50 MiB, 100m',
  });
  expect(stated.has('kube-proxy')).toBe(false);
});

test('the smallest runs one service on one machine that is control plane and worker at once', async () => {
  const rendering = await renderedExample('smallest');
  expect(
    ofKind(rendering, 'Deployment', 'StatefulSet', 'DaemonSet', 'Job').map(({ metadata }) => metadata.name),
  ).toEqual(['hello']);
  const rows = budgetRows(rendering, await homelabOf('smallest'));
  expect(rows.find(({ container }) => container === 'hello')).toMatchObject({ node: 'talos-01', pods: 1, surge: 1 });
});

describe('three hosts', () => {
  test('have one node of the ring and one member of the set each, by the disks that they hold', async () => {
    const rows = budgetRows(await renderedExample('three-hosts'), await homelabOf('three-hosts'));
    for (const container of ['cassandra', 'mongod'])
      expect(
        rows
          .filter((row) => row.container === container)
          .map(({ node, pods }) => `${node} ${pods}`)
          .sort(),
      ).toEqual(['talos-worker-01 1', 'talos-worker-02 1', 'talos-worker-03 1']);
  });

  test('do not share a power cord: writes need not wait for the disk', async () => {
    const [config] = ofKind(await renderedExample('three-hosts'), 'ConfigMap').filter(
      ({ metadata }) => metadata.name === 'cassandra-config',
    );
    expect(config!.data['cassandra.yaml']).toContain('commitlog_sync: periodic');
  });

  test('have three API servers, and a way to each of them', async () => {
    const policy = ofKind(await renderedExample('three-hosts'), 'NetworkPolicy').find(
      ({ metadata }) => metadata.name === 'traefik',
    )!;
    const cidrs = policy.spec.egress
      .flatMap(({ to }: any) => to.map(({ ipBlock }: any) => ipBlock?.cidr))
      .filter(Boolean);
    expect(cidrs).toEqual(['192.168.1.21/32', '192.168.1.22/32', '192.168.1.23/32']);
  });
});

test('a second environment leaves nothing of the first in what it renders', async () => {
  const text = JSON.stringify(await renderedExample('second-environment'));
  expect(text).not.toMatch(/192\.168\.1\.|grown\.home\.arpa/);
  expect(text).toContain('app.staging.home.arpa');
});

describe('applications that nobody here wrote', () => {
  const find = (rendering: Rendering, kind: string, name: string) =>
    ofKind(rendering, kind).find(({ metadata }) => metadata.name === name)!;
  const envOf = (rendering: Rendering, name: string): Record<string, string> =>
    Object.fromEntries(
      find(rendering, 'Deployment', name).spec.template.spec.containers[0].env.map(({ name: key, value }: any) => [
        key,
        value,
      ]),
    );
  const portsOf = (rendering: Rendering, name: string) =>
    find(rendering, 'Service', name).spec.ports.map(({ name: port, port: number, targetPort }: any) =>
      [port, number, targetPort].join(' '),
    );

  test('Online Boutique: twelve workloads, each client with the address that its image reads', async () => {
    const rendering = await renderedExample('online-boutique');
    expect(ofKind(rendering, 'Deployment')).toHaveLength(12);
    expect(envOf(rendering, 'cartservice').REDIS_ADDR).toBe('redis-cart.services.svc.cluster.local:6379');
    // Port 5000 of the Service leads to 8080 of the container.
    expect(envOf(rendering, 'checkoutservice').EMAIL_SERVICE_ADDR).toBe('emailservice.services.svc.cluster.local:5000');
    expect(portsOf(rendering, 'emailservice')).toEqual(['grpc 5000 grpc']);
    expect(envOf(rendering, 'loadgenerator').FRONTEND_ADDR).toBe('frontend.web.svc.cluster.local:80');
    expect(find(rendering, 'Service', 'loadgenerator')).toBeUndefined();
    const [server] = find(rendering, 'Deployment', 'adservice').spec.template.spec.containers;
    expect(server.readinessProbe.grpc.port).toBe(9555);
    expect(find(rendering, 'PersistentVolumeClaim', 'redis-cart-data')).toBeDefined();
  });

  test('Rocket.Chat: a database with its replica set, the oplog by the same login, mail by a secret', async () => {
    const rendering = await renderedExample('rocket-chat');
    const env = envOf(rendering, 'rocketchat');
    expect(env.MONGO_URL).toMatch(/\/rocketchat\?.*replicaSet=rs0/);
    expect(env.MONGO_OPLOG_URL).toMatch(/\/local\?.*replicaSet=rs0/);
    expect(env.MAIL_URL).toBeUndefined();
    expect(find(rendering, 'PersistentVolumeClaim', 'rocketchat-uploads')).toBeDefined();
  });

  test('Forgejo: HTTP and SSH, its disks, and a job that dumps one onto the other', async () => {
    const rendering = await renderedExample('forgejo');
    expect(portsOf(rendering, 'forgejo')).toEqual(['http 3000 http', 'ssh 22 ssh']);
    expect(find(rendering, 'Deployment', 'forgejo').spec.strategy.type).toBe('Recreate');
    const { timeZone, jobTemplate } = find(rendering, 'CronJob', 'forgejo-backup').spec;
    expect(timeZone).toBe('Europe/Berlin');
    const claims = jobTemplate.spec.template.spec.volumes.flatMap(
      ({ persistentVolumeClaim: claim }: any) => claim?.claimName ?? [],
    );
    expect(claims).toEqual(['forgejo-data', 'forgejo-backups']);
  });
});
