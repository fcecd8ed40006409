import { Duration } from 'cdk8s';
import { parse, parseAllDocuments } from 'yaml';
import homelab from '../fixtures/homelab';
import { defineHomelab, nodes, type Homelab } from '../../inventory';
import { CommandFailed, type CommandOptions } from '../../scripts/engine/commands';
import { manifests } from '../../scripts/clients/context';
import { Log } from '../../scripts/engine/log';
import { NotReady, Blocked } from '../../scripts/engine/problem';
import { secretText, secretTree, type Sops } from '../../scripts/engine/sops';
import { patchesOf, SYSTEM_DISK, talosPatches } from '../../machines/talos';
import { mark } from '../../machines/vms';
import { addRule, coverageOf } from '../../scripts/stages/keys/sops-rules';
import { assertSchedulable, bootstrapEtcd, healthyNodes } from '../../scripts/stages/talos/cluster';
import { configuration, versionsIn } from '../../scripts/stages/talos/configuration';
import { assertNothingStaged } from '../../scripts/stages/talos/kubernetes';
import { NOTE } from '../../scripts/stages/talos/maintenance-note';
import { maintenance } from '../../scripts/stages/talos/maintenance';
import { parseResources, parseServiceState, parseVersion, Talos, type TalosNode } from '../../scripts/clients/talos';
import { running } from '../../scripts/stages/talos/running';
import type { Context } from '../../scripts/clients/context';
import { databasePodsOn, flush, flushCommand } from '../../scripts/stages/talos/flush';
import { shutdownProof, slowPod } from '../../scripts/stages/talos/shutdown-proof';
import { longestGrace } from '../../values/grace';
import { upgradeSteps } from '../../scripts/stages/talos/upgrade';
import { stepProblem } from '../../scripts/clients/talos';
import { execute, shownLines } from '../../scripts/engine/step';
import { fakeKubernetes } from './kubernetes';

jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));

const kubernetes = fakeKubernetes();
/** A cluster whose nodes are known only from the API server. */
const cluster = { homelab, kubernetes, talos: new Talos({ homelab } as any) } as unknown as Context;

/** Nodes as the API server returns them. */
function nodesAre(...nodes: { name: string; ready?: boolean; address?: string }[]): void {
  const items = nodes.map(({ name, ready = true, address }) => ({
    metadata: { name },
    status: {
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      addresses: [{ type: 'InternalIP', address }],
    },
  }));
  kubernetes.read.mockResolvedValue({ stdout: JSON.stringify({ items }), stderr: '', code: 0 });
  kubernetes.get.mockResolvedValue(undefined);
}

const files = talosPatches(homelab);
const documents = (file: string) => parseAllDocuments(files.get(file)!).map((document) => document.toJS() as any);

