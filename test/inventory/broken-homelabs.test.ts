import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import good from '../fixtures/homelab';
import { defineHomelab, Probes, Secret } from '../../inventory';
import { changed, refusal } from '../homelab';

test('the homelab of tests is accepted', () => {
  expect(defineHomelab(changed(() => undefined))).toEqual(good);
});

const STORE = {
  target: { kind: 'sftp', host: 'mac', user: 'backup', path: '/backup', hostKeys: ['ssh-ed25519 AAAA'] },
};

/** What an owner may get wrong, and the sentence that says what to do. */
const broken: [string, (homelab: any) => void, string][] = [
  [
    'a service that is named like a check of the gateway',
    (h) => {
      h.llm.gateway = {};
      h.services.proof = { connects: [] };
    },
    'must be used once, got "proof, which services.proof has"',
  ],
  [
    'an interval that no cron schedule has',
    (h) => (h.llm.availability = Duration.minutes(7)),
    'llm.availability must be a Duration that divides an hour, got "7 min" (allowed: 5, 6, 10, 12, 15, 20, 30 or 60 minutes)',
  ],
  [
    'an address in place of the name of a fallback',
    (h) =>
      (h.llm.models.chat.fallback = { host: 'https://api.example.com', addresses: ['203.0.113.7'], model: 'large-1' }),
    'llm.models.chat.fallback.host must be a DNS name, got "https://api.example.com"',
  ],
  [
    'a plain number for a size',
    (h) => (h.machines['ai-vm'].memory = 22),
    'machines.ai-vm.memory must be a Size of at least 1 KiB, got 22 (allowed: Size.gibibytes(22), Size.mebibytes(384)); write Size.gibibytes(22) or Size.mebibytes(22)',
  ],
  [
    'a size that is NaN',
    (h) => (h.hosts.proxmox.memory = Size.gibibytes(NaN)),
    'hosts.proxmox.memory must be a Size of at least 1 KiB, got NaNGi',
  ],
  [
    'a setting of Cassandra that holds a promise',
    (h) => (h.databases.cassandra.config = { authorizer: 'AllowAllAuthorizer' }),
    'databases.cassandra.config must not set authorizer: the construct sets it, got "AllowAllAuthorizer"; leave it out: each client has a login',
  ],
  [
    'a setting of MongoDB that holds a promise',
    (h) => (h.databases.mongodb.config = { net: { port: 1 } }),
    'databases.mongodb.config must not set net: the construct sets it, got {"port":1}; leave it out',
  ],
  [
    'a version that is not exact',
    (h) => (h.databases.mongodb.version = '8.0'),
    'databases.mongodb.version must be an exact version of MongoDB, got "8.0" (allowed: 6.0.0 or newer, three numbers); write it like 8.0.26',
  ],
  [
    'a feature compatibility version that is none',
    (h) => (h.databases.mongodb.featureCompatibilityVersion = '8.0.26'),
    'databases.mongodb.featureCompatibilityVersion must be the major and minor version of a MongoDB, got "8.0.26"',
  ],
  [
    'a heap without a unit',
    (h) => (h.databases.cassandra.heap = 2048),
    'databases.cassandra.heap must be a Size of at least 1 KiB, got 2048',
  ],
  [
    'a keyspace of Cassandra itself',
    (h) => (h.databases.cassandra.keyspaces = { system_auth: {} }),
    'the name databases.cassandra.keyspaces.system_auth must be a keyspace name',
  ],
  [
    'no copies of a keyspace',
    (h) => (h.databases.cassandra.keyspaces = { archive: { copies: 0 } }),
    'databases.cassandra.keyspaces.archive.copies must be',
  ],
  ['a backup too often', (h) => (h.backup = { ...STORE, every: Duration.minutes(10) }), 'from 1 hour to 7 days'],
  [
    'a backup that keeps fewer than none',
    (h) => (h.backup = { ...STORE, keep: { daily: -1 } }),
    'backup.keep.daily must be',
  ],
  ['a drill that is no schedule', (h) => (h.backup = { ...STORE, drill: 'weekly' }), 'a cron schedule of five fields'],
  ['a reason of one word', (h) => (h.backup = { ...STORE, sameHost: 'yes' }), 'in at least three words'],
  [
    'a backup to a machine that nobody knows',
    (h) => (h.databases.mongodb.backup = { target: { ...STORE.target, host: 'nas' } }),
    'databases.mongodb.backup.target.host must be a machine of hosts or an IPv4 address',
  ],
  [
    'a fingerprint for a key',
    (h) => (h.backup = { target: { ...STORE.target, hostKeys: ['SHA256:x'] } }),
    'a public key on one line',
  ],
  ['a path that leads up', (h) => (h.backup = { target: { ...STORE.target, path: '/a/../b' } }), 'an absolute path'],
  ['a target of no kind', (h) => (h.backup = { target: { kind: 'ftp' } }), 'backup.target must be of a known kind'],
  [
    'a store whose keys go over the network readable',
    (h) => (h.backup = { target: { kind: 's3', endpoint: 'http://192.168.1.60:9000', bucket: 'abc' } }),
    'an address that begins with https://',
  ],
  [
    'a store by a name alone',
    (h) => (h.backup = { target: { kind: 's3', endpoint: 'https://s3.example.org', bucket: 'abc' } }),
    'backup.target.networks must list the networks of s3.example.org',
  ],
  [
    'a backup of a database that is true',
    (h) => (h.databases.mongodb.backup = true),
    'databases.mongodb.backup must be an object',
  ],
  [
    'an exporter without a version',
    (h) => (h.databases.mongodb.exporter = { image: 'e', port: 9216, memory: Size.mebibytes(64), cpu: Cpu.millis(20) }),
    'databases.mongodb.exporter.image must',
  ],
  [
    'a fraction of a size',
    (h) => (h.ingress.memory = Size.gibibytes(0.3)),
    'ingress.memory must be a Size of at least 1 KiB, got 0.3Gi',
  ],
  [
    'a plain number for cores',
    (h) => (h.databases.cassandra.cpu = 2),
    'databases.cassandra.cpu must be a Cpu of at least 1 millicore, got 2 (allowed: Cpu.millis(250), Cpu.units(2)); write Cpu.millis(2) or Cpu.units(2)',
  ],
  [
    'negative cores',
    (h) => (h.databases.cassandra.cpu = Cpu.units(-1)),
    'databases.cassandra.cpu must be a Cpu of at least 1 millicore, got -1',
  ],
  [
    'an address outside the network',
    (h) => (h.machines['ai-vm'].address = '10.0.0.30'),
    'machines.ai-vm.address must lie within network.cidr 192.168.1.0/24, got "10.0.0.30"; give it an unused address of the home network',
  ],
  [
    'the address of the network itself',
    (h) => (h.machines['ai-vm'].address = '192.168.1.0'),
    'machines.ai-vm.address must lie within network.cidr',
  ],
  [
    'an address used twice',
    (h) => (h.machines['ai-vm'].address = '192.168.1.21'),
    'machines.ai-vm.address must be unique, got "192.168.1.21, which machines.talos-worker-01.address has"',
  ],
  [
    'an address that is none',
    (h) => (h.network.gateway = '192.168.1.256'),
    'network.gateway must be an IPv4 address, got "192.168.1.256"',
  ],
  [
    'a network with host bits',
    (h) => (h.network.cidr = '192.168.1.5/24'),
    'network.cidr must be an IPv4 network, got "192.168.1.5/24"',
  ],
  [
    'a MAC address used twice',
    (h) => (h.machines['ai-vm'].mac = '02:00:00:00:02:01'),
    'machines.ai-vm.mac must be used once',
  ],
  [
    'a VM number used twice',
    (h) => (h.machines['ai-vm'].vmid = 201),
    'machines.ai-vm.vmid must be used once, got "201, which machines.talos-worker-01.vmid has"',
  ],
  [
    'a name that is no DNS label',
    (h) => (h.services.Chat = h.services.chat),
    'the name services.Chat must be a DNS label of at most 30 characters that starts with a letter, got "Chat"',
  ],
  [
    'a ROM for a function that is left out',
    (h) => (h.hosts.proxmox.gpuPassthrough = { sound: false, audioRom: 'roms/a.rom' }),
    'hosts.proxmox.gpuPassthrough.audioRom must be used with sound, got "roms/a.rom and sound: false"; leave one of the two out',
  ],
  ...['/root/a.rom', '../a.rom', 'a,x-vga=1.rom', 'roms/a.efi', ''].map(
    (audioRom): [string, (h: any) => void, string] => [
      `a ROM called ${audioRom}`,
      (h) => (h.hosts.proxmox.gpuPassthrough = { audioRom }),
      'hosts.proxmox.gpuPassthrough.audioRom must be a file below this folder that ends in .rom or .bin',
    ],
  ),
  ['a port out of range', (h) => (h.llm.port = 70000), 'llm.port must be a port, got 70000 (allowed: 1 to 65535)'],
  [
    'a disk serial that virtio would cut',
    (h) => (h.machines['talos-worker-01'].dataDisks['cassandra-rack-number-1'] = Size.gibibytes(1)),
    'must be a disk serial of 1 to 20 letters, digits and -, because virtio cuts longer ones, got "cassandra-rack-number-1"',
  ],
  [
    'a label that a node may not set on itself',
    (h) => (h.machines['talos-worker-01'].labels['node-role.kubernetes.io/db'] = 'yes'),
    'must be a label that a node may set on itself, outside of kubernetes.io and k8s.io',
  ],
  [
    'a connection to a service that is not there',
    (h) => h.services.chat.connects.push({ service: 'mail' }),
    'services.chat.connects[1].service must be another service of this homelab, got "mail" (allowed: gateway, identity',
  ],
  [
    'a connection to a database of the other kind',
    (h) => (h.services.chat.connects = [{ cassandra: 'mongodb', keyspace: 'chat' }]),
    'services.chat.connects[0].cassandra must be an active Cassandra of this homelab, got "mongodb" (allowed: cassandra)',
  ],
  [
    'a connection to a retired database',
    (h) => (h.databases.mongodb.state = 'retired'),
    'services.identity.connects[0].mongodb must be an active MongoDB of this homelab, got "mongodb, which is retired"; set databases.mongodb.state to \'active\', or remove the connection',
  ],
  [
    'a connection to a model that is not there',
    (h) => (h.services.search.connects[1].model = 'vision'),
    'services.search.connects[1].model must be a model of this homelab, got "vision" (allowed: chat, embeddings, writer)',
  ],
  [
    'a keyspace that CQL would not take',
    (h) => (h.services.chat.connects[0].keyspace = 'chat-log'),
    'services.chat.connects[0].keyspace must be a keyspace name of at most 48 of a-z, 0-9 and _, not system, got "chat-log"',
  ],
  [
    'a connection twice',
    (h) => h.services.chat.connects.push({ cassandra: 'cassandra', keyspace: 'chat' }),
    'services.chat.connects[1] must be used once, got "cassandra cassandra, keyspace chat, which services.chat.connects[0] has"',
  ],
  [
    'an image without a version',
    (h) => (h.services.chat.image = 'ghcr.io/owner/chat'),
    'services.chat.image must be an image with an exact version, got "ghcr.io/owner/chat"',
  ],
  [
    'an image that moves',
    (h) => (h.services.chat.image = 'ghcr.io/owner/chat:latest'),
    'services.chat.image must be an image with an exact version, got "ghcr.io/owner/chat:latest"',
  ],
  [
    'a misspelt property',
    (h) => (h.services.chat.replica = 2),
    '); did you mean replicas? Otherwise correct the name or remove it',
  ],
  [
    'a missing property',
    (h) => delete h.git,
    'git must be an object, but it is missing (allowed: url, ca, revision); write it as { ... }',
  ],
  [
    'a missing property, and a misspelt one that is meant for it',
    (h) => {
      h.machines['ai-vm'].memroy = h.machines['ai-vm'].memory;
      delete h.machines['ai-vm'].memory;
    },
    'machines.ai-vm.memory must be a Size of at least 1 KiB, but it is missing (allowed: Size.gibibytes(22), Size.mebibytes(384)); write Size.gibibytes(N) or Size.mebibytes(N); is machines.ai-vm.memroy a misspelt memory?',
  ],
  [
    'a misspelt choice',
    (h) => (h.machines['ai-vm'].kind = 'ubunto'),
    `machines.ai-vm must be of a known kind, got "ubunto" (allowed: kind: 'talos' or 'ubuntu'); did you mean ubuntu?`,
  ],
  [
    'a misspelt kind',
    (h) => (h.databases.mongodb.kind = 'mongo'),
    "(allowed: kind: 'cassandra' or 'mongodb'); did you mean mongodb?",
  ],
  [
    'a misspelt role',
    (h) => (h.machines['talos-cp-01'].role = 'control-plan'),
    'machines.talos-cp-01.role must be one of control-plane, worker, got "control-plan"; did you mean control-plane? Otherwise choose one of them',
  ],
  [
    'a misspelt word of a connection',
    (h) => (h.services.chat.connects = [{ casandra: 'cassandra', keyspace: 'chat' }]),
    'did you mean cassandra? Otherwise choose one of them',
  ],
  [
    'a misspelt name of a service',
    (h) => h.services.chat.connects.push({ service: 'serach' }),
    'did you mean search? Otherwise correct the name, or add it',
  ],
  [
    'two rings of one name',
    (h) => {
      h.databases.other = { ...h.databases.cassandra, racks: ['r1'] };
      h.machines['talos-worker-01'].dataDisks['other-r1-0'] = Size.gibibytes(100);
    },
    'databases.other.clusterName must be used once, got "collab, which databases.cassandra.clusterName has"; change one of the two',
  ],
  [
    'connections that set one variable',
    (h) => {
      h.databases.archive = { ...h.databases.mongodb, members: 1 };
      h.machines['talos-worker-02'].dataDisks['archive-0'] = Size.gibibytes(100);
      h.services.identity.connects.push({ mongodb: 'archive', database: 'old' });
    },
    "services.identity.connects[1] must set environment variables of its own, got \"MONGODB_USERNAME, which services.identity.connects[0] sets\"; give one of the connections a name of its own, as { mongodb: 'archive', ..., as: 'other' }",
  ],
  [
    'a prefix with the variables of another connection in it',
    (h) => (h.services.assistant.connects[0].envPrefix = 'LLM_BASE'),
    'services.assistant.connects[2] must set environment variables of its own, got "LLM_BASE_URL, which services.assistant.connects[0] sets"',
  ],
  [
    'a variable in env that a connection sets',
    (h) => (h.services.chat.env = { CASSANDRA_PORT: '9042' }),
    'services.chat.connects[0] must set environment variables of its own, got "CASSANDRA_PORT, which services.chat.env.CASSANDRA_PORT sets"',
  ],
  [
    'a prefix that no variable may start with',
    (h) => (h.services.chat.connects[0].envPrefix = '2ND'),
    'services.chat.connects[0].envPrefix must be 1 to 50 letters, digits and _, not starting with a digit, got "2ND"',
  ],
  [
    'a hole in a list',
    (h) => h.services.search.connects.splice(1, 1) && (h.services.search.connects.length = 2),
    'services.search.connects[1] must be a value, got "a hole in the list"; remove the extra comma',
  ],
  [
    'a duration in fractions of a second',
    (h) => (h.machines['ai-vm'].down = Duration.millis(1500)),
    'machines.ai-vm.down must be a Duration of at least 1 s, got "1.5 s" (allowed: whole seconds, at most a day)',
  ],
  [
    'a circular reference',
    (h) => (h.services.chat.env = h.services),
    'services.chat.env must be a value without a circular reference, got "a reference to an object that contains it"',
  ],
  [
    'a property that throws when it is read',
    (h) =>
      Object.defineProperty(h.llm, 'port', {
        enumerable: true,
        get: () => {
          throw new Error('no port');
        },
      }),
    'llm.port must be a plain value, got "something that throws when it is read (',
  ],
  [
    'an invalid path of a health check',
    (h) => {
      h.services.chat.image = 'ghcr.io/owner/chat:1';
      h.services.chat.probes = Probes.http({ live: 'healthz', ready: '/readyz' });
    },
    'services.chat.probes.live must be the path of a URL, got "healthz"; write it like /healthz',
  ],
  [
    'replicas of zero',
    (h) => (h.services.chat.replicas = 0),
    'services.chat.replicas must be a whole number from 1 to 50, got 0',
  ],
  [
    'a pod without its disk',
    (h) => delete h.machines['talos-worker-02'].dataDisks['mongodb-1'],
    'databases.mongodb must have a data disk for each pod, got "no disk for mongodb-1"; add dataDisks: { \'mongodb-1\': Size.gibibytes(100) }',
  ],
  [
    'a disk without its pod',
    (h) => (h.machines['talos-worker-02'].dataDisks['mongodb-3'] = Size.gibibytes(100)),
    'data disk mongodb-3 of talos-worker-02 must belong to a pod of a database',
  ],
  [
    'an even number of voters',
    (h) => (h.databases.mongodb.members = 4),
    'databases.mongodb.members must be an odd number while all of them vote, got 4 (allowed: 1, 3, 5, 7, or 8 and more, of which only 7 vote); use 3 or 5',
  ],
  [
    'a role on the whole set',
    (h) => (h.services.identity.connects.find(({ mongodb }: any) => mongodb).access = 'readAnyDatabase'),
    'must be roles limited to the client\'s own database, got "readAnyDatabase" (allowed: one or a list of read, readWrite, dbAdmin, dbOwner; besides one of these',
  ],
  [
    'a delayed member that leaves two voters',
    (h) => (h.databases.mongodb.memberOptions = { 2: { delay: Duration.hours(1) } }),
    'databases.mongodb.members must leave an odd number of voters: a delayed member does not vote, got "3 members, 1 delayed"',
  ],
  [
    'a hidden member 0',
    (h) => (h.databases.mongodb.memberOptions = { 0: { hidden: true } }),
    'databases.mongodb.memberOptions.0 must be plain: ordinal 0 is the primary while it is healthy',
  ],
  [
    'a delay in minutes, as a number',
    (h) => (h.databases.mongodb.memberOptions = { 2: { delay: 60 } }),
    'databases.mongodb.memberOptions.2.delay must be a Duration from 1 minute to 366 days, got 60',
  ],
  [
    'fewer pods than members',
    (h) => {
      h.databases.mongodb.pods = 2;
      delete h.machines['talos-worker-02'].dataDisks['mongodb-2'];
    },
    'databases.mongodb.pods must be at least as many as members, got "2 pods, 3 members"; lower members first',
  ],
  ...[Duration.days(6), Duration.minutes(59), 5].map((every): [string, (h: any) => void, string] => [
    `repairs every ${every instanceof Duration ? every.toHumanString() : every}`,
    (h) => (h.databases.cassandra.repairEvery = every),
    'databases.cassandra.repairEvery must be a Duration from 1 hour to 5 days, got ',
  ]),
  [
    'more members of a rack than pods',
    (h) => (h.databases.cassandra.membersPerRack = 2),
    'databases.cassandra.membersPerRack must be between 1 and nodesPerRack, got "2 members, 1 pods"; lower membersPerRack first',
  ],
  [
    'disks of different sizes',
    (h) => (h.machines['talos-worker-02'].dataDisks['mongodb-1'] = Size.gibibytes(90)),
    'databases.mongodb must have disks of one size',
  ],
  [
    'a disk on a node that the database may not use',
    (h) => (h.machines['talos-worker-01'].labels = { 'storage-type': 'other' }),
    'databases.cassandra.nodeLabel must be a label of a machine, got "storage-type=cassandra"',
  ],
  [
    'a rack twice',
    (h) => (h.databases.cassandra.racks = ['r1', 'r2', 'r2']),
    'databases.cassandra.racks[2] must be used once',
  ],
  [
    'a shutdown timeout that is too short',
    (h) => (h.machines['talos-worker-01'].down = Duration.seconds(180)),
    'machines.talos-worker-01.down must be longer than talos.shutdownGracePeriod, got "180 s" (allowed: more than 210 s); 450 s leave room',
  ],
  [
    'a model with the tag latest',
    (h) => (h.llm.models.chat.tag = 'qwen2.5:latest'),
    'llm.models.chat.tag must be a model with an exact tag, never latest, got "qwen2.5:latest"',
  ],
  [
    'a machine that does not exist',
    (h) => (h.llm.machine = 'ai'),
    'llm.machine must be a machine of this homelab, got "ai" (allowed: talos-cp-01',
  ],
  [
    'an Ingress status on a machine that is no worker',
    (h) => (h.ingress.statusMachine = 'ai-vm'),
    'ingress.statusMachine must be a worker of this homelab, got "ai-vm" (allowed: talos-worker-01, talos-worker-02)',
  ],
  [
    'a database named like a namespace',
    (h) => {
      h.databases.web = h.databases.mongodb;
    },
    'databases.web must not be named like a namespace or folder of the homelab',
  ],
  [
    'two web apps of one host',
    (h) => (h.webApps.admin.host = 'app'),
    'webApps.admin.host must have a host and path of its own, got "app.collab.home.arpa/, which webApps.web.host has"',
  ],
  [
    'no control plane',
    (h) => (h.machines['talos-cp-01'].role = 'worker'),
    'machines must hold an odd number of Talos control planes, so that etcd has a majority, got 0',
  ],
  [
    'a GPU passed to two machines',
    (h) => {
      h.machines.second = { ...h.machines['ai-vm'], vmid: 211, address: '192.168.1.31', mac: '02:00:00:00:02:11' };
    },
    'machines.second.gpu must be the only one on its host, got "true, as on ai-vm"',
  ],
  [
    'a machine on one of several hosts, without saying which',
    (h) => (h.hosts.second = { ...h.hosts.proxmox, address: '192.168.1.11' }),
    'machines.ai-vm.host must be set when there are several Proxmox hosts, got nothing (allowed: proxmox, second)',
  ],
  ['no Proxmox host', (h) => delete h.hosts.proxmox, 'hosts must hold a Proxmox host, got ["mac"]'],
  [
    'a port without an image',
    (h) => (h.services.chat.port = 3000),
    'services.chat.port must be used with an image, got 3000; set image too',
  ],
  [
    'web apps without an ingress controller',
    (h) => delete h.ingress,
    'ingress must be set when there are web apps or published ports, got nothing',
  ],
  [
    'a model when there are no models',
    (h) => delete h.llm,
    'services.search.connects[1].model must be a model of this homelab, got "embeddings" (allowed: none exists)',
  ],
  [
    'a control plane whose shutdown timeout is too short',
    (h) => (h.machines['talos-cp-01'].down = Duration.seconds(10)),
    'machines.talos-cp-01.down must be longer than talos.shutdownGracePeriod, got "10 s"',
  ],
  [
    'an unknown kind of machine',
    (h) => (h.machines['ai-vm'].kind = 'windows'),
    'machines.ai-vm must be of a known kind',
  ],
  [
    'machines that do not fit into the memory of their host',
    (h) => (h.hosts.proxmox.memory = Size.gibibytes(91)),
    'hosts.proxmox.memory must hold all machines, 0.3 GiB for each, igpuCarveOut and reserve, got "91.2 GiB of 91 GiB"; give machines on proxmox 0.2 GiB less memory',
  ],
  [
    'disks that do not fit into nine tenths of their host',
    (h) => (h.hosts.proxmox.disk = Size.gibibytes(1170)),
    'hosts.proxmox.disk must hold all disks of its machines in 90 % of its size, or its pool runs full, got "1060 GiB of 1053 GiB"',
  ],
  [
    'a model on a node',
    (h) => (h.llm.machine = 'talos-worker-01'),
    'llm.machine must be a machine beside the cluster, got "talos-worker-01, a Talos node" (allowed: ai-vm)',
  ],
  [
    'a value in the place of a secret',
    (h) => (h.services.chat.secrets = { TOKEN: 'the value' }),
    'services.chat.secrets.TOKEN must be a Secret, got "text, which is not shown"',
  ],
  [
    'a shared secret that is not declared',
    (h) => {
      h.secrets = { 'partner-api': Secret.asked('key of the partner') };
      h.services.chat.secrets = { A: Secret.shared('partner-api'), B: Secret.shared('partner-apj') };
    },
    'services.chat.secrets.B must be declared in secrets of the homelab, got "partner-apj" (allowed: partner-api); did you mean partner-api?',
  ],
  [
    'a declared secret that nobody uses',
    (h) => (h.secrets = { 'partner-api': Secret.generated() }),
    'secrets.partner-api must be used by a service, got "no service that names it"; write NAME: Secret.shared(\'partner-api\') in secrets of a service, or remove it',
  ],
  [
    'the public half of a password',
    (h) => {
      h.secrets = { signing: Secret.generated() };
      h.services.chat.secrets = { KEY: Secret.shared('signing').publicHalf() };
    },
    'services.chat.secrets.KEY must be the public half of a key, got "signing, which is no key pair"',
  ],
  [
    'a service that is named like shared secrets, and has one of the same name',
    (h) => {
      h.secrets = { key: Secret.generated() };
      h.services.shared = { connects: [], secrets: { KEY: Secret.generated(), OTHER: Secret.shared('key') } };
    },
    'services.shared.secrets.KEY must be used once, got "shared.key, which secrets.key has"',
  ],
  [
    'a secret and a variable of one name',
    (h) => {
      h.services.chat.env = { TOKEN_FILE: '/run/token' };
      h.services.chat.secrets = { TOKEN: Secret.generated().file('/run/secrets/token') };
    },
    'services.chat.secrets.TOKEN must be used once, got "TOKEN_FILE, which services.chat.env.TOKEN_FILE has"',
  ],
  [
    'a secret that a connection sets too',
    (h) => (h.services.chat.secrets = { CASSANDRA_PASSWORD: Secret.generated() }),
    'CASSANDRA_PASSWORD, which services.chat.secrets.CASSANDRA_PASSWORD sets',
  ],
  [
    'a file in the place of a secret',
    (h) => {
      h.services.chat.files = { '/run/secrets/token': 'a' };
      h.services.chat.secrets = { TOKEN: Secret.generated().file('/run/secrets/token') };
    },
    'each path in services.chat.volumes, sharedVolumes, scratch, files and secrets must be an absolute path that overlaps no other mount, got "/run/secrets/token, which is /run/secrets/token"',
  ],
  [
    'a file below /tmp',
    (h) => (h.services.chat.files = { '/tmp/app.yaml': 'a' }),
    'got "/tmp/app.yaml, which is inside or contains /tmp"',
  ],
  [
    'a file with another content than text',
    (h) => (h.services.chat.files = { '/etc/app.yaml': { level: 'info' } }),
    'services.chat.files["/etc/app.yaml"] must be text or bytes, got {"level":"info"}',
  ],
  [
    'a Git address with a space',
    (h) => (h.git.url = 'https://github.com/owner/my repo'),
    'git.url must be an address that Argo CD can clone',
  ],
];

