import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import type { StandIn } from './images';
import { NameServer } from './name-server';

type Json = any;

const GATEWAY = '10.99.0.1';
const CGROUPS = '/sys/fs/cgroup';
const MIB = 1024 ** 2;

/** What pods find in the cluster besides each other. */
export interface Cluster {
  /** Data by NAMESPACE/NAME. */
  readonly configMaps: Map<string, Readonly<Record<string, string>>>;
  readonly secrets: Map<string, Readonly<Record<string, string>>>;
  readonly images: Readonly<Record<string, StandIn>>;
}

/**
 * A node with a kubelet of our own: it runs pods as processes, each pod with a network namespace and an address, each container
 * with its own mounts and processes, the pod's user without capabilities, a read-only root, volumes with the modes that the
 * kubelet gives them, a memory limit and probes.
 */
export class TestNode {
  readonly names: NameServer;
  readonly pods = new Map<string, Pod>();
  private addresses = 0;

  constructor(
    readonly folder: string,
    readonly cluster: Cluster,
  ) {
    fs.mkdirSync(this.images, { recursive: true });
    execFileSync('sh', [
      '-ec',
      `ip link add pods type bridge; ip addr add ${GATEWAY}/16 dev pods; ip link set pods up
mount -t tmpfs images ${quoted(this.images)}`,
    ]);
    this.names = new NameServer((name) => this.resolve(name));
  }

  /** Files of images: on a file system of their own, because overlayfs takes no folder that lies in another of its layers. */
  get images(): string {
    return join(this.folder, 'images');
  }

  async start(): Promise<void> {
    await this.names.listen(GATEWAY);
  }