describe('patches of Talos', () => {
  test('each node has its name, its address and its disks', () => {
    for (const [name, { address, mac, dataDisks = {} }] of nodes(homelab)) {
      const all = documents(`talos/nodes/${name}.patch.yaml`);
      const kind = (wanted: string) => all.filter((each) => each.kind === wanted);
      expect(kind('HostnameConfig')).toMatchObject([{ auto: 'off', hostname: name }]);
      expect(kind('LinkAliasConfig')[0].selector.match).toBe(`mac(link.permanent_addr) == "${mac}"`);
      expect(kind('LinkConfig')[0]).toMatchObject({ name: 'net0', addresses: [{ address: `${address}/24` }] });
      expect(kind('UserVolumeConfig').map((volume) => volume.name)).toEqual(Object.keys(dataDisks));
      for (const { name: serial, provisioning, filesystem } of kind('UserVolumeConfig')) {
        expect(provisioning.diskSelector.match).toBe(`disk.serial == "${serial}" && !system_disk`);
        // 90 % of 100 GiB. Without a maximum it grows with its disk.
        expect([provisioning.minSize, provisioning.grow, provisioning.maxSize]).toEqual(['92160MiB', true, undefined]);
        expect(filesystem.type).toBe('xfs');
      }
    }
  });

  test('a YAML 1.1 parser reads no word as a boolean', () => {
    expect(files.get('talos/nodes/talos-worker-01.patch.yaml')).toContain('auto: "off"');
  });

  test('pods have the shutdown time of the inventory, and network policies are enforced', () => {
    const [{ machine, cluster }] = documents('talos/cluster.patch.yaml');
    expect(machine.kubelet.extraConfig).toEqual({
      shutdownGracePeriod: '210s',
      shutdownGracePeriodCriticalPods: '30s',
    });
    expect(machine.install.image).toMatch(/^factory\.talos\.dev\/nocloud-installer\/[0-9a-f]{64}:v1\.13\.9$/);
    expect(cluster.network.cni.flannel.kubeNetworkPoliciesEnabled).toBe(true);
    for (const role of ['worker', 'control-plane'] as const) {
      const [{ machine }] = documents(`talos/${role}.patch.yaml`);
      // This list replaces the whole default of Talos.
      expect(Object.keys(machine.kubelet.extraConfig.systemReserved).sort()).toEqual([
        'cpu',
        'ephemeral-storage',
        'memory',
        'pid',
      ]);
    }
  });

  describe('time', () => {
    const timeOf = (change: Partial<Homelab>) =>
      parseAllDocuments(talosPatches({ ...homelab, ...change }).get('talos/cluster.patch.yaml')!)
        .map((document) => document.toJS() as any)
        .find(({ kind }) => kind === 'TimeSyncConfig');

    test('a boot waits two minutes for one of several servers, then continues', () => {
      expect(timeOf({ network: { ...homelab.network, timeServers: undefined } })).toEqual({
        apiVersion: 'v1alpha1',
        kind: 'TimeSyncConfig',
        enabled: true,
        bootTimeout: '2m0s',
        ntp: { servers: ['time.cloudflare.com', '0.pool.ntp.org', '1.pool.ntp.org'] },
      });
    });
    test.each([
      [Duration.seconds(30), '0m30s'],
      [Duration.minutes(61), '61m0s'],
      // Never 0, which means no limit.
      [Duration.millis(1500), '0m2s'],
    ])('uses the timeout and servers of homelab.ts', (timeSyncBootTimeout, bootTimeout) => {
      const timeServers = ['192.168.1.1', '0.pool.ntp.org'];
      const network = { ...homelab.network, timeServers };
      const changed = defineHomelab({ ...homelab, network, talos: { ...homelab.talos, timeSyncBootTimeout } });
      expect(timeOf(changed)).toMatchObject({ bootTimeout, ntp: { servers: timeServers } });
    });
  });

  test('the patches of a node are rendered files without secrets', () => {
    for (const [name, machine] of nodes(homelab))
      for (const file of patchesOf(name, machine)) expect(files.has(file)).toBe(true);
    expect([...files.values()].join()).not.toMatch(/LS0t|BEGIN|key:|token:/);
  });
});

describe('.sops.yaml', () => {
  const paths = ['secrets.sops.yaml', 'scripts/secrets/talos.sops.yaml'];

  test('the first rule covers all files that the bootstrap writes', () => {
    const text = addRule(undefined, 'age1mine');
    expect(coverageOf(text, paths, ['age1mine'])).toEqual({ uncovered: [], keys: ['age1mine'] });
  });

  test('keeps other rules, keys and comments', () => {
    const text = addRule(
      'creation_rules:\n  # of the lights\n  - path_regex: ^lights/\n    age: age1other\n',
      'age1mine',
    );
    expect(text).toContain('# of the lights');
    expect(parse(text).creation_rules).toHaveLength(2);
    expect(coverageOf(text, paths, ['age1mine']).uncovered).toEqual([]);
  });

  test('uses the first matching rule, and reports a rule for another key', () => {
    const shared = 'creation_rules:\n  - age: >-\n      age1other,\n      age1mine\n';
    expect(coverageOf(shared, paths, ['age1mine'])).toEqual({ uncovered: [], keys: ['age1mine'] });
    const groups = 'creation_rules:\n  - key_groups:\n      - age: [age1other]\n';
    expect(coverageOf(groups, paths, ['age1mine']).foreign).toEqual({ path: paths[0], keys: ['age1other'] });
    expect(coverageOf(undefined, paths, ['age1mine']).uncovered).toEqual(paths);
  });

  test('rejects an invalid file', () => {
    for (const text of ['creation_rules: 5', '- a', 'a: [', 'creation_rules:\n  - path_regex: "("\n'])
      expect(() => coverageOf(text, paths, [])).toThrow(Blocked);
  });
});

