import smallest from '../../examples/smallest/homelab';
import homelab from '../fixtures/homelab';
import { nodes } from '../../inventory';
import { findings, table } from '../../scripts/engine/findings';
import { CommandFailed, type Output } from '../../scripts/engine/commands';
import type { Context } from '../../scripts/clients/context';
import { Talos } from '../../scripts/clients/talos';
import { Log } from '../../scripts/engine/log';
import { enforcesPolicies } from '../../scripts/clients/kubernetes-nodes';
import { declaredSecrets } from '../../scripts/secrets/declared';
import { clusterChecks } from '../../scripts/verify/cluster';
import { databaseChecks } from '../../scripts/verify/databases';
import { addresses, networkChecks, probePairs } from '../../scripts/verify/network';
import { routesOf } from '../../scripts/verify/routes';
import { Kubernetes } from '../../scripts/clients/kubernetes';
import { fakeKubernetes } from './kubernetes';

jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));
jest.mock('../../scripts/clients/kubernetes-nodes', () => ({ enforcesPolicies: jest.fn() }));

const answer = (stdout: string, code = 0, stderr = ''): Output => ({ stdout, stderr, code });
const failed = (code: number, stderr: string) => new CommandFailed(answer('', code, stderr), stderr);
const kubernetes = fakeKubernetes();
const talos = new Talos({ homelab } as any);
const context = { homelab, kubernetes, talos, log: new Log() } as unknown as Context;

/** Output of a command in a pod, by namespace, name and command. */
function inPods(progress: (pod: string, command: readonly string[], container: string) => string): void {
  kubernetes.read.mockImplementation(async (args) => {
    const words = args.slice(args.indexOf('--') + 1);
    const pod = args[args.indexOf('-n') + 2]!;
    return answer(progress(pod, words, args[args.indexOf('-c') + 1]!));
  });
}

const states = async (looks: Parameters<typeof findings>[0]) =>
  (await findings(looks)).map(({ what, state, saw }) => `${state} ${what}: ${saw}`);

beforeEach(() => {
  jest.mocked(enforcesPolicies).mockResolvedValue(true);
  kubernetes.get.mockImplementation(async (args) => {
    const service = /instance=([\w-]+)/.exec(args.join(' '))?.[1];
    if (service === undefined) return Kubernetes.prototype.get.call(kubernetes, args);
    return { items: [{ metadata: { name: `pod-of-${service}` }, status: { phase: 'Running' } }] };
  });
});

