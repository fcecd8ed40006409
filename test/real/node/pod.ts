import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { backOff, Container } from './container';
import { GATEWAY, type TestNode } from './node';
import { networkOf, pause, runQuietly } from './processes';
import { emptyDir, files } from './volumes';

type Json = any;

/** One pod: runs its init containers one after the other, then its containers, and restarts containers that end. */
export class Pod {
  readonly namespace: string;
  readonly containers: Container[] = [];
  readonly name: string;
  stopped = false;
  private readonly pause: ChildProcess;
  readonly initContainers: Container[] = [];
  readonly sidecars: Container[] = [];
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
    this.pause = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
    // It ends with this program, which does not wait for one whose pod could not be made.
    this.pause.unref();
    // unshare has no sign for "done": the namespace is there once it is another one than ours.
    const deadline = Date.now() + 5000;
    while (networkOf(this.pause.pid!) === networkOf(process.pid) && Date.now() < deadline)
      execFileSync('sleep', ['0.02']);
    // The veth of a pod that had this address goes with its namespace, which the kernel removes when it finds the time.
    while (fs.existsSync(`/sys/class/net/${this.link}`) && Date.now() < deadline) execFileSync('sleep', ['0.02']);
    execFileSync('sh', [
      '-ec',
      `ip link add ${this.link} type veth peer name eth0 netns ${this.pause.pid}
ip link set ${this.link} master pods up
nsenter -t ${this.pause.pid} -n sh -ec 'ip link set lo up; ip addr add ${address}/16 dev eth0; ip link set eth0 up; ip route add default via ${GATEWAY}'`,
    ]);
    // A pod that had this name and this address has left its files there.
    fs.rmSync(this.folder, { recursive: true, force: true });
    fs.mkdirSync(this.folder, { recursive: true });
  }

  get fullName(): string {
    return `${this.namespace}/${this.name}`;
  }

  get folder(): string {
    return join(this.node.folder, this.namespace, `${this.name}-${this.address}`);
  }

  /** The node's end of its network. */
  private get link(): string {
    return `n${this.address.split('.').slice(2).join('-')}`;
  }

  get networkOf(): number {
    return this.pause.pid!;
  }

  get spec(): Json {
    return this.manifest.spec;
  }

  get ready(): boolean {
    return (
      !this.stopped && this.containers.length > 0 && [...this.sidecars, ...this.containers].every(({ ready }) => ready)
    );
  }

  /** All processes of its containers, as this machine numbers them. */
  processes(): number[] {
    return [...this.sidecars, ...this.containers].flatMap(({ processes }) => processes);
  }

  get restarts(): number {
    return this.containers.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** Log of a container. */
  log(container: string): string {
    const file = join(this.folder, `${container}.log`);
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  }

  container(name: string): Container {
    return [...this.sidecars, ...this.containers].find((each) => each.name === name)!;
  }

  async run(): Promise<void> {
    for (const spec of this.spec.initContainers ?? []) {
      if (spec.restartPolicy === 'Always') await this.runSidecar(spec);
      else await this.runInit(spec);
      if (this.stopped) return;
    }
    for (const spec of this.spec.containers) this.containers.push(new Container(this, spec));
    const codes = await Promise.all(this.containers.map((container) => container.keep()));
    const over = this.stopped;
    this.stopped = true;
    if (!over) await Promise.all(this.sidecars.map((container) => container.stop(5)));
    this.done(Math.max(...codes));
  }

  private async runInit(spec: Json): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const container = new Container(this, spec);
      this.initContainers.push(container);
      const code = await container.start();
      if (code === 0 || this.stopped) return;
      if (this.spec.restartPolicy === 'Never') {
        this.stopped = true;
        return this.done(code);
      }
      await pause(backOff(attempt));
    }
  }

  /** An init container that goes on: the next one comes once it has started. */
  private async runSidecar(spec: Json): Promise<void> {
    const container = new Container(this, spec);
    this.sidecars.push(container);
    void container.keep();
    while (!container.started && !this.stopped) await pause(0.2);
  }

  /** preStop hooks and SIGTERM, then SIGKILL after the grace in seconds; sidecars last. */
  async stop(grace: number = this.spec.terminationGracePeriodSeconds ?? 30): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.initContainers, ...this.containers].map((container) => container.stop(grace)));
    await Promise.all(this.sidecars.map((container) => container.stop(grace)));
    // The kernel removes it with the namespace too, but seconds later on a loaded machine.
    if (!this.pause.killed) runQuietly('ip', 'link', 'delete', this.link);
    this.pause.kill('SIGKILL');
    for (const container of [...this.initContainers, ...this.sidecars, ...this.containers]) container.forget();
    for (const [name, folder] of this.volumes) {
      const claim = this.claimOf(name);
      if (claim === undefined) runQuietly('umount', folder);
      else this.node.claims.unmount(this.namespace, claim, folder);
    }
    this.volumes.clear();
  }

  /** A folder of this machine that holds a volume of the pod, as the kubelet would make it. */
  volume(name: string): string {
    const known = this.volumes.get(name);
    if (known !== undefined) return known;
    const folder = join(this.folder, 'volumes', name);
    fs.mkdirSync(folder, { recursive: true });
    const volume = this.declared(name);
    const claim = this.claimOf(name);
    if (claim !== undefined) this.node.claims.mount(this.namespace, claim, folder, this.group);
    else if (volume.emptyDir) emptyDir(folder, volume.emptyDir, this.group);
    else this.writeFiles(name, folder);
    this.volumes.set(name, folder);
    return folder;
  }

  /** The claim of a volume; the templates of a StatefulSet make one for each pod. */
  private claimOf(name: string): string | undefined {
    const volume = this.declared(name);
    return volume === undefined ? `${name}-${this.name}` : volume.persistentVolumeClaim?.claimName;
  }

  private declared(name: string): Json {
    return (this.spec.volumes ?? []).find((each: Json) => each.name === name);
  }

  private get group(): number {
    return this.spec.securityContext?.fsGroup ?? 0;
  }

  /** Writes ConfigMaps that have changed into the volumes of the running pod, as the kubelet does within a minute. */
  refresh(): void {
    for (const { name, configMap, secret, projected } of this.spec.volumes ?? []) {
      const folder = this.volumes.get(name);
      if ((configMap || secret || projected) && folder !== undefined) this.writeFiles(name, folder);
    }
  }

  private writeFiles(name: string, folder: string): void {
    const { projected, ...only } = this.declared(name);
    const { cluster } = this.node;
    // Sources of a projected volume have items of their own, and its one mode.
    const sources: Json[] = projected?.sources ?? [only];
    for (const source of sources) {
      const { configMap, secret } = source;
      const mode = projected?.defaultMode ?? (configMap ?? secret)?.defaultMode;
      if (configMap)
        files(
          folder,
          cluster.configMaps.get(`${this.namespace}/${configMap.name}`)!,
          { ...configMap, defaultMode: mode },
          this.group,
          0o644,
        );
      else if (secret)
        // 0644 by default, and fsGroup takes it from the others and gives it to the group.
        files(
          folder,
          cluster.secrets.get(`${this.namespace}/${secret.secretName ?? secret.name}`)!,
          { ...secret, defaultMode: mode },
          this.group,
          0o440,
        );
      else throw new Error(`${this.fullName}: a volume of a kind that this kubelet does not know: ${name}`);
    }
  }
}