test('a file of secrets is unchanged after parsing and writing, with strings of any look', () => {
  const odd = {
    a: '2020-01-01',
    b: '0123',
    c: '1e5',
    d: 'no',
    e: '',
    f: 12,
    g: true,
    h: null,
    i: ['1', 2],
    j: 'a\nb\n',
  };
  const text = secretText(odd as never);
  expect(secretTree(text, 'test')).toEqual(odd);
  expect(text).toContain('a: "2020-01-01"');
  expect(() => secretTree('key: [hush', 'a test')).toThrow(
    /^a test must answer with keys and values in YAML, but did not$/,
  );
  expect(() => secretTree('', 'a test')).toThrow(Blocked);
});

describe('the test of a shutdown', () => {
  const grace = longestGrace(manifests().map(({ object }) => object));

  test('takes as long as the slowest pod of dist/, which the kubelet waits for', () => {
    const { shutdownGracePeriod, shutdownGracePeriodCriticalPods } = homelab.talos;
    expect(grace).toBe(120);
    const pod = slowPod('talos-worker-01', grace) as any;
    const forPods = shutdownGracePeriod.toSeconds() - shutdownGracePeriodCriticalPods.toSeconds();
    expect(pod.spec.terminationGracePeriodSeconds).toBeLessThan(forPods);
    expect(pod.spec.nodeName).toBe('talos-worker-01');
    // An ordinary pod. Critical pods get the last 30 seconds.
    expect(pod.spec.priorityClassName).toBeUndefined();
  });

  test('counts pods without a grace period, and those of CronJobs', () => {
    expect(longestGrace([])).toBe(30);
    const template = { spec: { terminationGracePeriodSeconds: 300 } };
    expect(longestGrace([{ kind: 'CronJob', spec: { jobTemplate: { spec: { template } } } }])).toBe(300);
  });
});

test('tests a shutdown only until a database uses a volume', async () => {
  const volume = (phase: string, namespace: string) => ({ spec: { claimRef: { namespace } }, status: { phase } });
  const look = (...items: object[]) => {
    nodesAre({ name: WORKER });
    kubernetes.get.mockImplementation(async ([kind]) => (kind === 'namespace' ? {} : { items }));
    return shutdownProof(homelab, kubernetes, cluster.talos.node(WORKER)!).plan();
  };
  expect(await look(volume('Available', 'cassandra'), volume('Bound', 'other'))).toHaveProperty('asks');
  expect(await look(volume('Bound', 'cassandra'))).toBeUndefined();
  expect(await look(volume('Released', 'mongodb'))).toBeUndefined();
  nodesAre({ name: WORKER });
  expect(await shutdownProof(homelab, kubernetes, cluster.talos.node(WORKER)!).plan()).toHaveProperty('asks');
  // Without a kubeconfig.
  kubernetes.read.mockRejectedValue(new NotReady('there is no kubeconfig yet'));
  expect(await shutdownProof(homelab, kubernetes, cluster.talos.node(WORKER)!).plan()).toHaveProperty('asks');
});

test('asks before maintenance when another node is not ready', async () => {
  const asks = async () => (await maintenance(cluster, cluster.talos.node(WORKER)!, 'reboot')[0]!.plan())!.asks;
  nodesAre({ name: CP }, { name: WORKER, ready: false });
  expect(await asks()).toHaveLength(1);
  nodesAre({ name: CP, ready: false }, { name: WORKER });
  expect((await asks())![0]).toMatch(/^not ready: talos-cp-01; without talos-worker-01 too/);
});

