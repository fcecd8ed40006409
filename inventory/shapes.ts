import type * as lab from './homelab';
import type { LlmGateway } from './llm-gateway';
import { declaredSecretProblem } from '../values/secret';
import { backup } from './backup-shape';
import { cassandra, mongodb } from './database-shapes';
import { model } from './model-shape';
import { labelValue, nodeLabel, nodeLabelKey, objectName } from './name-shapes';
import { service, webApp } from './service-shapes';
import * as is from './shape';

/** The form of each part of a homelab. references.ts validates values against each other. */

const version = is.matching(/^v\d+\.\d+\.\d+$/, 'an exact version', 'v1.36.3');
const mac = is.matching(
  /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/,
  'a unicast MAC address in lower case',
  '02:00:00:00:02:01',
);
/** virtio cuts a serial after 20 bytes, and a disk with a cut serial is never found. */
const serial = is.matching(
  /^[A-Za-z0-9-]{1,20}$/,
  'a disk serial of 1 to 20 letters, digits and -, because virtio cuts longer ones',
  'cassandra-r1-0',
);
const storageName = is.matching(/^[a-z][\w.-]{0,98}[a-z0-9]$/i, 'the name of a Proxmox storage', 'local-lvm');

const macHost: is.Shape<lab.MacHost> = {
  kind: is.oneOf('mac', 'proxmox'),
  model: is.text,
  memory: is.size,
  address: is.address,
};
const proxmoxHost: is.Shape<lab.ProxmoxHost> = {
  kind: is.oneOf('mac', 'proxmox'),
  model: is.text,
  address: is.address,
  memory: is.size,
  igpuCarveOut: is.sizeOrZero,
  reserve: is.size,
  disk: is.size,
  storage: is.optional(storageName),
  files: is.optional(storageName),
  bridge: is.optional(is.matching(/^[a-z][a-z0-9_.-]{0,14}$/, 'the name of a network bridge', 'vmbr0')),
  gpu: is.text,
  gpuPassthrough: is.optional(
    is.shape<lab.GpuPassthrough>({
      rom: is.optional(is.flag),
      audioRom: is.optional(
        is.matching(
          /^(?!.*\.\.)[A-Za-z0-9][\w./-]*\.(rom|bin)$/,
          'a file below this folder that ends in .rom or .bin',
          'roms/AMDGopDriver.rom',
        ),
      ),
      sound: is.optional(is.flag),
      xVga: is.optional(is.flag),
    }),
  ),
  npu: is.text,
};

const network: is.Shape<lab.NetworkPlan> = {
  cidr: is.cidr,
  gateway: is.address,
  dns: is.listOf(is.address, 1),
  domain: is.domain,
  podCidr: is.optional(is.cidr),
  serviceCidr: is.optional(is.cidr),
  timeServers: is.optional(is.listOf(is.dnsName, 1)),
};

const versions: is.Shape<lab.Versions> = {
  proxmox: is.matching(/^\d+\.\d+$/, 'a major and minor version', '9.2'),
  talos: version,
  linux: is.optional(is.matching(/^\d+\.\d+(\.\d+)?$/, 'a version of Linux', '6.18.44')),
  kubernetes: version,
  argoCd: version,
};

const talos: is.Shape<lab.TalosSettings> = {
  enforceNetworkPolicies: is.flag,
  scheduleOnControlPlanes: is.optional(is.flag),
  kubeletReserve: is.shape<lab.TalosSettings['kubeletReserve']>({ controlPlane: is.size, worker: is.size }),
  shutdownGracePeriod: is.duration,
  shutdownGracePeriodCriticalPods: is.duration,
  timeSyncBootTimeout: is.optional(is.fractionalDuration),
  extensions: is.optional(
    is.listOf(is.matching(/^[a-z0-9-]+\/[a-z0-9.-]+$/, 'an official extension of Talos', 'siderolabs/amd-ucode')),
  ),
};