test.each(broken)('rejects %s with a fix', (_name, breakIt, message) => {
  expect(refusal(breakIt)).toContain(message);
});

test('Size itself rejects a negative size, with the line in homelab.ts', () => {
  expect(() => Size.mebibytes(-1)).toThrow('Storage amounts cannot be negative');
});

test('all problems are reported at once', () => {
  const message = refusal((h) => {
    h.llm.port = 0;
    h.network.gateway = 'x';
    h.services.chat.replicas = 99;
  });
  expect(message).toMatch(/^homelab.ts has 3 problems:\n/);
});

test('a plain number in place of a Size does not compile', () => {
  // @ts-expect-error a number is not a Size
  const memory: Size = 22;
  expect(memory).toBe(22);
});

test('accepts an empty variable, and a GPU for which the BIOS reserves no memory', () => {
  const homelab = defineHomelab(
    changed((h) => {
      h.services.chat.env = { EMPTY: '', LINES: 'a\nb' };
      h.hosts.proxmox.igpuCarveOut = Size.gibibytes(0);
    }),
  );
  expect(homelab.services.chat!.env).toEqual({ EMPTY: '', LINES: 'a\nb' });
});

test('prints the first fifty of many problems, and their number', () => {
  const message = refusal((h) => {
    for (let index = 0; index < 60; index++) h.services[`s${index}`] = { connects: [], replicas: 0 };
  });
  expect(message).toMatch(/^homelab.ts has 60 problems:\n/);
  expect(message).toMatch(/\n {2}and 10 more$/);
});