test('a node with another name than in homelab.ts stops the stage', async () => {
  const look = () => healthyNodes(cluster.talos, kubernetes).plan();
  nodesAre({ name: 'talos-xyz', address: worker.address });
  await expect(look()).rejects.toThrow(
    `the node at ${worker.address} must be ${WORKER}, as in homelab.ts, but registered as talos-xyz`,
  );
  nodesAre({ name: 'stranger', address: '192.168.1.99' });
  await expect(look()).rejects.toThrow('node stranger (192.168.1.99) is in the cluster, but not in homelab.ts');
});

test('upgrades one minor version at a time, and never downgrades', () => {
  expect(stepProblem('Talos', 'v1.13.9', 'v1.13.9')).toBeUndefined();
  expect(stepProblem('Talos', 'v1.13.9', 'v1.14.0')).toBeUndefined();
  expect(stepProblem('Talos', 'v1.12.9', 'v1.14.0')).toMatch(
    /one minor version at a time: first write the last v1\.13\.x/,
  );
  expect(stepProblem('Talos', 'v1.13.9', 'v1.13.8')).toMatch(/a downgrade is not possible/);
  expect(stepProblem('Talos', 'v1.13.9', 'v2.0.0')).toMatch(/one minor/);
});

test('the configuration shows an interrupted upgrade', () => {
  const config = (api: string, kubelet: string) =>
    `machine:\n  kubelet:\n    image: ghcr.io/siderolabs/kubelet:${kubelet}\ncluster:\n  apiServer:\n    image: registry.k8s.io/kube-apiserver:${api}\n---\nkind: HostnameConfig\n`;
  expect(versionsIn(config('v1.36.3', 'v1.36.3'))).toEqual(['v1.36.3']);
  expect(versionsIn(config('v1.37.0', 'v1.36.3@sha256:abc'))).toEqual(['v1.37.0', 'v1.36.3']);
  expect(versionsIn('kind: HostnameConfig\n')).toEqual([]);
});