  /** Runs a pod. @param services those that select it @param headless the one that governs its host name */
  run(manifest: Json, services: readonly string[] = [], headless?: string): Pod {
    const address = `10.99.1.${++this.addresses}`;
    const pod = new Pod(this, manifest, address, services, headless);
    this.pods.set(pod.fullName, pod);
    void pod.run();
    return pod;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.pods.values()].map((pod) => pod.stop(0)));
    this.names.close();
    spawnSyncQuietly('umount', this.images);
    spawnSyncQuietly('ip', 'link', 'delete', 'pods');
  }

  /** POD.SERVICE.NAMESPACE and SERVICE.NAMESPACE; a Service by its name gives the addresses of all its pods. */
  private resolve(name: string): readonly string[] | undefined {
    const match = /^(?:([a-z0-9-]+)\.)?([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local$/.exec(name);
    if (!match) return undefined;
    const [, host, service, namespace] = match;
    const found = [...this.pods.values()].filter(
      (pod) =>
        pod.namespace === namespace &&
        pod.services.includes(service!) &&
        !pod.stopped &&
        (host === undefined || pod.name === host) &&
        // Headless Services publish addresses before pods are ready; the others do not.
        (pod.headless === service || pod.ready),
    );
    return found.length > 0 ? found.map(({ address }) => address) : undefined;
  }
}

/** One pod: its init containers one after the other, then its containers, which are started again when they end. */
export class Pod {
  readonly namespace: string;
  readonly containers: Container[];
  readonly name: string;
  stopped = false;
  private readonly pause: ChildProcess;
  private readonly initContainers: Container[] = [];
  private readonly volumes = new Map<string, string>();
  private done!: (code: number) => void;
  /** Ends with the pod: 0 where all containers succeeded (jobs). */
  readonly ended = new Promise<number>((resolve) => (this.done = resolve));

  constructor(
    readonly node: TestNode,
    readonly manifest: Json,
    readonly address: string,
    readonly services: readonly string[],
    readonly headless: string | undefined,
  ) {
    this.namespace = manifest.metadata.namespace;
    this.name = manifest.metadata.name;
    this.containers = [];
    const network = `n${address.split('.').at(-1)}`;
    this.pause = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
    // unshare has no sign for "done": the namespace is there once it is another one than ours.
    const deadline = Date.now() + 5000;
    while (netOf(this.pause.pid!) === netOf(process.pid) && Date.now() < deadline) execFileSync('sleep', ['0.02']);
    execFileSync('sh', [
      '-ec',
      `ip link add ${network} type veth peer name eth0 netns ${this.pause.pid}
ip link set ${network} master pods up
nsenter -t ${this.pause.pid} -n sh -ec 'ip link set lo up; ip addr add ${address}/16 dev eth0; ip link set eth0 up; ip route add default via ${GATEWAY}'`,
    ]);
    fs.mkdirSync(this.folder, { recursive: true });
  }

  get fullName(): string {
    return `${this.namespace}/${this.name}`;
  }

  get folder(): string {
    return join(this.node.folder, this.namespace, `${this.name}-${this.address}`);
  }

  get networkOf(): number {
    return this.pause.pid!;
  }

  get spec(): Json {
    return this.manifest.spec;
  }

  get ready(): boolean {
    return !this.stopped && this.containers.length > 0 && this.containers.every(({ ready }) => ready);
  }

  get restarts(): number {
    return this.containers.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** What a container has printed. */
  log(container: string): string {
    const file = join(this.folder, `${container}.log`);
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  }

  container(name: string): Container {
    return this.containers.find((each) => each.name === name)!;
  }

  async run(): Promise<void> {
    for (const spec of this.spec.initContainers ?? [])
      for (let attempt = 0; ; attempt++) {
        const container = new Container(this, spec);
        this.initContainers.push(container);
        const code = await container.start();
        if (code === 0) break;
        if (this.stopped) return;
        await pause(backOff(attempt));
      }
    if (this.stopped) return;
    for (const spec of this.spec.containers) this.containers.push(new Container(this, spec));
    const codes = await Promise.all(this.containers.map((container) => container.keep()));
    this.done(Math.max(...codes));
  }

  /** preStop hooks and SIGTERM, then SIGKILL after the grace in seconds. */
  async stop(grace: number = this.spec.terminationGracePeriodSeconds ?? 30): Promise<void> {
    this.stopped = true;
    await Promise.all(this.containers.map((container) => container.stop(grace)));
    this.pause.kill('SIGKILL');
    for (const container of [...this.initContainers, ...this.containers]) container.forget();
    for (const folder of this.volumes.values()) spawnSyncQuietly('umount', folder);
  }

  /** A folder of this machine that holds a volume of the pod, as the kubelet would make it. */
  volume(name: string): string {
    const known = this.volumes.get(name);
    if (known !== undefined) return known;
    const folder = join(this.folder, 'volumes', name);
    fs.mkdirSync(folder, { recursive: true });
    const group = this.spec.securityContext?.fsGroup ?? 0;
    const volume = (this.spec.volumes ?? []).find((each: Json) => each.name === name);
    this.volumes.set(name, folder);
    if (volume === undefined || volume.persistentVolumeClaim) this.mountClaim(name, folder, group);
    else if (volume.emptyDir) emptyDir(folder, volume.emptyDir, group);
    else if (volume.configMap)
      files(folder, this.node.cluster.configMaps.get(`${this.namespace}/${volume.configMap.name}`)!, group, 0o644);
    else if (volume.secret)
      // 0644 by default, and fsGroup takes it from the others and gives it to the group.
      files(folder, this.node.cluster.secrets.get(`${this.namespace}/${volume.secret.secretName}`)!, group, 0o440);
    else throw new Error(`${this.fullName}: a volume of a kind that this kubelet does not know: ${name}`);
    return folder;
  }

  /** Writes ConfigMaps that have changed into the volumes of the running pod, as the kubelet does within a minute. */
  refresh(): void {
    for (const { name, configMap } of this.spec.volumes ?? []) {
      const folder = this.volumes.get(name);
      if (configMap && folder !== undefined)
        files(
          folder,
          this.node.cluster.configMaps.get(`${this.namespace}/${configMap.name}`)!,
          this.spec.securityContext?.fsGroup ?? 0,
          0o644,
        );
    }
  }

  /** A file system of its own, as a disk has it. It stays when the pod goes. */
  private mountClaim(name: string, folder: string, group: number): void {
    const image = join(this.node.folder, `${this.namespace}-${name}-${this.name}.disk`);
    if (!fs.existsSync(image)) {
      fs.writeFileSync(image, '');
      fs.truncateSync(image, 4096 * MIB);
      execFileSync('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=1,lazy_journal_init=1', image]);
    }
    execFileSync('mount', ['-o', 'loop', image, folder]);
    fs.rmSync(join(folder, 'lost+found'), { recursive: true, force: true });
    fs.chownSync(folder, 0, group);
    fs.chmodSync(folder, 0o2775);
  }
}

/** One container of a pod. */
export class Container {
  readonly name: string;
  ready = false;
  started = false;
  restarts = 0;
  /** Times that a liveness or startup probe ended it. */
  killedByProbe = 0;
  lastCode: number | undefined;
  private child: ChildProcess | undefined;

  constructor(
    readonly pod: Pod,
    readonly spec: Json,
  ) {
    this.name = spec.name;
  }

  /** Runs it once. @returns its exit code, 128 + N where signal N ended it */
  async start(): Promise<number> {
    const script = join(this.pod.folder, `${this.name}.sh`);
    fs.writeFileSync(script, this.script());
    const log = fs.openSync(join(this.pod.folder, `${this.name}.log`), 'a');
    const child = spawn('sh', [script], { stdio: ['ignore', log, log] });
    this.child = child;
    const status = await new Promise<number>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15))),
    );
    fs.closeSync(log);
    // unshare cannot end itself by the SIGKILL that ended its child, and says so.
    const killed = status === 1 && /unshare: sigprocmask unblock failed.*\n$/.test(this.pod.log(this.name));
    const code = killed ? 137 : status;
    this.child = undefined;
    this.lastCode = code;
    return code;
  }

  /** Runs it until the pod is stopped, or until it succeeds where the pod is a job's. */
  async keep(): Promise<number> {
    const policy = this.pod.spec.restartPolicy ?? 'Always';
    for (;;) {
      const running = { on: true };
      const probes = this.probe(running);
      const code = await this.start();
      running.on = false;
      this.ready = false;
      this.started = false;
      await probes;
      if (this.pod.stopped || policy === 'Never' || (policy === 'OnFailure' && code === 0)) return code;
      await pause(backOff(this.restarts));
      if (this.pod.stopped) return code;
      this.restarts++;
    }
  }

  /** The container's process 1, as this machine numbers it. */
  get pid(): number | undefined {
    const parent = this.child?.pid;
    if (parent === undefined) return undefined;
    const children = `/proc/${parent}/task/${parent}/children`;
    return fs.existsSync(children)
      ? Number(fs.readFileSync(children, 'utf8').trim().split(' ')[0]) || undefined
      : undefined;
  }

  /** Whether its process has the container's root, and no longer this machine's. */
  private isInside(): boolean {
    try {
      return fs.readlinkSync(`/proc/${this.pid}/root`) !== '/';
    } catch {
      return false;
    }
  }

  signal(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (pid !== undefined) process.kill(pid, signal);
  }

  async stop(grace: number): Promise<void> {
    if (this.child === undefined) return;
    const gone = new Promise((resolve) => this.child!.once('exit', resolve));
    // Process 1 itself: a process that changed its user outlives the unshare that it came from.
    const late = setTimeout(() => {
      if (this.pid === undefined) this.child?.kill('SIGKILL');
      else this.signal('SIGKILL');
    }, grace * 1000);
    const hook = this.spec.lifecycle?.preStop?.exec?.command;
    if (hook && grace > 0) await this.exec(hook, grace);
    if (grace > 0) this.signal('SIGTERM');
    await gone;
    clearTimeout(late);
  }

  /** Runs a command in the container, as its user. */
  async exec(
    command: readonly string[],
    seconds = 60,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number; output: string }> {
    for (const end = Date.now() + 10_000; !this.isInside() && Date.now() < end;) await pause(0.1);
    const { pid } = this;
    if (pid === undefined) return { code: 126, output: 'the container does not run' };
    const variables = Object.entries({ ...this.environment(), ...env }).map(([name, value]) => `${name}=${value}`);
    const args = [
      '-t',
      String(pid),
      '-m',
      '-n',
      '-p',
      '-r',
      '-w',
      ...this.asUser(),
      'env',
      '-i',
      ...variables,
      ...command,
    ];
    return run('nsenter', args, seconds);
  }

  /** Peak of its memory, in bytes. */
  get peak(): number {
    const file = fs.existsSync(join(CGROUPS, 'memory')) ? 'memory.max_usage_in_bytes' : 'memory.peak';
    return Number(fs.readFileSync(join(this.cgroup(), file), 'utf8'));
  }

  /** Removes what counts its memory. */
  forget(): void {
    spawnSyncQuietly('rmdir', this.cgroup());
  }

  get limit(): number {
    return bytesOf(this.spec.resources?.limits?.memory);
  }

  private asUser(): string[] {
    const { runAsUser, runAsGroup, fsGroup } = this.pod.spec.securityContext ?? {};
    const { capabilities, allowPrivilegeEscalation } = this.spec.securityContext ?? {};
    const dropsAll = capabilities?.drop?.includes('ALL');
    return [
      'setpriv',
      ...[`--reuid=${runAsUser ?? 0}`, `--regid=${runAsGroup ?? 0}`, `--groups=${fsGroup ?? runAsGroup ?? 0}`],
      ...(dropsAll ? ['--bounding-set=-all', '--inh-caps=-all'] : []),
      ...(allowPrivilegeEscalation === false ? ['--no-new-privs'] : []),
    ];
  }

  /** Its variables, expanded as the kubelet does: $(NAME) of an earlier one, $$ for a dollar. */
  environment(): Record<string, string> {
    const known: Record<string, string> = { ...this.image().env, HOSTNAME: this.pod.name };
    for (const { name, value, valueFrom } of this.spec.env ?? []) known[name] = this.valueOf(value, valueFrom, known);
    return known;
  }

  private valueOf(value: string | undefined, from: Json, known: Readonly<Record<string, string>>): string {
    if (from?.fieldRef) return from.fieldRef.fieldPath === 'status.podIP' ? this.pod.address : this.pod.name;
    if (from?.secretKeyRef) {
      const secret = this.pod.node.cluster.secrets.get(`${this.pod.namespace}/${from.secretKeyRef.name}`);
      const found = secret?.[from.secretKeyRef.key];
      if (found === undefined)
        throw new Error(`${this.pod.fullName} needs ${from.secretKeyRef.key} of secret ${from.secretKeyRef.name}`);
      return found;
    }
    return expanded(value ?? '', known);
  }

  private image(): StandIn {
    const name = String(this.spec.image).replace(/[:@].*$/, '');
    const found = this.pod.node.cluster.images[name] ?? this.pod.node.cluster.images[`docker.io/library/${name}`];
    if (!found) throw new Error(`${this.pod.fullName}: nothing stands in for the image ${this.spec.image}`);
    return found;
  }

  private cgroup(): string {
    const base = fs.existsSync(join(CGROUPS, 'memory')) ? join(CGROUPS, 'memory') : CGROUPS;
    const folder = join(base, `${basename(this.pod.node.folder)}-${this.pod.name}-${this.pod.address}-${this.name}`);
    fs.mkdirSync(folder, { recursive: true });
    const v1 = base !== CGROUPS;
    fs.writeFileSync(join(folder, v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(this.limit));
    return folder;
  }

  /** What a container runtime does before the container's process runs, and that process. */
  private script(): string {
    const root = join(this.pod.folder, `${this.name}.root`);
    const image = join(this.pod.node.images, this.pod.namespace, `${this.pod.name}-${this.pod.address}`, this.name);
    const { files: content, mounts } = this.image();
    const inPlace = (path: string) => join(image, path);
    for (const path of ['/proc', '/dev', '/sys', '/tmp']) fs.mkdirSync(inPlace(path), { recursive: true });
    for (const [path, text] of Object.entries({ ...content, ...this.networkFiles() })) {
      fs.mkdirSync(join(inPlace(path), '..'), { recursive: true });
      fs.writeFileSync(inPlace(path), text, { mode: path.includes('/bin/') ? 0o755 : 0o644 });
    }
    const binds: [from: string, to: string, how: string][] = Object.entries(mounts).map(([to, from]) => [
      from,
      to,
      'ro',
    ]);
    for (const { name, mountPath, subPath, readOnly } of this.spec.volumeMounts ?? []) {
      const from = join(this.pod.volume(name), subPath ?? '');
      const { configMap, secret } = (this.pod.spec.volumes ?? []).find((each: Json) => each.name === name) ?? {};
      binds.push([from, mountPath, readOnly || configMap || secret ? 'ro' : 'rw']);
    }
    for (const [from, to] of binds) {
      if (fs.statSync(from).isDirectory()) fs.mkdirSync(inPlace(to), { recursive: true });
      else {
        fs.mkdirSync(join(inPlace(to), '..'), { recursive: true });
        if (!fs.existsSync(inPlace(to))) fs.writeFileSync(inPlace(to), '');
      }
    }
    fs.mkdirSync(root, { recursive: true });
    const environment = Object.entries(this.environment()).map(([name, value]) => `${name}=${value}`);
    const command = [...(this.spec.command ?? []), ...(this.spec.args ?? [])].map((each: string) =>
      expanded(each, this.environment()),
    );
    const inside = [
      `mount -t overlay overlay -o lowerdir=${image}:/ ${quoted(root)}`,
      ...binds.map(([from, to, how]) => {
        const target = quoted(join(root, to));
        return `mount --bind ${quoted(from)} ${target} && mount -o remount,bind,${how},nosuid,nodev ${target}`;
      }),
      `mount -t proc proc ${quoted(join(root, 'proc'))}`,
      `mount --rbind /dev ${quoted(join(root, 'dev'))}`,
      `hostname ${this.pod.name}`,
      `exec chroot ${quoted(root)} ${[...this.asUser(), 'env', '-i', '-C', '/', ...environment, ...command].map(quoted).join(' ')}`,
    ].join('\n');
    return [
      `echo $$ > ${quoted(join(this.cgroup(), 'cgroup.procs'))}`,
      `exec setpriv --pdeathsig KILL nsenter -t ${this.pod.networkOf} -n unshare --mount --pid --uts --ipc --fork --kill-child sh -ec ${quoted(inside)}`,
      '',
    ].join('\n');
  }

  /** The own name stands in /etc/hosts, as the kubelet writes it there; every other name is the name server's. */
  private networkFiles(): Record<string, string> {
    const { name, namespace, address, headless } = this.pod;
    const own = headless === undefined ? name : `${name}.${headless}.${namespace}.svc.cluster.local ${name}`;
    return {
      '/etc/hosts': `127.0.0.1 localhost\n${address} ${own}\n`,
      '/etc/resolv.conf': `search ${namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${GATEWAY}\noptions ndots:5 timeout:2 attempts:1\n`,
      '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    };
  }

  /** Startup, then readiness and liveness side by side, each at its own pace. */
  private async probe(running: { on: boolean }): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = this.spec;
    if (startupProbe && !(await this.succeeds(startupProbe, running))) {
      if (running.on) this.endByProbe('startup');
      return;
    }
    this.started = running.on;
    if (!readinessProbe) this.ready = running.on;
    await Promise.all([
      readinessProbe && this.watch(readinessProbe, running, (good) => (this.ready = good)),
      livenessProbe && this.watch(livenessProbe, running, (good) => good || this.endByProbe('liveness')),
    ]);
  }

  private endByProbe(which: string): void {
    this.killedByProbe++;
    fs.appendFileSync(
      join(this.pod.folder, `${this.name}.log`),
      `\n(kubelet: ${which} probe failed, container is ended)\n`,
    );
    void this.stop(this.pod.spec.terminationGracePeriodSeconds ?? 30);
  }

  /** Tries until it succeeds once or has failed too often. */
  private async succeeds(probe: Json, running: { on: boolean }): Promise<boolean> {
    for (let failed = 0; running.on && failed < (probe.failureThreshold ?? 3); failed++) {
      if (await this.try(probe)) return true;
      await whileOn(running, probe.periodSeconds ?? 10);
    }
    return false;
  }

  private async watch(probe: Json, running: { on: boolean }, tell: (good: boolean) => unknown): Promise<void> {
    for (let failed = 0; running.on;) {
      failed = (await this.try(probe)) ? 0 : failed + 1;
      if (running.on && failed === 0) tell(true);
      if (running.on && failed === (probe.failureThreshold ?? 3)) tell(false);
      await whileOn(running, probe.periodSeconds ?? 10);
    }
  }

  async try(probe: Json): Promise<boolean> {
    const seconds = probe.timeoutSeconds ?? 1;
    if (probe.exec) return (await this.exec(probe.exec.command, seconds)).code === 0;
    const { port, path } = probe.tcpSocket ?? probe.httpGet;
    const number =
      typeof port === 'number' ? port : this.spec.ports.find((each: Json) => each.name === port).containerPort;
    return probe.tcpSocket ? opens(this.pod.address, number, seconds) : serves(this.pod.address, number, path, seconds);
  }
}

