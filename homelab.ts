import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, Secret } from './inventory';

/** This homelab. The one file to edit: dist/ and the bootstrap are derived from it. */
export default defineHomelab({
  name: 'collab',

  hosts: {
    mac: { kind: 'mac', model: 'Mac Mini M4', memory: Size.gibibytes(16), address: '192.168.1.50' },
    proxmox: {
      kind: 'proxmox',
      model: 'GMKtec K8 Plus',
      address: '192.168.1.10',
      memory: Size.gibibytes(96),
      igpuCarveOut: Size.gibibytes(2),
      reserve: Size.gibibytes(8),
      disk: Size.gibibytes(1862), // 2 TB
      storage: 'local-lvm',
      gpu: 'AMD Radeon 780M',
      npu: 'AMD Ryzen AI (XDNA)',
    },
  },

  network: {
    cidr: '192.168.1.0/24',
    gateway: '192.168.1.1',
    dns: ['192.168.1.1'],
    domain: 'collab.home.arpa',
  },

  versions: { proxmox: '9.2', talos: 'v1.13.9', kubernetes: 'v1.36.3', argoCd: 'v3.5.1' },

  talos: {
    enforceNetworkPolicies: true,
    kubeletReserve: { controlPlane: Size.mebibytes(512), worker: Size.mebibytes(384) },
    // Cassandra's termination grace period of 120 s with a margin, plus the part for critical pods.
    shutdownGracePeriod: Duration.seconds(210),
    shutdownGracePeriodCriticalPods: Duration.seconds(30),
  },

  machines: {
    'talos-cp-01': {
      kind: 'talos',
      role: 'control-plane',
      vmid: 200,
      address: '192.168.1.20',
      mac: '02:00:00:00:02:00',
      memory: Size.gibibytes(4),
      cores: 2,
      systemDisk: Size.gibibytes(40),
      startOrder: 1,
      down: Duration.seconds(270),
    },
    'talos-worker-01': {
      kind: 'talos',
      role: 'worker',
      vmid: 201,
      address: '192.168.1.21',
      mac: '02:00:00:00:02:01',
      memory: Size.gibibytes(22),
      cores: 6,
      systemDisk: Size.gibibytes(60),
      labels: { 'storage-type': 'cassandra' },
      dataDisks: {
        'cassandra-r1-0': Size.gibibytes(100),
        'cassandra-r2-0': Size.gibibytes(100),
        'cassandra-r3-0': Size.gibibytes(100),
      },
      startOrder: 3,
      down: Duration.seconds(450),
    },
    'talos-worker-02': {
      kind: 'talos',
      role: 'worker',
      vmid: 202,
      address: '192.168.1.22',
      mac: '02:00:00:00:02:02',
      memory: Size.gibibytes(22),
      cores: 8,
      systemDisk: Size.gibibytes(60),
      labels: { 'storage-type': 'mongodb' },
      dataDisks: {
        'mongodb-0': Size.gibibytes(100),
        'mongodb-1': Size.gibibytes(100),
        'mongodb-2': Size.gibibytes(100),
        'documents-uploads': Size.gibibytes(50),
      },
      startOrder: 3,
      down: Duration.seconds(450),
    },
    'ai-vm': {
      kind: 'ubuntu',
      release: '24.04',
      vmid: 210,
      address: '192.168.1.30',
      mac: '02:00:00:00:02:10',
      memory: Size.gibibytes(32),
      cores: 8,
      systemDisk: Size.gibibytes(300),
      gpu: true,
      startOrder: 2,
      down: Duration.seconds(180),
    },
  },

  // Requests of pods that our charts do not render: Kubernetes, Argo CD, metrics and logs. kube-proxy requests nothing.
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
      on: 'any-node', // its anti-affinity is only a preference
      pods: 3, // two, and one more during a rolling update
      containers: { coredns: { memory: Size.mebibytes(70), cpu: Cpu.millis(100) } },
    },
    flannel: {
      on: 'every-node',
      containers: {
        'kube-flannel': { memory: Size.mebibytes(50), cpu: Cpu.millis(100) },
        'kube-network-policies': { memory: Size.mebibytes(50), cpu: Cpu.millis(100) },
      },
    },
    'node-agents': {
      on: 'workers',
      containers: { agent: { memory: Size.mebibytes(448), cpu: Cpu.millis(100) } },
    },
    'argo-cd': {
      on: 'talos-worker-02',
      containers: {
        'application-controller': { memory: Size.mebibytes(768), cpu: Cpu.millis(250) },
        'repo-server': { memory: Size.mebibytes(512), cpu: Cpu.millis(100) },
        server: { memory: Size.mebibytes(256), cpu: Cpu.millis(50) },
        'applicationset-controller': { memory: Size.mebibytes(128), cpu: Cpu.millis(25) },
        'notifications-controller': { memory: Size.mebibytes(128), cpu: Cpu.millis(25) },
        'dex-server': { memory: Size.mebibytes(128), cpu: Cpu.millis(25) },
        redis: { memory: Size.mebibytes(128), cpu: Cpu.millis(50) },
      },
    },
    'metrics-and-logs': {
      on: 'talos-worker-02',
      containers: {
        metrics: { memory: Size.mebibytes(1280), cpu: Cpu.millis(200) },
        logs: { memory: Size.mebibytes(768), cpu: Cpu.millis(100) },
      },
    },
  },

  databases: {
    cassandra: {
      kind: 'cassandra',
      clusterName: 'collab',
      datacenter: 'dc1',
      racks: ['r1', 'r2', 'r3'],
      memory: Size.gibibytes(5),
      cpu: Cpu.units(1),
      nodeLabel: { key: 'storage-type', value: 'cassandra' },
    },
    mongodb: {
      kind: 'mongodb',
      replicaSet: 'rs0',
      members: 3,
      memory: Size.gibibytes(2),
      cpu: Cpu.millis(500),
      nodeLabel: { key: 'storage-type', value: 'mongodb' },
    },
  },

  // On the Mac, not on the K8 Plus. Replace the example host key by that of your Mac. Run there:
  //   cat /etc/ssh/ssh_host_ed25519_key.pub
  backup: {
    target: {
      kind: 'sftp',
      host: 'mac',
      user: 'backup',
      path: '/Users/backup/homelab',
      hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00'],
    },
  },

  llm: {
    service: 'llm-service',
    machine: 'ai-vm',
    port: 11434,
    // Each client of the models has a key, and limits. Turned on in a running homelab: docs/day-2.md has the order.
    gateway: {},
    models: {
      chat: { tag: 'qwen2.5:14b-instruct-q4_K_M', context: 16384, resident: true },
      embeddings: { tag: 'nomic-embed-text:v1.5', context: 2048 },
    },
  },

  ingress: { statusMachine: 'talos-worker-02', memory: Size.mebibytes(307), cpu: Cpu.millis(100) },

  preferredNodes: { key: 'storage-type', value: 'mongodb' },

  services: {
    gateway: {
      connects: [
        { service: 'identity' },
        { service: 'workspaces' },
        { service: 'documents' },
        { service: 'collaboration' },
        { service: 'chat' },
        { service: 'presence' },
        { service: 'notifications' },
        { service: 'search' },
        { service: 'assistant' },
      ],
    },
    identity: {
      connects: [{ mongodb: 'mongodb', database: 'identity' }],
      secrets: { SIGNING_KEY: Secret.keyPair().file('/run/secrets/signing.pem'), SESSION_KEY: Secret.generated() },
    },
    workspaces: { connects: [{ mongodb: 'mongodb', database: 'workspaces' }] },
    documents: {
      connects: [
        { mongodb: 'mongodb', database: 'documents' },
        { cassandra: 'cassandra', keyspace: 'documents_history' },
      ],
      volumes: { uploads: { path: '/uploads' } },
    },
    collaboration: {
      connects: [{ cassandra: 'cassandra', keyspace: 'collaboration_operations' }, { service: 'documents' }],
    },
    chat: { connects: [{ cassandra: 'cassandra', keyspace: 'chat' }] },
    // Its tables expire rows (default_time_to_live): presence that is a minute old is useless.
    presence: { connects: [{ cassandra: 'cassandra', keyspace: 'presence' }] },
    notifications: {
      connects: [
        { mongodb: 'mongodb', database: 'notifications' },
        { internet: [443, 587], because: 'push notifications, and mail by smtp.example.org' },
      ],
      env: { SMTP_HOST: 'smtp.example.org', SMTP_PORT: '587' },
      secrets: { SMTP_PASSWORD: Secret.asked('password of the mail account at smtp.example.org') },
    },
    search: { connects: [{ mongodb: 'mongodb', database: 'search' }, { model: 'embeddings' }] },
    // Fills the index that search reads, under its own login.
    'search-indexer': {
      kind: 'worker',
      connects: [{ mongodb: 'mongodb', database: 'search' }, { service: 'documents' }, { model: 'embeddings' }],
    },
    assistant: { connects: [{ service: 'documents' }, { service: 'search' }, { model: 'chat' }] },
  },

  webApps: {
    web: { host: 'app', connects: [{ service: 'gateway' }] },
    admin: { host: 'admin', connects: [{ service: 'gateway' }] },
  },

  // Replace the example by your own public key:
  //   cat ~/.ssh/id_ed25519.pub
  access: { sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00 example'] },

  git: { url: 'https://github.com/owner/collab-homelab.git', revision: 'main' },
});