describe('databases', () => {
  /** As Cassandra 5.0.6 prints it. */
  const status = (...nodes: string[]) =>
    `Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address    Load       Tokens  Owns (effective)  Host ID                               Rack
${nodes.map((node, i) => `${node}  10.244.1.${i}  114.7 KiB  16      100.0%            dafa2ac9-3b67-4f88-ae9d-8d6b29c1ab18  r1  `).join('\n')}

`;
  const hello = (part: object) => JSON.stringify({ setName: 'rs0', hosts: ['a', 'b', 'c'], ...part });

  test('that do not answer give the reason once', async () => {
    kubernetes.read.mockImplementation(async (args) => {
      throw failed(1, `The connection to the server was refused`.concat(args.includes('get') ? '' : '\n'));
    });
    expect(
      await states({
        ...databaseChecks(context),
        'nodes of the cluster': async () => [...(await clusterChecks(context)['nodes of the cluster']!())],
      }),
    ).toEqual([
      'bad ring cassandra, replica set mongodb, nodes of the cluster: no node answers: The connection to the server was refused\n',
    ]);
    inPods((pod) => {
      throw failed(1, `pods "${pod}" not found`);
    });
    expect(await states(databaseChecks(context))).toEqual([
      expect.stringMatching(
        /^bad ring cassandra: no node answers; cassandra-r1-0: pods "cassandra-r1-0" not found; .*r3-0/,
      ),
      expect.stringMatching(/^bad replica set mongodb: 0 primaries; mongodb-0 pods "mongodb-0" not found, .*-2/),
    ]);
  });

  test('that are complete are good', async () => {
    inPods((pod, [program]) =>
      program === 'nodetool'
        ? status('UN', 'UN', 'UN')
        : hello(pod === 'mongodb-0' ? { isWritablePrimary: true } : { secondary: true }),
    );
    expect(await states(databaseChecks(context))).toEqual([
      'good ring cassandra: 3 of 3 nodes up and normal',
      'good replica set mongodb: mongodb-0 PRIMARY, mongodb-1 SECONDARY, mongodb-2 SECONDARY',
    ]);
  });

  test('with a node down, two primaries, too few members or invalid output are bad', async () => {
    inPods((pod, [program]) =>
      program === 'nodetool'
        ? status('UN', 'DN', 'UN')
        : hello({ isWritablePrimary: pod !== 'mongodb-2', secondary: true }),
    );
    const [ring, set] = await states(databaseChecks(context));
    expect(ring).toBe('bad ring cassandra: 2 of 3 nodes up and normal, 10.244.1.1 is DN');
    expect(set).toMatch(/^bad replica set mongodb: 2 primaries; /);
    inPods((pod, [program]) =>
      program === 'nodetool'
        ? 'segfault'
        : hello({ isWritablePrimary: pod === 'mongodb-0', secondary: true, hosts: ['a'] }),
    );
    expect(await states(databaseChecks(context))).toEqual([
      'bad ring cassandra: 0 of 3 nodes up and normal',
      'warning replica set mongodb: 1 of 3 members; mongodb-0 PRIMARY, mongodb-1 SECONDARY, mongodb-2 SECONDARY',
    ]);
    inPods((pod, [program]) =>
      program === 'nodetool'
        ? 'segfault'
        : hello({ isWritablePrimary: pod === 'mongodb-0', secondary: true, hosts: ['a', 'b'], passives: ['c'] }),
    );
    expect((await states(databaseChecks(context)))[1]).toMatch(/^good replica set mongodb: /);
    inPods(() => 'Killed');
    expect((await states(databaseChecks(context)))[1]).toMatch(
      /^bad replica set mongodb: 0 primaries; mongodb-0 mongosh in mongodb-0 must answer with JSON/,
    );
  });

  test('are checked without a password, and not at the same time as the reconciler', async () => {
    const seen: string[] = [];
    kubernetes.read.mockImplementation(async (args, options) => {
      seen.push([...args, JSON.stringify(options)].join(' '));
      return answer('{}');
    });
    await findings(databaseChecks(context));
    expect(seen.filter((each) => /mongosh/.test(each)).length).toBe(3);
    expect(seen.join('\n')).not.toMatch(/PASSWORD|password|-c reconcile/);
  });
});

test.each([
  ['6.18.44-talos', 'good'],
  ['7.0.13-talos', 'bad'],
  ['7.0.14-talos', 'good'],
  ['unknown', 'good'],
])('a node with members of a replica set and Linux %s is %s', async (kernelVersion, state) => {
  const items = nodes(homelab).map(([name, { labels = {} }]) => ({
    metadata: { name, labels },
    status: { nodeInfo: { kernelVersion }, conditions: [{ type: 'Ready', status: 'True' }] },
  }));
  kubernetes.read.mockResolvedValue(answer(JSON.stringify({ items })));
  const found = await findings({ nodes: clusterChecks(context)['nodes of the cluster']! });
  expect(found.map((each) => each.state)).toEqual(['good', 'good', state]);
  if (state === 'bad')
    expect(table(found)).toMatch(/talos-worker-02 .* runs Linux 7\.0\.13-talos, and .*SERVER-121912.*\n.*v1\.13\.9/);
});