function opens(host: string, port: number, seconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: seconds * 1000 });
    const end = (good: boolean) => {
      socket.destroy();
      resolve(good);
    };
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(false))
      .once('error', () => end(false));
  });
}

function serves(host: string, port: number, path: string, seconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, timeout: seconds * 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode! >= 200 && response.statusCode! < 400);
    });
    request.once('timeout', () => request.destroy()).once('error', () => resolve(false));
  });
}

function run(program: string, args: readonly string[], seconds: number): Promise<{ code: number; output: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const late = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
  return new Promise((resolve) =>
    child.once('close', (code) => {
      clearTimeout(late);
      resolve({ code: code ?? 137, output });
    }),
  );
}

function emptyDir(folder: string, { medium, sizeLimit }: Json, group: number): void {
  if (medium === 'Memory') execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytesOf(sizeLimit)}`, 'tmpfs', folder]);
  fs.chownSync(folder, 0, group);
  fs.chmodSync(folder, 0o2777);
}

function files(folder: string, data: Readonly<Record<string, string>>, group: number, mode: number): void {
  fs.chownSync(folder, 0, group);
  fs.chmodSync(folder, 0o2755);
  for (const [name, text] of Object.entries(data)) {
    fs.writeFileSync(join(folder, name), text);
    fs.chownSync(join(folder, name), 0, group);
    fs.chmodSync(join(folder, name), mode);
  }
}

/** https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables */
function expanded(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]+)\)/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (known[name] ?? all),
  );
}

function bytesOf(quantity: string | undefined): number {
  const [, number, unit] = /^(\d+)(Mi|Gi|Ki)?$/.exec(quantity ?? '')!;
  return Number(number) * { Ki: 1024, Mi: MIB, Gi: 1024 * MIB, '': 1 }[unit ?? '']!;
}

/** The kubelet's: none before the first restart, then 10 s doubled up to 5 minutes. */
function backOff(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(300, 10 * 2 ** (restarts - 1));
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

async function whileOn(running: { on: boolean }, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; running.on && Date.now() < end;) await pause(0.2);
}

function netOf(pid: number): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return netOf(process.pid);
  }
}

function spawnSyncQuietly(program: string, ...args: readonly string[]): void {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
  } catch {
    // A folder that is no mount.
  }
}

function quoted(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
