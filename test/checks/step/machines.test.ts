import { Duration, Size } from 'cdk8s';
import { machineChanges } from '../../../checks/step/machines';
import { stateOf, type Change } from './states';

const base = stateOf();
const changes = (change: Change) => machineChanges({ before: base, after: stateOf(change) });
/** As "talos-worker-01 next-start: memory ...". */
const told = (change: Change) =>
  changes(change).map(({ machine, effect, reason }) => `${machine} ${effect}: ${reason}`);

const NODES = 'talos-cp-01, talos-worker-01, talos-worker-02';
const CASSANDRA = ['cassandra/cassandra-r1-0', 'cassandra/cassandra-r2-0', 'cassandra/cassandra-r3-0'];

/** Changes the text of one file in a way that the renderers never do. */
function withText(path: string, edit: (text: string) => string) {
  const text = base.machines!.get(path)!;
  expect(edit(text)).not.toBe(text);
  const after = { ...base, machines: new Map([...base.machines!, [path, edit(text)]]) };
  return machineChanges({ before: base, after });
}

test('reports nothing if nothing changes, or if the files are unknown', () => {
  expect(changes(() => undefined)).toEqual([]);
  expect(changes((h) => void (h.services.chat.replicas = 2))).toEqual([]);
  const { machines: _, ...without } = base;
  expect(machineChanges({ before: without, after: base })).toEqual([]);
});

