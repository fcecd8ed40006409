import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab } from '../../inventory';

/** One machine that is control plane and worker at once, one service, no database, no model, no way in. */
export default defineHomelab({
  name: 'smallest',
  hosts: {
    pve: {
      kind: 'proxmox',
      model: 'any small computer',
      address: '192.168.1.10',
      memory: Size.gibibytes(16),
      igpuCarveOut: Size.mebibytes(512),
      reserve: Size.gibibytes(4),
      disk: Size.gibibytes(500),
      gpu: 'none',
      npu: 'none',
    },
  },
  network: { cidr: '192.168.1.0/24', gateway: '192.168.1.1', dns: ['192.168.1.1'], domain: 'smallest.home.arpa' },
  versions: { proxmox: '9.2', talos: 'v1.13.9', kubernetes: 'v1.36.3', argoCd: 'v3.5.1' },
  talos: {
    enforceNetworkPolicies: true,
    scheduleOnControlPlanes: true,
    kubeletReserve: { controlPlane: Size.mebibytes(512), worker: Size.mebibytes(384) },
    shutdownGracePeriod: Duration.seconds(60),
    shutdownGracePeriodCriticalPods: Duration.seconds(10),
  },
  machines: {
    'talos-01': {
      kind: 'talos',
      role: 'control-plane',
      vmid: 200,
      address: '192.168.1.20',
      mac: '02:00:00:00:02:00',
      memory: Size.gibibytes(8),
      cores: 4,
      systemDisk: Size.gibibytes(60),
      startOrder: 1,
      down: Duration.seconds(300),
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
      on: 'any-node',
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
    'argo-cd': { on: 'workers', containers: { all: { memory: Size.gibibytes(2), cpu: Cpu.millis(500) } } },
  },
  databases: {},
  services: { hello: { connects: [] } },
  webApps: {},
  git: { url: 'https://github.com/owner/smallest.git' },
});