describe('network policies', () => {
  const policies = (of = homelab) =>
    states({ policies: networkChecks({ ...context, homelab: of } as Context)['network policies']! });

  test('are tested for allowed and denied connections to databases, models, services and the internet', () => {
    const { allowed, denied } = probePairs(homelab);
    const targets = new Set(allowed.map(([, { name }]) => name));
    for (const name of ['cassandra', 'mongodb', 'llm-service', 'documents']) expect(targets).toContain(name);
    expect(allowed.map(([client, target]) => `${client.name} ${target.name}`)).toContain('chat cassandra');
    expect(denied.some(([, { name }]) => name === 'the internet')).toBe(true);
    for (const [client, { name }] of denied) expect(client.targets.has(name)).toBe(false);
    expect(allowed.find(([, { name }]) => name === 'documents')![1]).toMatchObject({
      host: 'documents.services.svc.cluster.local',
      port: 9898,
    });
  });

  test('that permit exactly what is declared are good', async () => {
    const { allowed } = probePairs(homelab);
    const may = (pod: string, host: string) =>
      allowed.some(([client, target]) => `pod-of-${client.name}` === pod && target.host === host) ? 'open' : 'silent';
    inPods((pod, words) => `${may(pod, words[3]!)}\n`);
    const found = await policies();
    expect(found.filter((each) => !each.startsWith('good'))).toEqual([]);
    expect(found.some((each) => / reaches /.test(each)) && found.some((each) => / cannot reach /.test(each))).toBe(
      true,
    );
  });

  test('that are not enforced, or deny what is declared, are bad', async () => {
    inPods(() => 'open\n');
    const open = await policies();
    expect(open.filter((each) => /^bad .* cannot reach .*: open$/.test(each)).length).toBeGreaterThan(5);
    inPods(() => 'silent\n');
    const shut = await policies();
    expect(shut.filter((each) => /^bad .* reaches .*: silent$/.test(each)).length).toBeGreaterThan(5);
    jest.mocked(enforcesPolicies).mockResolvedValue(false);
    expect(await policies()).toEqual(['bad network policies: flannel does not enforce them']);
  });

  test('that homelab.ts does not enforce are a warning', async () => {
    jest.mocked(enforcesPolicies).mockResolvedValue(false);
    const without = { ...homelab, talos: { ...homelab.talos, enforceNetworkPolicies: false } };
    expect(await policies(without)).toEqual([
      'warning network policies: nothing enforces them, as talos.enforceNetworkPolicies in homelab.ts says',
    ]);
  });

  test('are good if nothing is permitted and nothing connects', async () => {
    inPods(() => 'silent\n');
    expect(await policies(smallest)).toEqual(['good hello cannot reach the internet: silent']);
  });

  test('are not tested from a pod that cannot run a command', async () => {
    const { allowed } = probePairs(homelab);
    const away = 'error dialing backend: dial tcp 192.168.1.22:10250: connect: no route to host';
    kubernetes.read.mockImplementation(async (args) => {
      const pod = args[args.indexOf('-n') + 2]!;
      if (pod === 'pod-of-chat') throw failed(1, away);
      const host = args[args.indexOf('--') + 4]!;
      const may = allowed.some(([client, target]) => `pod-of-${client.name}` === pod && target.host === host);
      return answer(may ? 'open\n' : 'silent\n');
    });
    const found = await policies();
    expect(found.filter((each) => !each.startsWith('good'))).toEqual([`bad chat can be asked to probe: ${away}`]);
  });

  test('are not called good when no container has a shell', async () => {
    kubernetes.read.mockRejectedValue(
      failed(126, 'OCI runtime exec failed: exec: "sh": executable file not found in $PATH'),
    );
    const found = await policies();
    expect(found).toContain('bad network policies: too little could be probed to say anything');
    expect(found.some((each) => /^warning .*gateway has no shell/.test(each))).toBe(true);
  });
});

describe('the models from inside the cluster', () => {
  const look = () => states({ models: networkChecks(context)['the models from inside']! });

  test('are asked by a service with a connection', async () => {
    inPods((pod, words) =>
      pod === 'pod-of-search' && words[3] === 'http://llm-service:11434/api/version' ? '{"version":"0.32.15"}' : '',
    );
    expect(await look()).toEqual([
      'good llm-service answers inside the cluster: {"version":"0.32.15"}, from pod-of-search',
    ]);
  });

  test('that do not answer are bad; if no service has a program for it, the check after the sync counts', async () => {
    kubernetes.read.mockRejectedValue(failed(1, 'curl: (28) Connection timed out'));
    expect((await look())[0]).toMatch(/^bad .*Connection timed out/);
    kubernetes.read.mockRejectedValue(failed(3, 'command terminated with exit code 3'));
    const pods = kubernetes.get.getMockImplementation()!;
    kubernetes.get.mockImplementation(async (...args) =>
      args[0][0] === 'job' ? { status: { succeeded: 1, completionTime: '2026-01-01T00:00:00Z' } } : pods(...args),
    );
    expect((await look())[0]).toMatch(/^good .*the proof after the last sync, 2026/);
  });
});

test('prints addresses for people, and no password', () => {
  const text = addresses(homelab);
  expect(text).toContain('https://app.collab.home.arpa');
  expect(text).toContain('192.168.1.21 or 192.168.1.22');
  expect(text).toContain('security add-trusted-cert');
  expect(table([{ what: 'a', state: 'bad', saw: 'b', fix: 'c' }])).toBe('BAD   a: b\n      c');
});

