import { execFile } from 'node:child_process';
import * as net from 'node:net';
import homelab from '../fixtures/homelab';
import { jobChecks } from '../../scripts/verify/jobs';
import { publishedChecks, tcpFinding } from '../../scripts/verify/published';
import { fakeKubernetes } from './kubernetes';

const job = (name: string, kind: 'Job' | 'CronJob', app: string) => ({
  object: { kind, metadata: { name, namespace: 'services', labels: { 'app.kubernetes.io/name': app } } },
});
jest.mock('../../scripts/clients/context', () => ({
  manifests: () => [
    job('nightly', 'CronJob', 'job'),
    job('forge-before-1a2b3c4d5e', 'Job', 'before-rollout'),
    { object: { ...job('mongodb-restore', 'CronJob', 'mongodb').object, spec: { suspend: true } } },
  ],
}));

const kubernetes = fakeKubernetes();
const said = ({ state, what, saw, fix }: any) => `${state} ${what}: ${saw}${fix ? ` | ${fix}` : ''}`;

/** Runs what it is told, as Commands does on this machine. */
const here = {
  read: (_: unknown, [program, ...args]: readonly string[]) =>
    new Promise((resolve) =>
      execFile(program!, args, (error, stdout, stderr) => resolve({ stdout, stderr, code: Number(error?.code ?? 0) })),
    ),
};

describe('a published TCP port, asked by the real curl', () => {
  const servers: net.Server[] = [];
  const listen = (onSocket: (socket: net.Socket) => void): Promise<number> =>
    new Promise((resolve) => {
      const server = net.createServer((socket) => {
        socket.on('error', () => socket.destroy());
        onSocket(socket);
      });
      servers.push(server);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
    });
  afterAll(() => servers.forEach((server) => server.close()));

  test.each<[string, ((socket: net.Socket) => void) | undefined, RegExp]>([
    ['a server that speaks first', (socket) => socket.write('SSH-2.0-forge\r\n'), /^good forge at .*: open$/],
    ['a server that waits', () => undefined, /^good forge at .*: open$/],
    [
      'a proxy that reaches nobody',
      (socket) => socket.end(),
      /^bad forge at .*: the ingress controller hangs up: .* \| kubectl -n services get pods -l /,
    ],
    ['a port that nobody has', undefined, /^bad forge at .*(refused|connect).* \| kubectl -n ingress get pods/],
  ])(
    '%s',
    async (_, onSocket, finding) => {
      const port = onSocket === undefined ? 1 : await listen(onSocket);
      const published = { service: 'forge', namespace: 'services', port, transport: 'TCP' as const };
      expect(said(await tcpFinding(here as any, published, '127.0.0.1', 6))).toMatch(finding);
    },
    20_000,
  );
});

test('each published port is asked at each worker, and UDP is judged by its pods', async () => {
  const read = jest.fn(async (..._: unknown[]) => ({ stdout: '0.001 5', stderr: '', code: 0 }));
  const services = {
    forge: {
      image: 'forge:1.0.0',
      ports: { http: 3000, ssh: { port: 2022, protocol: 'tcp' }, names: { port: 53, protocol: 'udp' } },
      published: [
        { port: 2222, to: 'ssh' },
        { port: 53, to: 'names' },
      ],
      connects: [],
    },
    gone: {
      state: 'retired',
      ports: { ssh: { port: 1, protocol: 'tcp' } },
      published: [{ port: 9, to: 'ssh' }],
      connects: [],
    },
  };
  kubernetes.get.mockResolvedValue({ items: [] });
  const found = await publishedChecks({ ...homelab, services } as any, { read } as any, kubernetes);
  const workers = read.mock.calls.map(([, argv]) => (argv as string[]).slice(-2).join(':'));
  expect(workers.every((each) => each.endsWith(':2222'))).toBe(true);
  expect(workers.length).toBe(found.length - 1);
  expect(said(found.at(-1))).toMatch(/^bad forge at UDP port 53: no pod of it runs/);
  kubernetes.get.mockResolvedValue({ items: [{ metadata: { name: 'forge-1' }, status: { phase: 'Running' } }] });
  const again = await publishedChecks({ ...homelab, services } as any, { read } as any, kubernetes);
  expect(said(again.at(-1))).toMatch(/^good forge at UDP port 53: not asked, .* forge-1$/);
});