describe('virtual machines', () => {
  test('memory and cores need the VM to be off; lists the pods that stop', () => {
    expect(
      changes((h) => {
        h.machines['talos-worker-01'].memory = Size.gibibytes(24);
        h.machines['talos-worker-01'].cores = 7;
      }),
    ).toEqual([
      {
        machine: 'talos-worker-01',
        files: ['proxmox/vms/201-talos-worker-01.sh'],
        effect: 'next-start',
        reason:
          'cores 6 becomes 7 after the VM was stopped and started; memory 22528 becomes 24576 after the VM was stopped and started.',
        pods: expect.arrayContaining(CASSANDRA) as string[],
        clients: ['services/chat', 'services/collaboration', 'services/documents', 'services/presence'],
        command: 'npm run bootstrap -- apply vms, then npm run bootstrap -- maintenance talos-worker-01 stop',
      },
    ]);
  });

  test('the start order and the cloud-init address change while it runs', () =>
    expect(told((h) => void (h.machines['talos-worker-01'].startOrder = 4))).toEqual([
      'talos-worker-01 live: startup order=3,up=0,down=450 becomes order=4,up=0,down=450 while it runs.',
    ]));

  test('a network card changes at once', () =>
    expect(told((h) => void (h.machines['talos-worker-02'].mac = '02:00:00:00:02:22')).join()).toContain(
      'the network card is replaced at once',
    ));

  test.each([
    [120, 'next-start', 'disk cassandra-r1-0 100 GiB becomes 120 GiB: it grows at once'],
    [80, 'data', 'disk cassandra-r1-0 100 GiB becomes 80 GiB: a disk cannot shrink'],
  ])('a disk of %d GiB', (size, effect, reason) => {
    const found = changes((h) => {
      const disks = h.machines['talos-worker-01'].dataDisks;
      for (const serial of Object.keys(disks)) disks[serial] = Size.gibibytes(size);
    });
    expect(found[0]).toMatchObject({ machine: 'talos-worker-01', effect });
    expect(found[0]!.reason).toContain(reason);
  });

  test('system disks grow, and do not shrink', () => {
    const system = (size: number) => told((h) => void (h.machines['ai-vm'].systemDisk = Size.gibibytes(size)));
    expect(system(400)).toEqual([expect.stringMatching(/^ai-vm next-start: system disk 300 GiB becomes 400 GiB/)]);
    expect(system(200)).toEqual([expect.stringMatching(/^ai-vm nothing: .* apply vms refuses it/)]);
  });

  test('a disk that moves is a data risk of both machines', () => {
    const found = told((h) => {
      const { 'mongodb-2': size, ...others } = h.machines['talos-worker-02'].dataDisks;
      h.machines['talos-worker-02'].dataDisks = others;
      h.machines['talos-worker-01'].dataDisks['mongodb-2'] = size;
      h.machines['talos-worker-01'].labels = { 'storage-type': 'mongodb' };
      h.databases.cassandra.nodeLabel = h.databases.mongodb.nodeLabel;
    });
    expect(found.join('\n')).toContain(
      'talos-worker-01 data: gets an empty disk mongodb-2: nothing copies the data from the disk of talos-worker-02',
    );
    expect(found.join('\n')).toContain('disk mongodb-2 is declared for talos-worker-01 now: it stays in the VM');
  });

  test('a new node, and a removed node', () => {
    const more: Change = (h) => {
      const { dataDisks: _, labels: __, ...worker } = h.machines['talos-worker-02'];
      h.hosts.proxmox.memory = Size.gibibytes(192);
      h.machines['talos-worker-03'] = { ...worker, vmid: 203, address: '192.168.1.23', mac: '02:00:00:00:02:03' };
    };
    const after = stateOf(more);
    expect(machineChanges({ before: base, after })).toContainEqual({
      machine: 'talos-worker-03',
      files: ['proxmox/vms/203-talos-worker-03.sh'],
      effect: 'new-machine',
      reason: 'talos-worker-03 is created on proxmox.',
      pods: [],
      clients: [],
      command: 'npm run bootstrap -- apply vms, then npm run bootstrap -- apply talos',
    });
    expect(machineChanges({ before: after, after: base })[0]).toMatchObject({
      machine: 'talos-worker-03',
      effect: 'gone',
    });
    const path = 'proxmox/vms/202-talos-worker-02.sh';
    const less = { ...base, machines: new Map([...base.machines!].filter(([each]) => each !== path)) };
    expect(machineChanges({ before: base, after: less })[0]).toMatchObject({
      effect: 'data',
      reason: expect.stringContaining('with its disks mongodb-0, mongodb-1, mongodb-2') as string,
    });
  });

  test('another name, and another host', () => {
    const file = (from: string, to: string) => {
      const machines = new Map([...base.machines!].map(([path, text]) => [path === from ? to : path, text] as const));
      return machineChanges({ before: base, after: { ...base, machines } })[0];
    };
    const path = 'proxmox/vms/202-talos-worker-02.sh';
    expect(file(path, 'proxmox/vms/202-other.sh')).toMatchObject({ machine: 'other', effect: 'data' });
    expect(file(path, 'second/vms/202-talos-worker-02.sh')).toMatchObject({
      effect: 'data',
      reason: expect.stringContaining('is created on second') as string,
    });
  });
});