const machine = {
  kind: is.oneOf('talos', 'ubuntu'),
  host: is.optional(is.text),
  vmid: is.whole(100, 999999999),
  address: is.address,
  mac,
  memory: is.size,
  cores: is.whole(1, 128),
  systemDisk: is.size,
  startOrder: is.whole(1, 1000),
  down: is.duration,
};
const talosMachine: is.Shape<lab.TalosMachine> = {
  ...machine,
  role: is.oneOf('control-plane', 'worker'),
  labels: is.optional(is.byName(nodeLabelKey, labelValue)),
  dataDisks: is.optional(is.byName(serial, is.size)),
};
const ubuntuMachine: is.Shape<lab.UbuntuMachine> = {
  ...machine,
  release: is.matching(/^\d\d\.\d\d$/, 'an Ubuntu release', '24.04'),
  gpu: is.optional(is.flag),
  npu: is.optional(is.flag),
};

const systemWorkload: is.Shape<lab.SystemWorkload> = {
  on: is.text,
  pods: is.optional(is.whole(1, 100)),
  containers: is.byName(is.dnsLabel, is.shape<{ memory: unknown; cpu: unknown }>({ memory: is.size, cpu: is.cpu })),
};

const gateway: is.Shape<LlmGateway> = {
  concurrent: is.optional(is.whole(1, 256)),
  perMinute: is.optional(is.whole(1, 100_000)),
  longestBody: is.optional(is.size),
  queue: is.optional(is.whole(1, 256)),
  wait: is.optional(is.duration),
  outside: is.optional(is.listOf(objectName)),
  scrapedBy: is.optional(is.listOf(is.address, 1)),
};

const llm: is.Shape<lab.Llm> = {
  service: objectName,
  machine: is.text,
  port: is.port,
  via: is.optional(is.oneOf('endpoint-slice', 'tcp-proxy')),
  version: is.optional(version),
  parallel: is.optional(is.whole(1, 64)),
  kvCache: is.optional(is.oneOf('f16', 'q8_0', 'q4_0')),
  gateway: is.optional(is.shape(gateway)),
  availability: is.optional(is.checkInterval),
  models: is.byName(is.dnsLabel, model),
};

const acceptedChange = is.shape<lab.AcceptedChange>({
  what: is.text,
  from: is.text,
  to: is.optional(is.text),
  on: is.date,
  because: is.matching(
    /\S+\s+\S+\s+\S/,
    'the reason why no data is lost, in at least three words',
    "because: 'copied to the new database and read back'",
  ),
});

const homelab: is.Shape<lab.Homelab> = {
  name: objectName,
  hosts: is.byName(is.dnsLabel, is.byKind({ mac: is.shape(macHost), proxmox: is.shape(proxmoxHost) })),
  network: is.shape(network),
  versions: is.shape(versions),
  talos: is.shape(talos),
  machines: is.byName(is.dnsLabel, is.byKind({ talos: is.shape(talosMachine), ubuntu: is.shape(ubuntuMachine) })),
  system: is.byName(is.dnsLabel, is.shape(systemWorkload)),
  databases: is.byName(objectName, is.byKind({ cassandra: is.shape(cassandra), mongodb: is.shape(mongodb) })),
  backup: is.optional(backup),
  llm: is.optional(is.shape(llm)),
  ingress: is.optional(is.shape<lab.Ingress>({ statusMachine: is.text, memory: is.size, cpu: is.cpu })),
  preferredNodes: is.optional(nodeLabel),
  services: is.byName(objectName, is.shape(service)),
  webApps: is.byName(objectName, is.shape(webApp)),
  secrets: is.optional(is.byName(is.dnsLabel, is.by(declaredSecretProblem))),
  git: is.shape<lab.GitRepository>({
    url: is.gitAddress,
    ca: is.optional(is.certificates),
    revision: is.optional(is.matching(/^[\w./-]+$/, 'a branch, tag or commit', 'main')),
  }),
  registry: is.optional(is.shape<lab.Registry>({ server: is.registry, ca: is.optional(is.certificates) })),
  access: is.optional(
    is.shape<lab.Access>({
      sshKeys: is.listOf(
        is.matching(
          /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-[\w-]+@openssh\.com) [A-Za-z0-9+/]+=*( [^\n'"]*)?$/,
          'a public key on one line',
          'ssh-ed25519 AAAA... owner@mac',
        ),
        1,
      ),
      from: is.optional(is.listOf(is.address, 1)),
    }),
  ),
  accept: is.optional(is.listOf(acceptedChange)),
};

export const homelabRule = is.shape(homelab);