test('runs the flush before a restart in existing containers of pods of dist/', async () => {
  const kept = { secrets: { mongodb: { 'mongodb-root': { username: 'root', password: 'p4ssw0rd' } } } };
  const sops = { read: async () => kept } as unknown as Sops;
  const pods = [...databasePodsOn(homelab, 'talos-worker-01'), ...databasePodsOn(homelab, 'talos-worker-02')];
  expect(pods.map(({ name }) => name).sort()).toEqual([
    ...['cassandra-r1-0', 'cassandra-r2-0', 'cassandra-r3-0', 'mongodb-0', 'mongodb-1', 'mongodb-2'],
  ]);
  for (const pod of pods) {
    const sets = manifests(pod.namespace).filter(({ object }) => object.kind === 'StatefulSet');
    const set = sets.find(({ object }) => pod.name.startsWith(`${object.metadata.name}-`))!.object;
    const { container, command, stdin = '' } = await flushCommand(sops, pod);
    expect(set.spec.template.spec.containers.map(({ name }: any) => name)).toContain(container);
    // All its pods are on one node, so no other member can become primary.
    expect(stdin).not.toMatch(/if \(true/);
    expect(stdin !== '').toBe(pod.kind === 'mongodb');
    expect(command.join(' ')).not.toContain('p4ssw0rd');
  }
});

test('does not flush a database that has not started, and an unhealthy one does not block a restart', async () => {
  const [pod] = databasePodsOn(homelab, 'talos-worker-01');
  const flushed = async (status: object) => {
    const containerStatuses = [{ name: 'cassandra', state: { running: {} }, started: true, ready: true, ...status }];
    kubernetes.get.mockResolvedValue({ status: { containerStatuses } });
    const said: string[] = [];
    await flush(kubernetes, {} as Sops, [pod!], (what) => said.push(what));
    return said.at(-1);
  };
  const refused = new CommandFailed({ code: 1, stdout: '', stderr: '' }, 'connection refused');
  kubernetes.change.mockReset().mockRejectedValue(refused);
  expect(await flushed({ state: { waiting: {} } })).toBeUndefined();
  expect(await flushed({ started: false, ready: false })).toBeUndefined();
  expect(kubernetes.change).not.toHaveBeenCalled();
  expect(await flushed({ ready: false })).toMatch(/is not ready, and did not flush: connection refused/);
  await expect(flushed({})).rejects.toBe(refused);
});

const TALOS_SECRETS = {
  cluster: { id: 'x' },
  secrets: { bootstraptoken: 'x' },
  trustdinfo: { token: 'x' },
  certs: { os: { key: 'x' }, k8s: { key: 'x' }, etcd: { key: 'x' } },
};

/** Nodes with the answers of `answers`, by the talosctl command without its login and addresses. */
function nodesThatAnswer(answers: (words: string, address: string, endpoint: string) => string | Error, off = false) {
  const changed: string[] = [];
  const run = async (_: unknown, argv: readonly string[], { accepts = [0] }: CommandOptions = {}) => {
    const value = (flag: string) => argv[argv.indexOf(flag) + 1]!;
    const words = argv.filter((_, at) => !/^-[en]$|^--talosconfig$/.test(argv[at]!) && !/^-[en]$|^--talosconfig$/.test(argv[at - 1] ?? '')); // prettier-ignore
    const endpoint = argv.includes('-e') ? value('-e') : value('-n');
    const said =
      argv[0] === 'qm' && argv[1] === 'status' && !off
        ? 'status: running\n'
        : answers(words.slice(1).join(' '), value('-n'), endpoint);
    if (said instanceof Error && accepts.length > 1) return { stdout: '', stderr: said.message, code: accepts[1]! };
    if (said instanceof Error) throw new CommandFailed({ stdout: '', stderr: said.message, code: 1 }, said.message);
    return { stdout: said, stderr: '', code: 0 };
  };
  const commands = {
    read: run,
    async change(place: unknown, argv: readonly string[]) {
      changed.push(argv.at(-1)!);
      return run(place, argv);
    },
  };
  const sops = { exists: () => false, read: async () => ({ context: 'homelab', ...TALOS_SECRETS }) };
  const talos = new Talos({ homelab, commands, sops } as any);
  return {
    context: { homelab, commands, sops, kubernetes, talos, log: new Log() } as unknown as Context,
    talos,
    changed,
  };
}

const UNTRUSTED = new Error('rpc error: code = Unavailable desc = x509: certificate signed by unknown authority');
const VERSION = 'Client:\nServer:\n\tTag:         v1.13.9\n';
const DISK = '{"metadata": {"id": "sda"}, "spec": {}}\n';
const [{ name: CP, machine: controlPlane }, { name: WORKER, machine: worker }] = cluster.talos.nodes as [
  TalosNode,
  TalosNode,
];

describe('a control plane that has lost its configuration', () => {
  const maintenance = (words: string) => (words === 'get disks --insecure -o json' ? DISK : UNTRUSTED);

  test('does not stop the checks of workers', async () => {
    const { talos } = nodesThatAnswer((words, address, endpoint) =>
      endpoint === controlPlane.address ? maintenance(words) : address === endpoint ? VERSION : UNTRUSTED,
    );
    expect(await talos.node(CP)!.state()).toEqual({ mode: 'maintenance' });
    expect(await talos.node(WORKER)!.state()).toEqual({ mode: 'configured', version: 'v1.13.9' });
  });

  test('comes before a worker without a certificate, without a wait', async () => {
    const { context } = nodesThatAnswer((words, _, endpoint) =>
      endpoint === controlPlane.address ? maintenance(words) : new Error('connection refused'),
    );
    const look = configuration(context, context.log, context.talos.node(WORKER)!).plan();
    await expect(look).rejects.toThrow(NotReady);
    await expect(look).rejects.toThrow(/must get its certificate from talos-cp-01, which has no configuration yet/);
  });
});

describe('etcd', () => {
  /** Successive answers of a configured control plane. */
  function controlPlaneWith(bootstrap: string | Error, members: (asked: number) => boolean, state = 'Preparing') {
    let asked = 0;
    return nodesThatAnswer((words) => {
      if (words === 'etcd members') return members(asked++) ? 'PEER URLS\n' : new Error('etcd is not running');
      if (words === 'service etcd') return `NODE     ${controlPlane.address}\nID       etcd\nSTATE    ${state}\n`;
      return words === 'bootstrap' ? bootstrap : VERSION;
    });
  }
  const apply = (context: Context) => execute({ step: bootstrapEtcd(context.talos, context.sops) }, () => undefined);

  test('is bootstrapped by one call, however long the answer takes', async () => {
    for (const answer of ['', new Error('rpc error: code = AlreadyExists desc = etcd data directory is not empty')]) {
      const { context, changed } = controlPlaneWith(answer, (asked) => asked > 2);
      await apply(context);
      expect(changed).toEqual(['bootstrap']);
    }
  }, 20_000);

  test('is not bootstrapped if it runs already', async () => {
    const { context, changed } = controlPlaneWith('', (asked) => asked > 1, 'Running');
    await apply(context);
    expect(changed).toEqual([]);
  });

  test('stops at once after a rejection', async () => {
    const { context, changed } = controlPlaneWith(new Error('rpc error: code = PermissionDenied'), () => false);
    await expect(apply(context)).rejects.toThrow(/PermissionDenied/);
    expect(changed).toEqual(['bootstrap']);
  });
});

test('does not wait for nodes without pods, because talosctl health would wait until its timeout', () => {
  const judge =
    (annotations: Record<string, string>, unschedulable = true) =>
    () =>
      assertSchedulable([{ metadata: { name: WORKER, annotations }, spec: { unschedulable } }]);
  const note = (restart: string) => ({ [NOTE]: JSON.stringify({ phase: 'restarting', restart, boot: 'x' }) });
  expect(judge(note('stop'))).toThrow(NotReady);
  expect(judge(note('stop'))).toThrow(`npm run bootstrap -- maintenance ${WORKER} stop`);
  expect(judge(note('upgrade'))).toThrow('npm run bootstrap -- upgrade');
  expect(judge({})).toThrow(`kubectl uncordon ${WORKER}`);
  expect(judge({}, false)).not.toThrow();
  // Talos uncordons a node that it cordoned itself.
  expect(judge({ 'talos.dev/cordoned': 'true' })).not.toThrow();
});

test('upgrade-k8s waits until a staged configuration is applied, because it would discard it', async () => {
  const config = (id: string, text: string) => JSON.stringify({ metadata: { id }, spec: text }, null, 4);
  const { talos } = nodesThatAnswer((words, address) => {
    if (words !== 'get machineconfig -o json') return VERSION;
    const next = address === worker.address ? 'machine: {type: b}' : 'machine: {type: a}';
    return `${config('v1alpha1', 'machine: {type: a}')}\n${config('persistent', next)}\n`;
  });
  await expect(assertNothingStaged(talos)).rejects.toThrow(`npm run bootstrap -- maintenance ${WORKER}`);
});

describe('a VM that is off', () => {
  const look = (config: string, status: string | Error = 'status: stopped\n') => {
    const qm = (words: string) => (words.startsWith('status') ? status : config);
    const { talos } = nodesThatAnswer((words) => (/^(status|config) /.test(words) ? qm(words) : UNTRUSTED), true);
    return running(talos.node(WORKER)!).plan();
  };

  test('is started if it is ours', async () => {
    const change = await look(`name: ${WORKER}\ndescription: ${mark(WORKER)}\n`);
    expect(shownLines(change!)).toEqual(['proxmox: qm start 201']);
  });

  test('is left alone if it is not ours', async () => {
    await expect(look('name: other\n')).rejects.toThrow(/VM 201 .* must be ours before it is started[^]*apply vms/);
  });

  test('is created by stage vms if it is missing', async () => {
    const missing = new Error("Configuration file 'nodes/pve/qemu-server/201.conf' does not exist");
    await expect(look('', missing)).rejects.toThrow(/VM 201 .* does not exist[^]* apply vms$/);
  });
});

describe('a machine gets its secrets', () => {
  const GIB = 1024 ** 3;
  const disks = Object.entries(worker.dataDisks!).map(([serial, size], at) => ({
    dev_path: `/dev/vd${'abcdef'[at]}`,
    serial,
    size: size.toGibibytes() * GIB,
  }));
  const list = (specs: object[]) =>
    specs.map((spec, at) => `${JSON.stringify({ metadata: { id: `${at}` }, spec }, null, 4)}\n`).join('');
  const look = (shown: object[], mac: string, link: object = { permanentAddr: mac }) => {
    const { context } = nodesThatAnswer((words) => {
      if (words.startsWith('get links --insecure')) return list([link]);
      return words.startsWith('get disks --insecure') ? list(shown) : UNTRUSTED;
    });
    return configuration(context, context.log, context.talos.node(WORKER)!).plan();
  };
  const system = { dev_path: SYSTEM_DISK };

  test.each<[string, RegExp, object[], string]>([
    ['its card', /must have the network card 02:.*has 02:00:00:00:09:09/, [system, ...disks], '02:00:00:00:09:09'],
    ['its system disk', /must show its system disk as/, disks, worker.mac],
    ['one of its disks', /must show one disk with .*, but shows 0/, [system, ...disks.slice(1)], worker.mac],
    ['disks of their size', /must have 100Gi, but has 51200Mi/, [system, { ...disks[0], size: 50 * GIB }, ...disks.slice(1)], worker.mac], // prettier-ignore
  ])('never without %s', async (_, message, shown, mac) => {
    await expect(look(shown, mac)).rejects.toThrow(message);
  });

  test('not if Talos prints an empty permanent address of its network card', async () => {
    const link = { permanentAddr: '', hardwareAddr: worker.mac.toUpperCase() };
    await expect(look(disks, worker.mac, link)).rejects.toThrow(/must show its system disk as/);
  });
});

describe('a change that needs a restart of the node', () => {
  const config = (type: string) => `machine:\n  type: ${type}\n  kubelet:\n    image: kubelet:v1.36.3\n`;
  const stored = (id: string, type: string) => JSON.stringify({ metadata: { id }, spec: config(type) }, null, 4);
  const look = (next: string) => {
    const { context } = nodesThatAnswer((words) => {
      if (words.startsWith('get machineconfig')) return `${stored('v1alpha1', 'old')}\n${stored('persistent', next)}\n`;
      if (words.startsWith('gen config')) return config('new');
      if (words.startsWith('validate')) return 'is valid for metal mode';
      if (words.includes('--mode=no-reboot')) return new Error("this config change can't be applied in immediate mode");
      return words.includes('--mode=staged') ? 'Config diff:\n-old\n+new\n' : VERSION;
    });
    return configuration(context, context.log, context.talos.node(WORKER)!).plan();
  };

  test('is staged, with the command that applies it', async () => {
    expect(shownLines((await look('old'))!)).toEqual([
      '-old',
      '+new',
      `it takes effect at the next start: npm run bootstrap -- maintenance ${WORKER}`,
      `talosctl -n ${worker.address} apply-config --mode=staged`,
    ]);
  });

  test('is not staged twice', async () => {
    expect(await look('new')).toBeUndefined();
  });
});

test('rejects an upgrade to a Talos whose kernel stops MongoDB, before it asks any node', async () => {
  const { context, changed } = nodesThatAnswer(() => new Error('nobody was to be asked'));
  const versions = { ...homelab.versions, talos: 'v1.15.0', linux: '6.19.3' };
  const refused = upgradeSteps({ ...context, homelab: { ...homelab, versions } });
  await expect(refused).rejects.toThrow(/Talos v1\.15\.0 has Linux 6\.19\.3, and .*SERVER-121912.*v1\.13\.9/);
  expect(changed).toEqual([]);
});

describe('the output of talosctl', () => {
  test('is rejected if it is invalid', () => {
    expect(() => parseVersion('Client:\n\tTag: v1.13.9\n', '10.0.0.1')).toThrow(/must name the version of 10\.0\.0\.1/);
    expect(() => parseServiceState('', 'etcd')).toThrow(/must name a state/);
    expect(() => parseResources('{"kind": "Status"}', 'talosctl get disks')).toThrow(/must list resources/);
  });
});