describe('Talos', () => {
  test('another version restarts each node', () => {
    const [upgrade] = changes((h) => void (h.versions.talos = 'v1.13.10'));
    expect(upgrade).toMatchObject({
      machine: NODES,
      effect: 'node-reboot',
      reason: 'Talos v1.13.9 becomes v1.13.10: each node restarts, one after the other, the control plane first.',
      command: 'npm run bootstrap -- upgrade',
    });
    expect(upgrade!.pods).toEqual(expect.arrayContaining([...CASSANDRA, 'mongodb/mongodb-0', 'ingress/traefik']));
  });

  test('another version of Kubernetes restarts no pods, and lists what restarts', () => {
    const found = changes((h) => void (h.versions.kubernetes = 'v1.36.4'));
    expect(found).toEqual([
      expect.objectContaining({
        machine: NODES,
        files: ['versions.yaml'],
        effect: 'live',
        command: 'npm run bootstrap -- upgrade',
        pods: [],
      }),
    ]);
    expect(found[0]!.reason).toContain('no node reboots; API server, controller manager and scheduler of talos-cp-01');
    // The file is unknown, so the step gives the version that the cluster runs.
    const after = { ...stateOf((h) => void (h.versions.kubernetes = 'v1.36.4')), machines: undefined };
    expect(
      machineChanges({
        before: { ...base, machines: undefined },
        after,
        kubernetes: 'v1.36.3',
        homelab: after.homelab,
      }),
    ).toHaveLength(1);
  });

  test.each([
    ['v1.35.9', 'it cannot go back'],
    ['v1.36.2', 'it cannot go back'],
    ['v1.38.0', 'only one minor version at a time: first write the last v1.37.x'],
  ])('Kubernetes to %s is refused: %s', (version, reason) => {
    const machines = new Map([
      ...base.machines!,
      ['versions.yaml', base.machines!.get('versions.yaml')!.replace('v1.36.3', version)],
    ]);
    const found = machineChanges({ before: base, after: { ...base, machines } });
    expect(found).toEqual([expect.objectContaining({ machine: NODES, effect: 'nothing' })]);
    expect(found[0]!.reason).toContain(reason);
    expect(found[0]!.command).toBeUndefined();
  });

  test('a minor version of Kubernetes restarts no pods, Argo CD its own pods, Ollama its models', () => {
    expect(told((h) => void (h.versions.kubernetes = 'v1.37.0')).join()).toContain('no node reboots');
    expect(changes((h) => void (h.versions.argoCd = 'v3.6.0'))).toEqual([
      {
        machine: 'Argo CD',
        files: ['versions.yaml'],
        effect: 'live',
        reason: expect.stringContaining('Argo CD v3.5.1 becomes v3.6.0: its own pods restart') as string,
        pods: [],
        clients: [],
        command: 'npm run bootstrap -- apply gitops',
      },
    ]);
    expect(told((h) => void (h.llm.version = 'v0.33.0')).join()).toMatch(/^ai-vm live: .*Ollama v\S+ becomes v0.33.0/);
    expect(told((h) => void (h.versions.proxmox = '9.3')).join()).toContain(
      'proxmox nothing: Proxmox 9.2 becomes 9.3: the bootstrap only checks it',
    );
  });

  test('versions that are rendered for the first time are no change', () => {
    const machines = new Map([...base.machines!].filter(([path]) => path !== 'versions.yaml'));
    expect(machineChanges({ before: { ...base, machines }, after: base })).toEqual([]);
  });

  test.each<[string, string, Change]>([
    [
      'labels',
      'talos-worker-01 live: machine.nodeLabels.zone unset becomes a',
      (h) => (h.machines['talos-worker-01'].labels.zone = 'a'),
    ],
    [
      'the time to shut down',
      `${NODES} live: machine.kubelet.extraConfig.shutdownGracePeriod 210s becomes 220s: the kubelet restarts`,
      (h) => (h.talos.shutdownGracePeriod = Duration.seconds(220)),
    ],
    [
      'what policies do',
      `${NODES} live: cluster.network.cni.flannel.kubeNetworkPoliciesEnabled true becomes false: flannel restarts`,
      (h) => (h.talos.enforceNetworkPolicies = false),
    ],
    [
      'what the kubelet of workers keeps',
      'talos-worker-01, talos-worker-02 live: machine.kubelet',
      (h) => (h.talos.kubeletReserve.worker = Size.mebibytes(400)),
    ],
    [
      'what that of the control plane keeps',
      'talos-cp-01 live: machine.kubelet',
      (h) => (h.talos.kubeletReserve.controlPlane = Size.mebibytes(600)),
    ],
    ['name servers', `${NODES} live: ResolverConfig/ nameservers`, (h) => (h.network.dns = ['192.168.1.2'])],
    ['time servers', `${NODES} live: TimeSyncConfig/ ntp.servers`, (h) => (h.network.timeServers = ['192.168.1.1'])],
  ])('%s', (_, expected, change) => expect(told((h) => void change(h)).join('\n')).toContain(expected));

  test('a new disk is created, then formatted', () => {
    const found = told((h) => {
      h.databases.cassandra.nodesPerRack = 2;
      h.databases.cassandra.memory = Size.gibibytes(3);
      for (const rack of ['r1', 'r2', 'r3'])
        h.machines['talos-worker-01'].dataDisks[`cassandra-${rack}-1`] = Size.gibibytes(100);
    });
    expect(found).toEqual([
      expect.stringMatching(/^talos-worker-01 live: gets the new, empty disk cassandra-r1-1; /),
      expect.stringMatching(
        /^talos-worker-01 live: the new disk cassandra-r1-1 is formatted and mounted at \/var\/mnt/,
      ),
    ]);
  });

  test('names, networks, and changes that need a restart', () => {
    const node = 'talos/nodes/talos-worker-01.patch.yaml';
    expect(withText(node, (text) => text.replace('hostname: talos-worker-01', 'hostname: other'))[0]).toMatchObject({
      machine: 'talos-worker-01',
      effect: 'data',
    });
    expect(
      withText('talos/cluster.patch.yaml', (text) => text.replace('10.244.0.0/16', '10.245.0.0/16'))[0],
    ).toMatchObject({ machine: NODES, effect: 'new-machine' });
    expect(withText(node, (text) => text.replace('nodeLabels:', 'disks: []\n  nodeLabels:'))[0]).toMatchObject({
      effect: 'node-reboot',
      command: 'npm run bootstrap -- apply talos, then npm run bootstrap -- maintenance talos-worker-01',
      pods: expect.arrayContaining(CASSANDRA) as string[],
    });
    expect(withText('talos/cluster.patch.yaml', (text) => `${text}\n# a comment\n`)).toEqual([]);
  });
});

