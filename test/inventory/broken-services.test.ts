import { Duration, Size } from 'cdk8s';
import { Probes, Secret, Tls } from '../../inventory';
import { refusal } from '../homelab';

const image = 'ghcr.io/owner/search:1.0.0';
const job = { kind: 'job', image, schedule: '0 3 * * *', connects: [] };

/** What an owner may get wrong in a service, and the sentence that says what to do. */
const broken: [string, (homelab: any) => void, string][] = [
  [
    'a kind that is none',
    (h) => (h.services.search.kind = 'workers'),
    'services.search.kind must be one of server, worker, job, got "workers"; did you mean worker?',
  ],
  [
    'a port of a worker',
    (h) => Object.assign(h.services.search, { image, kind: 'worker', port: 8080 }),
    "services.search.port must be left out of a worker: a worker listens on no port, got 8080; remove it, or remove kind: 'worker'",
  ],
  [
    'an HTTP probe of a worker',
    (h) => Object.assign(h.services.search, { image, kind: 'worker', probes: Probes.http() }),
    'services.search.probes must be Probes.exec or Probes.none for a worker: it listens on no port, got "http"',
  ],
  [
    'a connection to a worker',
    (h) => (h.services.search.kind = 'worker'),
    'services.gateway.connects[7].service must be a server, got "search, which is a worker and listens on no port"',
  ],
  [
    'a connection to a job',
    (h) => (h.services.search = job),
    'services.gateway.connects[7].service must be a server, got "search, which is a job and listens on no port"',
  ],
  [
    'a worker with a host name',
    (h) => (h.webApps.admin.kind = 'worker'),
    'webApps.admin.kind must be server, got "worker"; move it to services',
  ],
  [
    'a job without a schedule',
    (h) => (h.services.nightly = { ...job, schedule: undefined }),
    'services.nightly.schedule must be a cron schedule, but it is missing',
  ],
  [
    'a job without an image',
    (h) => (h.services.nightly = { ...job, image: undefined }),
    'services.nightly.image must be given for a job, got nothing; write the image of the job',
  ],
  [
    'a schedule without a job',
    (h) => (h.services.search.schedule = '0 3 * * *'),
    'services.search.schedule must be left out of a server: a server runs all the time, got "0 3 * * *"; remove it, or write kind: \'job\'',
  ],
  [
    'replicas of a job',
    (h) => (h.services.nightly = { ...job, replicas: 2 }),
    'services.nightly.replicas must be left out of a job: a job runs in one pod, got 2',
  ],
  [
    'probes of a job',
    (h) => (h.services.nightly = { ...job, probes: Probes.none('ends by itself') }),
    'services.nightly.probes must be left out of a job',
  ],
  [
    'a schedule of six fields',
    (h) => (h.services.nightly = { ...job, schedule: '0 0 3 * * *' }),
    'services.nightly.schedule must be a cron schedule, got "0 0 3 * * *"',
  ],
  [
    'a day that never comes',
    (h) => (h.services.nightly = { ...job, schedule: '0 3 31 2,4,6 *' }),
    'choose a day that exists: no month of it has that day, so it would never run',
  ],
  [
    'a time zone in lower case',
    (h) => (h.services.nightly = { ...job, timeZone: 'europe/berlin' }),
    'services.nightly.timeZone must be a time zone, got "europe/berlin" (allowed: AREA/CITY of the IANA database, or UTC); did you mean Europe/Berlin?',
  ],
  [
    'a time zone that is an offset',
    (h) => (h.services.nightly = { ...job, timeZone: '+01:00' }),
    'services.nightly.timeZone must be a time zone, got "+01:00"',
  ],
  [
    'a concurrency in lower case',
    (h) => (h.services.nightly = { ...job, concurrency: 'forbid' }),
    'services.nightly.concurrency must be one of Forbid, Replace, Allow, got "forbid"; did you mean Forbid?',
  ],
  [
    'a history of a thousand runs',
    (h) => (h.services.nightly = { ...job, history: { failed: 1000 } }),
    'services.nightly.history.failed must be a whole number from 0 to 20, got 1000',
  ],
  [
    'a word of Kubernetes in the history',
    (h) => (h.services.nightly = { ...job, history: { successful: 3 } }),
    'services.nightly.history.successful must be a known property, got 3 (allowed: succeeded, failed)',
  ],
  [
    'a deadline in a number',
    (h) => (h.services.nightly = { ...job, deadline: 3600 }),
    'services.nightly.deadline must be a Duration of 10 to 604800 whole seconds, got 3600; write Duration.hours(1)',
  ],
  [
    'replicas beside autoscaling',
    (h) => Object.assign(h.services.search, { replicas: 2, autoscaling: { minReplicas: 1, maxReplicas: 2 } }),
    'services.search.replicas must be left out with autoscaling, got {"replicas":2,"autoscaling":{"minReplicas":1,"maxReplicas":2}}; remove it: the autoscaler sets it',
  ],
  [
    'autoscaling without a maximum',
    (h) => (h.services.search.autoscaling = { minReplicas: 1 }),
    'services.search.autoscaling.maxReplicas must be a whole number from 1 to 50, but it is missing',
  ],
  [
    'autoscaling to one number',
    (h) => (h.services.search.autoscaling = { minReplicas: 2, maxReplicas: 2 }),
    'services.search.autoscaling must have more maxReplicas than minReplicas',
  ],
  [
    'probes that are an object',
    (h) => Object.assign(h.services.search, { image, probes: { live: '/live' } }),
    'services.search.probes must be Probes, got {"live":"/live"}',
  ],
  [
    'no probes without a reason',
    (h) => Object.assign(h.services.search, { image, probes: (Probes.none as any)() }),
    'services.search.probes.none must give a reason, got nothing',
  ],
  [
    'a name of a header that is none',
    (h) => Object.assign(h.services.search, { image, probes: Probes.http({ headers: { 'X Probe': '1' } }) }),
    'services.search.probes.headers must have names of letters, digits and -, got "X Probe"',
  ],
  [
    'a start of a day',
    (h) => Object.assign(h.services.search, { image, probes: Probes.tcp({ startup: Duration.days(1) }) }),
    'services.search.probes.startup must be a Duration from 1 second to 1 hour, got "86400 s"',
  ],
  [
    'a probe command as one text',
    (h) => Object.assign(h.services.search, { image, probes: Probes.exec({ live: 'true' as any }) }),
    'services.search.probes.live must be a command and its arguments, got "true"',
  ],
  [
    'a command as one text',
    (h) => Object.assign(h.services.search, { image, command: 'node index.js' }),
    "services.search.command must be a command and its arguments, got \"node index.js\" (allowed: a list of at least one text; no shell splits it); write it like ['node', 'migrate.js']",
  ],
  [
    'root as user',
    (h) => Object.assign(h.services.search, { image, user: 0 }),
    "services.search.user must be the number of a user, got 0 (allowed: 1 to 2147483646); for root write allow: { root: 'why the image needs it' }",
  ],
  [
    'a name as user',
    (h) => Object.assign(h.services.search, { image, user: 'node' }),
    'services.search.user must be the number of a user, got "node"',
  ],
  [
    'port beside ports',
    (h) => Object.assign(h.services.search, { image, port: 80, ports: { http: 80 } }),
    'services.search.port must be left out with ports, got 80',
  ],
  [
    'no ports',
    (h) => Object.assign(h.services.search, { image, ports: {} }),
    'services.search.ports must be ports by name, got {}',
  ],
  [
    'a name of a port with capitals',
    (h) => Object.assign(h.services.search, { image, ports: { HTTP: 80 } }),
    'the name services.search.ports.HTTP must be the name of a port, got "HTTP"',
  ],
  [
    'a name of a port that is too long',
    (h) => Object.assign(h.services.search, { image, ports: { 'administration-http': 80 } }),
    'services.search.ports.administration-http must be the name of a port',
  ],
  [
    'a name of a port without a letter',
    (h) => Object.assign(h.services.search, { image, ports: { 80: 80 } }),
    'services.search.ports.80 must be the name of a port, got "80"',
  ],
  [
    'one container port twice',
    (h) =>
      Object.assign(h.services.search, {
        image,
        ports: { http: 80, grpc: { port: 80, service: 81, protocol: 'grpc' } },
      }),
    'services.search.ports.grpc.port must be a TCP port of its own, got "80, which another one has"',
  ],
  [
    'one Service port twice',
    (h) =>
      Object.assign(h.services.search, {
        image,
        ports: { http: 80, ssh: { port: 2222, service: 80, protocol: 'tcp' } },
      }),
    'services.search.ports.ssh.service must be a TCP port of its own, got "80, which another one has"; give one of the two another `service` port',
  ],
  [
    'a protocol of Kubernetes',
    (h) => Object.assign(h.services.search, { image, ports: { dns: { port: 53, protocol: 'UDP' } } }),
    'services.search.ports.dns.protocol must be one of http, grpc, tcp, udp, got "UDP"; did you mean udp?',
  ],
  [
    'probes of a port that does not exist',
    (h) => Object.assign(h.services.search, { image, ports: { http: 80 }, probes: Probes.http({ port: 'admin' }) }),
    'services.search.probes.port must be the name of a TCP port of the service, got "admin" (allowed: http)',
  ],
  [
    'only UDP without probes',
    (h) => Object.assign(h.services.search, { image, ports: { dns: { port: 5353, protocol: 'udp' } } }),
    'services.search.probes must be given when all ports are UDP, got nothing',
  ],
  [
    'a drain that takes the whole grace period',
    (h) => (h.services.search.drain = Duration.seconds(30)),
    'services.search.drain must be shorter than terminationGracePeriod, 30 s, got "30 s"',
  ],
  [
    'a grace period that the drain takes whole',
    (h) => (h.services.search.terminationGracePeriod = Duration.seconds(3)),
    'services.search.drain must be shorter than terminationGracePeriod, 3 s, got "5 s"',
  ],
  [
    'a drain of a worker',
    (h) => Object.assign(h.services.search, { kind: 'worker', drain: Duration.seconds(1) }),
    'services.search.drain must be left out of a worker: a worker leaves no Service',
  ],
  [
    'a job before a rollout without a command',
    (h) => Object.assign(h.services.search, { image, beforeRollout: {} }),
    'services.search.beforeRollout.command must be a command and its arguments, but it is missing',
  ],
  [
    'a job before the rollout of the stand-in',
    (h) => (h.services.search.beforeRollout = { command: ['migrate'] }),
    'services.search.beforeRollout must be used with an image',
  ],
  [
    'a job before the rollout of a job',
    (h) => (h.services.nightly = { ...job, beforeRollout: { command: ['migrate'] } }),
    'services.nightly.beforeRollout must be left out of a job: nothing of it runs between two runs',
  ],
  [
    'a deadline of a week before a rollout',
    (h) =>
      Object.assign(h.services.search, { image, beforeRollout: { command: ['migrate'], deadline: Duration.days(7) } }),
    'services.search.beforeRollout.deadline must be a Duration of 10 to 86400 whole seconds, got "604800 s"',
  ],
  [
    'root without a reason',
    (h) => Object.assign(h.services.search, { image, allow: { root: true } }),
    'services.search.allow.root must give a reason, got true',
  ],
  [
    'an exception that is none',
    (h) => Object.assign(h.services.search, { image, allow: { privileged: 'it wants it' } }),
    'services.search.allow.privileged must be a known property, got "it wants it" (allowed: root, writableRoot)',
  ],
  [
    'root beside a user',
    (h) => Object.assign(h.services.search, { image, user: 1000, allow: { root: 'writes its config' } }),
    'services.search.user must be left out with allow.root, got 1000',
  ],
  [
    'a capability that no process gets',
    (h) => Object.assign(h.services.search, { image, capabilities: { SETUID: 'drops to nginx' } }),
    'services.search.capabilities must be used with allow.root, got "SETUID"; a process that is not root never gets it',
  ],
  [
    'a capability for ports below 1024',
    (h) => Object.assign(h.services.search, { image, capabilities: { NET_BIND_SERVICE: 'port 80' } }),
    'leave it out: containerd 2 lets every pod listen below 1024',
  ],
  [
    'a capability with its prefix',
    (h) => Object.assign(h.services.search, { image, capabilities: { CAP_SETUID: 'drops to nginx' } }),
    'services.search.capabilities.CAP_SETUID must be a capability of Linux, got "CAP_SETUID"',
  ],
  [
    'half a device',
    (h) => (h.services.search.devices = { 'gpu.intel.com/i915': 0.5 }),
    'services.search.devices["gpu.intel.com/i915"] must be a whole number from 1 to 64, got 0.5',
  ],
  [
    'a device without a domain',
    (h) => (h.services.search.devices = { gpu: 1 }),
    'services.search.devices must be devices of a plugin by their resource names, got "gpu"',
  ],
  [
    'a machine that does not exist',
    (h) => (h.services.search.on = 'talos-worker-9'),
    'services.search.on must be a Talos worker of this homelab, got "talos-worker-9"',
  ],
  [
    'a label that no worker has',
    (h) => (h.services.search.on = { key: 'storage-type', value: 'ssd' }),
    'services.search.on must be a label of a worker, got {"key":"storage-type","value":"ssd"} (allowed: storage-type: cassandra, storage-type: mongodb)',
  ],
  [
    'a sidecar that is the service again',
    (h) => (h.services.search.sidecars = { twin: {} }),
    'services.search.sidecars.twin must differ from the service',
  ],
  [
    'one name for two containers',
    (h) => Object.assign(h.services.search, { sidecars: { wait: { image } }, initContainers: { wait: { image } } }),
    'services.search.sidecars.wait must have a name of its own, got "wait, which an init container has"',
  ],
  [
    'an image of a sidecar that moves',
    (h) => (h.services.search.sidecars = { proxy: { image: 'envoy:latest' } }),
    'services.search.sidecars.proxy.image must be an image with an exact version, got "envoy:latest"',
  ],
  [
    'a field that no HTTP probe has',
    (h) => Object.assign(h.services.search, { image, probes: Probes.http({ path: '/x' } as any) }),
    'services.search.probes.path must be a field of Probes.http, got "/x" (allowed: live, ready, port, headers, scheme, startup)',
  ],
  [
    'a field that no gRPC probe has',
    (h) => Object.assign(h.services.search, { image, probes: Probes.grpc({ services: 'a' } as any) }),
    'services.search.probes.services must be a field of Probes.grpc, got "a" (allowed: port, service, startup); did you mean service?',
  ],
  [
    'a number as name in the health protocol',
    (h) => Object.assign(h.services.search, { image, probes: Probes.grpc({ service: 3 as any }) }),
    "services.search.probes.service must be text, got 3; write it in quotes: '3'",
  ],
  [
    'headers of a probe as a list',
    (h) => Object.assign(h.services.search, { image, probes: Probes.http({ headers: ['X-A'] as any }) }),
    'services.search.probes.headers must be an object of values by name, got ["X-A"]',
  ],
  [
    'headers of a probe that are null',
    (h) => Object.assign(h.services.search, { image, probes: Probes.http({ headers: null as any }) }),
    'services.search.probes.headers must be an object of values by name, got null',
  ],
  [
    'autoscaling that is null',
    (h) => (h.services.search.autoscaling = null),
    'services.search.autoscaling must be an object, got null (allowed: minReplicas, maxReplicas, cpuPercent)',
  ],
  [
    'shared memory on a disk, with a slash at its end',
    (h) => (h.services.search.scratch = { '/dev/shm/': Size.mebibytes(5) }),
    'services.search.scratch["/dev/shm/"] must be in memory, got 5Mi',
  ],
  [
    'a further word beside memory of a scratch folder',
    (h) => (h.services.search.scratch = { '/a': { memory: Size.mebibytes(5), size: 3 } }),
    'services.search.scratch["/a"].size must be a known property, got 3 (allowed: memory)',
  ],
  [
    'a scratch folder at a file of the kubelet',
    (h) => (h.services.search.scratch = { '/etc/hosts': Size.mebibytes(5) }),
    'got "/etc/hosts"; choose another path: the kubelet writes this file',
  ],
  [
    'a volume as shared memory',
    (h) => (h.services.search.volumes = { shm: { path: '/dev/shm' } }),
    'services.search.volumes.shm.path must be a folder on a disk, got "/dev/shm"',
  ],
  [
    'a volume with a name that the construct library keeps',
    (h) => (h.services.search.volumes = { constructor: { path: '/data' } }),
    'a name in services.search.volumes must differ from other volumes of the pod, got "constructor"',
  ],
  [
    'a volume on another machine than `on`',
    (h) => {
      h.machines['talos-worker-02'].dataDisks['search-index'] = Size.gibibytes(5);
      Object.assign(h.services.search, { image, on: 'talos-worker-01', volumes: { index: { path: '/index' } } });
    },
    'services.search.on must be where the disk of volumes.index is, got "talos-worker-01" (allowed: talos-worker-02)',
  ],
  [
    'a control character that YAML replaces',
    (h) => (h.services.search.env = { A: 'a\u0085b' }),
    'services.search.env.A must be text, got "a\\u0085b"; remove the control character',
  ],
  [
    'a variable that Linux cannot pass',
    (h) => (h.services.search.env = { A: 'x'.repeat(131_000) }),
    'services.search.env.A must have at most 127 KiB: Linux starts no process with a longer one, got "131000 bytes"',
  ],
  [
    'a name of a variable of a sidecar',
    (h) => Object.assign(h.services.search, { image, sidecars: { proxy: { image, env: { 'A=B': 'x' } } } }),
    'the name services.search.sidecars.proxy.env.A=B must be the name of an environment variable, got "A=B"',
  ],
  [
    'a device with the prefix of a quota',
    (h) => Object.assign(h.services.search, { image, devices: { 'requests.nvidia.com/gpu': 1 } }),
    'services.search.devices must be devices of a plugin by their resource names, got "requests.nvidia.com/gpu"',
  ],
  [
    'a device with an empty label',
    (h) => Object.assign(h.services.search, { image, devices: { 'a..b/c': 1 } }),
    'services.search.devices must be devices of a plugin by their resource names, got "a..b/c"',
  ],
  [
    'a secret as a file without a path',
    (h) => (h.services.search.secrets = { KEY: (Secret.generated().file as any)() }),
    'services.search.secrets.KEY.file must be the absolute path of a file, got ""',
  ],
  [
    'ACME without an issuer',
    (h) => Object.assign(h.webApps.admin, { host: undefined, routes: [{ host: 'a', tls: (Tls.acme as any)() }] }),
    'webApps.admin.routes[0].tls.acme must be an object, got nothing (allowed: issuer, kind)',
  ],
  [
    'a timeout of one route beside the short form of another',
    (h) => (h.webApps.admin.routes = [{ host: 'a', responseTimeout: Duration.seconds(30) }]),
    'webApps.admin.host and webApps.admin.routes must have the same responseTimeout, got "none, 30"',
  ],
];

test.each(broken)('refuses %s', (_name, change, message) => expect(refusal(change)).toContain(message));
