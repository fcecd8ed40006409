import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, type Machine, type ProxmoxHost } from '../../inventory';

/**
 * The homelab after it grew: three hosts, on each a control plane, a worker with one node of the ring and one member of the
 * set. The racks r1, r2 and r3 are hosts now, under the names that they had; services run twice.
 */
const HOSTS = [1, 2, 3] as const;
const host = (n: number): ProxmoxHost => ({
  kind: 'proxmox',
  model: 'GMKtec K8 Plus',
  address: `192.168.1.${10 + n}`,
  memory: Size.gibibytes(96),
  igpuCarveOut: Size.gibibytes(2),
  reserve: Size.gibibytes(8),
  disk: Size.gibibytes(1862),
  gpu: 'AMD Radeon 780M',
  npu: 'AMD Ryzen AI (XDNA)',
});
const machines = (n: number): [string, Machine][] => [
  [
    `talos-cp-0${n}`,
    {
      kind: 'talos',
      role: 'control-plane',
      host: `pve-${n}`,
      vmid: 200 + n,
      address: `192.168.1.${20 + n}`,
      mac: `02:00:00:00:02:0${n}`,
      memory: Size.gibibytes(4),
      cores: 2,
      systemDisk: Size.gibibytes(40),
      startOrder: 1,
      down: Duration.seconds(270),
    },
  ],
  [
    `talos-worker-0${n}`,
    {
      kind: 'talos',
      role: 'worker',
      host: `pve-${n}`,
      vmid: 210 + n,
      address: `192.168.1.${30 + n}`,
      mac: `02:00:00:00:02:1${n}`,
      memory: Size.gibibytes(32),
      cores: 12,
      systemDisk: Size.gibibytes(60),
      labels: { databases: 'yes' },
      dataDisks: { [`cassandra-r${n}-0`]: Size.gibibytes(200), [`mongodb-${n - 1}`]: Size.gibibytes(200) },
      startOrder: 3,
      down: Duration.seconds(450),
    },
  ],
];

export default defineHomelab({
  name: 'grown',
  hosts: {
    mac: { kind: 'mac', model: 'Mac Mini M4', memory: Size.gibibytes(16), address: '192.168.1.50' },
    ...Object.fromEntries(HOSTS.map((n) => [`pve-${n}`, host(n)])),
  },
  network: { cidr: '192.168.1.0/24', gateway: '192.168.1.1', dns: ['192.168.1.1'], domain: 'grown.home.arpa' },
  versions: { proxmox: '9.2', talos: 'v1.13.9', kubernetes: 'v1.36.3', argoCd: 'v3.5.1' },
  talos: {
    enforceNetworkPolicies: true,
    kubeletReserve: { controlPlane: Size.mebibytes(512), worker: Size.mebibytes(384) },
    shutdownGracePeriod: Duration.seconds(210),
    shutdownGracePeriodCriticalPods: Duration.seconds(30),
  },
  machines: {
    ...Object.fromEntries(HOSTS.flatMap(machines)),
    'ai-vm': {
      kind: 'ubuntu',
      release: '24.04',
      host: 'pve-1',
      vmid: 220,
      address: '192.168.1.40',
      mac: '02:00:00:00:02:20',
      memory: Size.gibibytes(32),
      cores: 8,
      systemDisk: Size.gibibytes(300),
      gpu: true,
      startOrder: 2,
      down: Duration.seconds(180),
    },
  },
  system: {
    'control-plane': {
      on: 'control-plane',
      containers: {
        'kube-apiserver': { memory: Size.mebibytes(512), cpu: Cpu.millis(200) },
        'kube-controller-manager': { memory: Size.mebibytes(256), cpu: Cpu.millis(50) },
        'kube-scheduler': { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      },
    },
    coredns: {
      on: 'any-node', // it only prefers nodes apart
      pods: 3, // two, and one more while it rolls
      containers: { coredns: { memory: Size.mebibytes(70), cpu: Cpu.millis(100) } },
    },
    flannel: {
      on: 'every-node',
      containers: {
        'kube-flannel': { memory: Size.mebibytes(50), cpu: Cpu.millis(100) },
        'kube-network-policies': { memory: Size.mebibytes(50), cpu: Cpu.millis(100) },
      },
    },
    'argo-cd': { on: 'talos-worker-01', containers: { all: { memory: Size.gibibytes(2), cpu: Cpu.millis(500) } } },
    'metrics-and-logs': {
      on: 'talos-worker-03',
      containers: { all: { memory: Size.gibibytes(2), cpu: Cpu.millis(300) } },
    },
  },
  backup: {
    target: {
      kind: 'sftp',
      host: 'mac',
      user: 'backup',
      path: '/Users/backup/homelab',
      hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00'],
    },
  },

  databases: {
    cassandra: {
      kind: 'cassandra',
      clusterName: 'collab',
      datacenter: 'dc1',
      racks: ['r1', 'r2', 'r3'],
      memory: Size.gibibytes(8),
      cpu: Cpu.units(2),
      nodeLabel: { key: 'databases', value: 'yes' },
    },
    mongodb: {
      kind: 'mongodb',
      replicaSet: 'rs0',
      members: 3,
      memory: Size.gibibytes(4),
      cpu: Cpu.units(1),
      nodeLabel: { key: 'databases', value: 'yes' },
    },
  },
  llm: {
    service: 'llm-service',
    machine: 'ai-vm',
    port: 11434,
    models: { chat: { tag: 'qwen2.5:14b-instruct-q4_K_M', context: 16384, resident: true } },
  },
  ingress: { statusMachine: 'talos-worker-01', memory: Size.mebibytes(307), cpu: Cpu.millis(100) },
  services: {
    documents: {
      replicas: 2,
      connects: [
        { mongodb: 'mongodb', database: 'documents' },
        { cassandra: 'cassandra', keyspace: 'documents_history' },
      ],
    },
    assistant: { replicas: 2, connects: [{ service: 'documents' }, { model: 'chat' }] },
  },
  webApps: { web: { host: 'app', replicas: 2, connects: [{ service: 'documents' }, { service: 'assistant' }] } },
  access: { sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00 example'] },

  git: { url: 'https://github.com/owner/grown.git', revision: 'main' },
});
