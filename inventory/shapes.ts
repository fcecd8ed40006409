import type * as lab from './homelab';
import type { LlmGateway } from './llm-gateway';
import type { MemberOptions } from '../values/members';
import { backup, backupOrNone } from './backup-shape';
import { model } from './model-shape';
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
const fixedName = is.matching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/, '1 to 48 letters, digits, _ and -', 'collab');
/** Shorter than a DNS label, because objects append a suffix to it. */
const shortLabel = is.matching(
  /^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$/,
  'a DNS label of at most 30 characters that starts with a letter',
  'documents',
);
const objectName: is.Rule = (value, path, problems) => {
  shortLabel(value, path, problems);
  // The construct library keeps children in a plain object, which already has the property constructor.
  is.matching(/^(?!constructor$)/, 'a name other than constructor', 'documents')(
    value === 'constructor' ? value : '',
    path,
    problems,
  );
};

/**
 * Labels that a kubelet may set on its own node. The API server refuses a node any other key whose prefix is or ends in
 * kubernetes.io or k8s.io, and one refused key rejects all labels of that node (NodeRestriction).
 */
const nodeLabelKey: is.Rule = (value, path, problems) => {
  is.matching(
    /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/,
    'a label key',
    'storage-type',
  )(value, path, problems);
  const prefix = typeof value === 'string' && value.includes('/') ? value.split('/')[0] : '';
  is.matching(
    /^(?!(.*\.)?(kubernetes|k8s)\.io$)/,
    'a label that a node may set on itself, outside of kubernetes.io and k8s.io',
    'storage-type',
  )(prefix, path, problems);
};
const labelValue = is.matching(
  /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/,
  'a label value of at most 63 letters, digits, -, _ and .',
  'cassandra',
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

const nodeLabel = is.shape<lab.NodeLabel>({ key: nodeLabelKey, value: labelValue });

const variableName = is.matching(/^[A-Za-z_]\w*$/, 'the name of an environment variable', 'LOG_LEVEL');
const keyspaceName = is.matching(
  /^(?!system(_|$))[a-z][a-z0-9_]{0,47}$/,
  'a keyspace name of at most 48 of a-z, 0-9 and _, not system',
  'documents_history',
);

const exporter: is.Shape<lab.DatabaseExporter> = {
  image: is.image,
  port: is.port,
  memory: is.size,
  cpu: is.cpu,
  args: is.optional(is.listOf(is.text)),
  env: is.optional(is.byName(variableName, is.anyText)),
  scrapedBy: is.optional(
    is.shape<NonNullable<lab.DatabaseExporter['scrapedBy']>>({
      namespace: is.dnsLabel,
      labels: is.byName(is.text, labelValue),
    }),
  ),
};

const database = {
  kind: is.oneOf('cassandra', 'mongodb'),
  memory: is.size,
  cpu: is.cpu,
  nodeLabel,
  state: is.optional(is.oneOf('active', 'retired')),
  exporter: is.optional(is.shape(exporter)),
  backup: is.optional(backupOrNone),
};
const cassandra: is.Shape<lab.Cassandra> = {
  ...database,
  clusterName: fixedName,
  datacenter: fixedName,
  racks: is.listOf(is.dnsLabel, 1),
  nodesPerRack: is.optional(is.whole(1, 50)),
  membersPerRack: is.optional(is.whole(1, 50)),
  repairEvery: is.optional(is.repairInterval),
  version: is.optional(is.cassandraVersion),
  heap: is.optional(is.size),
  config: is.optional(is.cassandraSettings),
  keyspaces: is.optional(
    is.byName(keyspaceName, is.shape<{ copies?: number }>({ copies: is.optional(is.whole(1, 50)) })),
  ),
};
const mongodb: is.Shape<lab.MongoDb> = {
  ...database,
  replicaSet: fixedName,
  members: is.whole(1, 50),
  pods: is.optional(is.whole(1, 50)),
  memberOptions: is.optional(
    is.byName(
      is.matching(/^\d{1,2}$/, 'the ordinal of a member', '3'),
      is.shape<MemberOptions>({ hidden: is.optional(is.flag), delay: is.optional(is.delay) }),
    ),
  ),
  version: is.optional(is.mongodbVersion),
  featureCompatibilityVersion: is.optional(is.compatibility),
  config: is.optional(is.mongodSettings),
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

const envPrefix = is.optional(
  is.matching(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, '1 to 50 letters, digits and _, not starting with a digit', 'ARCHIVE'),
);
const connectionKinds: Readonly<Record<string, is.Rule>> = {
  service: is.shape<Connection<'service'>>({ service: is.text, envPrefix }),
  mongodb: is.shape<Connection<'mongodb'>>({
    mongodb: is.text,
    user: is.optional(is.dnsLabel),
    access: is.optional(is.mongoRoles),
    database: is.matching(/^[a-z][a-z0-9_-]{0,37}$/, 'a database name of at most 38 of a-z, 0-9, _ and -', 'documents'),
    envPrefix,
  }),
  cassandra: is.shape<Connection<'cassandra'>>({
    cassandra: is.text,
    role: is.optional(is.dnsLabel),
    access: is.optional(is.oneOf('read', 'readWrite')),
    keyspace: keyspaceName,
    envPrefix,
  }),
  model: is.shape<Connection<'model'>>({ model: is.text, envPrefix }),
};
type Connection<Kind extends string> = Extract<lab.Connection, { readonly [K in Kind]: string }>;

const connection = is.byKey(
  connectionKinds,
  '{ service }, { mongodb, database }, { cassandra, keyspace } or { model }, each with an optional envPrefix',
);

const urlPath = is.matching(/^\/[!-~]*$/, 'the path of a URL', '/healthz');

const service: is.Shape<lab.Service> = {
  image: is.optional(is.image),
  port: is.optional(is.port),
  health: is.optional(is.shape<NonNullable<lab.Service['health']>>({ live: urlPath, ready: urlPath })),
  memory: is.optional(is.size),
  cpu: is.optional(is.cpu),
  replicas: is.optional(is.whole(1, 50)),
  env: is.optional(is.byName(variableName, is.anyText)),
  connects: is.listOf(connection),
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
  webApps: is.byName(objectName, is.shape<lab.WebApp>({ ...service, host: is.dnsLabel })),
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