describe('jobs', () => {
  const ended = (type?: string, message?: string) => ({
    completionTime: type === 'Complete' ? '2026-01-02T03:04:05Z' : undefined,
    conditions: type === undefined ? [] : [{ type, status: 'True', message }],
  });
  const run = (name: string, day: number, type?: string, message?: string) => ({
    metadata: {
      name,
      namespace: 'services',
      creationTimestamp: `2026-01-0${day}T03:00:00Z`,
      ownerReferences: [{ uid: 'u1' }],
    },
    status: ended(type, message),
  });
  const nightly = (spec: object = { schedule: '0 3 * * *' }) => ({
    metadata: { name: 'nightly', namespace: 'services', uid: 'u1' },
    spec,
  });
  const before = (type?: string, message?: string) => ({
    metadata: { name: 'forge-before-1a2b3c4d5e', namespace: 'services' },
    status: ended(type, message),
  });
  const look = async (of: string, lists: Record<string, object[]>) => {
    kubernetes.read.mockImplementation(async (args) => ({
      stdout: JSON.stringify({ items: lists[args[1]!] ?? [] }),
      stderr: '',
      code: 0,
    }));
    return (await jobChecks({ kubernetes })[of]!()).map(said).join('\n');
  };

  test.each<[string, object[], object[], string]>([
    [
      'is not there',
      [],
      [],
      'bad scheduled job services/nightly: it is not in the cluster | kubectl -n argocd get applications',
    ],
    ['has not run', [nightly()], [], 'good scheduled job services/nightly: no run yet; its schedule is 0 3 * * *'],
    [
      'succeeded after it failed',
      [nightly()],
      [run('nightly-1', 1, 'Failed'), run('nightly-2', 2, 'Complete')],
      'good scheduled job services/nightly: nightly-2 succeeded, 2026-01-02T03:04:05Z',
    ],
    [
      'failed, and runs again',
      [nightly()],
      [
        run('nightly-3', 3),
        run('nightly-1', 1, 'Complete'),
        run('nightly-2', 2, 'Failed', 'Job was active longer than specified deadline'),
      ],
      'bad scheduled job services/nightly: nightly-2 failed: Job was active longer than specified deadline | kubectl -n services logs job/nightly-2',
    ],
    [
      'runs',
      [nightly()],
      [run('nightly-1', 1)],
      'good scheduled job services/nightly: nightly-1 runs, 2026-01-01T03:00:00Z',
    ],
  ])('a scheduled one %s', async (_, cronjobs, jobs, expected) => {
    expect(await look('scheduled jobs', { cronjobs, jobs })).toBe(expected);
  });

  test('a suspended one is a warning, with the way back', async () => {
    const found = await look('scheduled jobs', { cronjobs: [nightly({ suspend: true })] });
    expect(found).toMatch(/^warning .*: it is suspended \| kubectl -n services patch cronjob nightly /);
  });

  test.each<[string, object[], RegExp]>([
    ['is not there', [], /^bad job services\/forge-before-1a2b3c4d5e: it is not in the cluster/],
    ['succeeded', [before('Complete')], /^good .*: succeeded, 2026-01-02/],
    [
      'failed',
      [before('Failed', 'Job has reached the specified backoff limit')],
      /^bad .*backoff limit; the pods of the service stay as they were \| kubectl -n services logs job\/forge-before-1a2b3c4d5e$/,
    ],
    ['runs', [before()], /^warning .*: it has not ended yet/],
  ])('one before a rollout that %s', async (_, jobs, expected) => {
    expect(await look('jobs before a rollout', { jobs })).toMatch(expected);
  });
});
