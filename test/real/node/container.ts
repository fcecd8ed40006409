import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { StandIn } from './stand-in';
import type { Pod } from './pod';
import { probe, tryOnce } from './probes';
import { pause, run, type Ended } from './processes';
import { Memory, sandboxScript, userOf } from './sandbox';
import { bytesOf } from './volumes';

type Json = any;

/** One container of a pod. */
export class Container {
  readonly name: string;
  ready = false;
  started = false;
  restarts = 0;
  /** Number of restarts by a liveness or startup probe. */
  killedByProbe = 0;
  lastCode: number | undefined;
  /** What the last failed probe said. */
  lastProbe: string | undefined;
  /** The same, where it ended the container. */
  killedBecause: string | undefined;
  startedAt: Date | undefined;
  endedAt: Date | undefined;
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
    fs.writeFileSync(script, sandboxScript(this));
    const log = fs.openSync(join(this.pod.folder, `${this.name}.log`), 'a');
    const child = spawn('sh', [script], { stdio: ['ignore', log, log] });
    this.child = child;
    this.startedAt = new Date();
    const status = await new Promise<number>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15))),
    );
    fs.closeSync(log);
    // unshare cannot end itself by the SIGKILL that ended its child, and says so.
    const killed = status === 1 && /unshare: sigprocmask unblock failed.*\n$/.test(this.pod.log(this.name));
    const code = killed ? 137 : status;
    this.child = undefined;
    this.endedAt = new Date();
    this.lastCode = code;
    return code;
  }

  /** Runs it until the pod is stopped. In a Job, runs it until it succeeds. */
  async keep(): Promise<number> {
    const policy = this.spec.restartPolicy ?? this.pod.spec.restartPolicy ?? 'Always';
    for (;;) {
      const running = { on: true };
      const probes = probe(this, running);
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

  get running(): boolean {
    return this.child !== undefined;
  }

  /** Process 1 of the container, by its id on this machine. */
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
    const hook = this.spec.lifecycle?.preStop;
    if (hook?.exec && grace > 0) await this.exec(hook.exec.command, grace);
    if (hook?.sleep && grace > 0) await Promise.race([gone, pause(Math.min(hook.sleep.seconds, grace))]);
    if (grace > 0) this.signal('SIGTERM');
    await gone;
    clearTimeout(late);
  }

  endByProbe(which: string): void {
    this.killedByProbe++;
    this.killedBecause = this.lastProbe;
    fs.appendFileSync(
      join(this.pod.folder, `${this.name}.log`),
      `\n(kubelet: ${which} probe failed, container is ended)\n`,
    );
    void this.stop(this.pod.spec.terminationGracePeriodSeconds ?? 30);
  }

  /** Tries a probe once. */
  try(wanted: Json): Promise<boolean> {
    return tryOnce(this, wanted);
  }

  /** Runs a command in the container, as its user. */
  async exec(command: readonly string[], seconds = 60, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    for (const end = Date.now() + 10_000; !this.isInside() && Date.now() < end;) await pause(0.1);
    const entry = this.entry(env);
    if (entry === undefined) return { code: 126, output: 'the container does not run' };
    return run('nsenter', [...entry, ...command], seconds);
  }

  /** What nsenter is told before a command that is to run in the container, as its user; undefined where it does not run. */
  entry(env: Readonly<Record<string, string>> = {}): string[] | undefined {
    const { pid } = this;
    if (pid === undefined) return undefined;
    const variables = Object.entries({ ...this.environment(), ...env }).map(([name, value]) => `${name}=${value}`);
    return ['-t', String(pid), '-m', '-n', '-p', '-r', '-w', ...userOf(this), 'env', '-i', ...variables];
  }

  /** Its processes, by their ids on this machine, without the one that started it. */
  get processes(): number[] {
    return this.memory.processes.filter((pid) => pid !== this.child?.pid);
  }

  get memory(): Memory {
    return new Memory(this);
  }

  /** Peak of its memory, in bytes. */
  get peak(): number {
    return this.memory.peak;
  }

  /** Removes its memory cgroup. */
  forget(): void {
    this.memory.forget();
  }

  get limit(): number {
    return bytesOf(this.spec.resources?.limits?.memory);
  }

  /** Its variables, expanded as the kubelet does: $(NAME) of an earlier one, $$ for a dollar. */
  environment(): Record<string, string> {
    const known: Record<string, string> = { ...this.image.env, HOSTNAME: this.pod.name };
    for (const { name, value, valueFrom } of this.spec.env ?? []) {
      const found = this.valueOf(value, valueFrom, known);
      if (found !== undefined) known[name] = found;
    }
    return known;
  }

  /** Undefined if an optional key of a secret is missing, so the kubelet leaves the variable out. */
  private valueOf(value: string | undefined, from: Json, known: Readonly<Record<string, string>>): string | undefined {
    if (from?.fieldRef) return this.fieldOf(from.fieldRef.fieldPath);
    if (from?.secretKeyRef) {
      const secret = this.pod.node.cluster.secrets.get(`${this.pod.namespace}/${from.secretKeyRef.name}`);
      const found = secret?.[from.secretKeyRef.key];
      if (found === undefined && !from.secretKeyRef.optional)
        throw new Error(`${this.pod.fullName} needs ${from.secretKeyRef.key} of secret ${from.secretKeyRef.name}`);
      return found;
    }
    return expanded(value ?? '', known);
  }

  private fieldOf(path: string): string {
    const { address, name, namespace } = this.pod;
    const found = { 'status.podIP': address, 'metadata.name': name, 'metadata.namespace': namespace }[path];
    if (found === undefined) throw new Error(`${this.pod.fullName}: this kubelet does not know the field ${path}`);
    return found;
  }

  get image(): StandIn {
    const name = String(this.spec.image).replace(/[:@].*$/, '');
    const found =
      this.pod.node.cluster.images[this.spec.image] ??
      this.pod.node.cluster.images[name] ??
      this.pod.node.cluster.images[`docker.io/library/${name}`];
    if (!found) throw new Error(`${this.pod.fullName}: nothing stands in for the image ${this.spec.image}`);
    return found;
  }

  /** Its command with its arguments; those of the image where the manifest has none. The first word of an entrypoint takes `args`. */
  command(): string[] {
    const { entrypoint = [] } = this.image;
    const words = this.spec.command ?? (this.spec.args ? entrypoint.slice(0, 1) : entrypoint);
    return [...words, ...(this.spec.args ?? [])].map((each: string) => expanded(each, this.environment()));
  }
}

/** https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables */
function expanded(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]+)\)/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (known[name] ?? all),
  );
}

/** Backoff of the kubelet: none before the first restart, then 10 s, doubled up to 5 minutes. */
export function backOff(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(300, 10 * 2 ** (restarts - 1));
}