describe('the host', () => {
  test('restarts for its kernel and modules, and everything on it stops', () => {
    const path = 'proxmox/etc/default/grub.d/collab-homelab.cfg';
    expect(withText(path, (text) => text.replace('iommu=pt', 'iommu=pt quiet'))).toEqual([
      {
        machine: 'proxmox',
        files: [path],
        effect: 'host-reboot',
        reason:
          '/etc/default/grub.d/collab-homelab.cfg changes: proxmox applies it at its next start, and every machine on it stops meanwhile.',
        pods: expect.arrayContaining([...CASSANDRA, 'mongodb/mongodb-0']) as string[],
        clients: expect.arrayContaining(['services/chat', 'services/assistant']) as string[],
        command: 'npm run bootstrap -- apply host',
      },
    ]);
    expect(
      withText('proxmox/etc/systemd/system/collab-homelab-undo.timer', (text) => text.replace('15min', '20min'))[0],
    ).toMatchObject({ effect: 'live', pods: [] });
  });
});

describe('the machine beside the cluster', () => {
  test('restarts Ollama for its settings, which its clients notice', () => {
    const [change] = changes((h) => void (h.llm.models.chat.context = 8192));
    expect(change).toMatchObject({
      machine: 'ai-vm',
      effect: 'live',
      clients: ['services/assistant', 'services/llm-service-proof', 'services/search'],
      command: 'npm run bootstrap -- apply ai-vm',
    });
    expect(change!.reason).toContain('Ollama restarts');
  });

  test('keeps its first settings', () => {
    expect(
      told(
        (h) =>
          void h.access.sshKeys.push(
            'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE01 b',
          ),
      ),
    ).toEqual(['ai-vm live: other keys may log in.']);
    expect(
      withText('ai-vm/cloud-init/network.yaml', (text) => text.replace('192.168.1.30', '192.168.1.31'))[0],
    ).toMatchObject({ effect: 'new-machine' });
    expect(
      withText('ai-vm/etc/modprobe.d/collab-homelab-ttm.conf', (text) => text.replace('7340032', '1'))[0],
    ).toMatchObject({ effect: 'next-start' });
    expect(
      withText('ai-vm/etc/collab-homelab/firewall.nft', (text) => text.replace('192.168.1.50', '192.168.1.51'))[0],
    ).toMatchObject({ effect: 'live' });
  });
});