test('requests the path of the probe of the app from a route that leads to it', () => {
  const ingress = (path: string, annotations?: Record<string, string>, secretName?: string) => ({
    kind: 'Ingress',
    metadata: { namespace: 'web', annotations },
    spec: {
      tls: [{ hosts: ['a'], secretName }],
      rules: [{ host: 'a', http: { paths: [{ path, backend: { service: { name: 'app', port: { number: 80 } } } }] } }],
    },
  });
  const metadata = { namespace: 'web', name: 'app' };
  const service = { kind: 'Service', metadata, spec: { ports: [{ name: 'http', port: 80, targetPort: 'http' }] } };
  const app = (readinessProbe: object, namespace = 'web') => [
    {
      kind: 'Deployment',
      metadata: { ...metadata, namespace },
      spec: { template: { spec: { containers: [{ readinessProbe }] } } },
    },
    service,
  ];
  const http = (path: string, port: string | number = 'http') => ({ httpGet: { path, port } });
  const strip = { 'traefik.ingress.kubernetes.io/router.middlewares': 'strip:/api@file' };
  const probe = (path: string) => [{ host: 'a', path, isProbe: true, ownCertificate: false }];
  const other = (path: string) => [{ host: 'a', path, isProbe: false, ownCertificate: false }];
  expect(routesOf([ingress('/'), ...app(http('/readyz'))])).toEqual(probe('/readyz'));
  expect(routesOf([ingress('/api', strip), ...app(http('/readyz'))])).toEqual(probe('/api/readyz'));
  expect(routesOf([ingress('/api'), ...app(http('/api/readyz'))])).toEqual(probe('/api/readyz'));
  expect(routesOf([ingress('/api'), ...app(http('/apiv2/readyz'))])).toEqual(other('/api'));
  expect(routesOf([ingress('/'), ...app(http('/readyz', 'metrics'))])).toEqual(other('/'));
  expect(routesOf([ingress('/'), ...app({ tcpSocket: {} })])).toEqual(other('/'));
  expect(routesOf([ingress('/'), ...app(http('/readyz'), 'other')])).toEqual(other('/'));
  expect(routesOf([ingress('/', undefined, 'app-tls'), ...app({})])).toMatchObject([{ ownCertificate: true }]);
});

test('compares secrets with those of the cluster, without showing a value', async () => {
  const declared = declaredSecrets();
  const places: Record<string, Record<string, Record<string, string>>> = {};
  for (const { name, namespaces, keys } of declared.filter(({ type }) => type === 'Opaque'))
    for (const namespace of namespaces)
      (places[namespace] ??= {})[name] = Object.fromEntries(
        Object.entries(keys).map(([key, source]) => [key, 'value' in source ? source.value : `kept-${name}`]),
      );
  const ingress = declared.find(({ name }) => name === 'traefik-certificate')!;
  const live = structuredClone(places);
  const sops = { read: async () => ({ secrets: places }) };
  kubernetes.read.mockImplementation(async (args) => {
    const items = Object.entries(live[args[3]!] ?? {}).map(([name, values]) => ({
      type: 'Opaque',
      metadata: { name },
      data: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value)])),
    }));
    return answer(JSON.stringify({ items }));
  });
  const look = () => states({ secrets: clusterChecks({ ...context, sops } as any).secrets! });
  const certificate = `secret ingress/${ingress.name}`;
  const lacking = [
    `bad ${certificate}: secrets.sops.yaml lacks tls.crt, tls.key`,
    `bad ${certificate}: the cluster lacks it`,
  ];
  expect(await look()).toEqual(lacking);
  live.mongodb!['mongodb-search']!.password = 'somebody-elses';
  delete live.services!['mongodb-search'];
  delete live.services!['cassandra-chat']!.password;
  const found = await look();
  expect(found).toEqual([
    ...lacking,
    "bad secret mongodb/mongodb-search: the cluster's is another than secrets.sops.yaml holds",
    'bad secret services/cassandra-chat: the cluster lacks password',
    'bad secret services/mongodb-search: the cluster lacks it',
  ]);
  expect(found.join()).not.toMatch(/somebody-elses|kept-/);
});
