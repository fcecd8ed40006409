import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { Caller, type Hello } from './caller';
import { contextOf } from './context';
import { hostRoot } from './host-root';
import { changesByItself, failure, filesAmong } from './interceptions';
import { advance, type ClusterNode } from './life';
import { canChangeUser, fingerprint, Root } from './machines';
import { boots, programs } from './programs';
import { storageConfig } from './programs/pvesm';
import {
  Failure,
  Unexpected,
  type Answer,
  type Call,
  type Context,
  type Exec,
  type Interception,
  type Kind,
  type Program,
} from './programs/program';
import { freshState, type State } from './state';

export interface Options {
  readonly host: {
    readonly address: string;
    /** Node name of Proxmox. @default pve */
    readonly name?: string;
  };
  /** Binaries: the stand-in, what answers for the offline half of talosctl, and the programs that run for real. */
  readonly shim: string;
  readonly talosMachinery: string;
  readonly real: Readonly<Record<string, string>>;
  /** What `talosctl kubeconfig` gives: that of a real API server. */
  readonly kubeconfig?: () => string;
  /** Called whenever another set of nodes has joined the cluster. */
  readonly onNodes?: (nodes: readonly ClusterNode[]) => void | Promise<void>;
  /** Called with the name of a VM whose guest shuts down by itself, before it is off. */
  readonly onShutdown?: (name: string) => void | Promise<void>;
}

/** After a call is cut off, the other side goes on for this long. */
const LATER = 200;
const TICK = 20;

/**
 * A homelab that is not there: a Proxmox host, its virtual machines and the Talos nodes in them, for a program under test that
 * only knows ssh, talosctl, curl and the like. Put `environment()` into the program's environment.
 */
export class Simulation {
  static async start(folder: string, options: Options): Promise<Simulation> {
    const simulation = new Simulation(resolve(folder), options);
    await simulation.begin();
    return simulation;
  }

  state: State;
  /** Every call of a program, in the order in which they began. */
  readonly calls: Call[] = [];
  /** What was asked of the simulation and it does not know. A test asserts that it stays empty. */
  readonly unexpected: string[] = [];
  /** What curl finds: the content of each address. A function may answer anew each time. */
  readonly urls: Record<string, string | Buffer | (() => string | Buffer)> = {};
  /**
   * Asked at the beginning of each call.
   * - before: the program under test is killed, and the call never takes effect; a remote session of it ends.
   * - during: it is killed first and the effect comes later, as the remote went on. What it was being given arrives in half.
   * - after: the call takes effect, then the program under test is killed instead of answered; its remote session ends.
   * - fail: exit 1, or 255 for ssh, without effect.
   * - hang: never answered, without effect.
   * - nonsense: exit 0 with garbage, without effect.
   */
  intercept?: (call: Call, index: number) => Interception | undefined | Promise<undefined>;
  /** Called when a call has taken effect and its program has not been answered yet, which waits until this ends. */
  answering?: (call: Call) => Promise<void>;
  /** Whether calls of ssh that change files are told from others, which costs a walk through all files of all machines. */
  watchesFiles = true;
  /** Kills the program under test with all its children; the test sets it. */
  onKill: () => void = () => undefined;

  private readonly roots = new Map<string, Root>();
  private readonly servers: Server[] = [];
  private readonly open = new Set<Socket>();
  private readonly sessions = new Map<string, { readonly machine: string; readonly child: ChildProcess }>();
  private nextSession = 1;
  private timer?: NodeJS.Timeout;

  private constructor(
    readonly folder: string,
    readonly options: Options,
  ) {
    this.state = freshState(options.host.name ?? 'pve', options.host.address);
  }

  /** What the program under test must be started with. */
  environment(): Record<string, string> {
    return {
      PATH: `${this.binOf('local')}:${process.env.PATH}`,
      SIMULATION_SOCKET: this.socketOf('local'),
    };
  }

  /** Folder of the files of a machine, which looks like its root. */
  files(machine: string): string {
    return join(this.folder, 'machines', machine);
  }

  /** Copies all state, so that another simulation or a later `restore` starts from here. */
  snapshot(folder: string): void {
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(join(folder, 'state.json'), JSON.stringify(this.state));
    copy(join(this.folder, 'machines'), join(folder, 'machines'));
  }

  /** Goes back to a snapshot. Calls and what was unexpected begin anew; nothing may be running. */
  restore(folder: string): void {
    for (const { child } of this.sessions.values()) kill(child);
    for (const root of this.roots.values()) root.unmount();
    this.roots.clear();
    fs.rmSync(join(this.folder, 'machines'), { recursive: true, force: true });
    copy(join(folder, 'machines'), join(this.folder, 'machines'));
    this.state = JSON.parse(fs.readFileSync(join(folder, 'state.json'), 'utf8'));
    this.calls.length = 0;
    this.unexpected.length = 0;
    for (const machine of Object.keys(this.state.machines)) this.mount(machine);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    for (const { child } of this.sessions.values()) kill(child);
    for (const root of this.roots.values()) root.unmount();
    // What a test has left hanging, and what qm start leaves.
    for (const socket of this.open) socket.destroy();
    await Promise.all(this.servers.map((server) => new Promise((done) => server.close(done))));
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  /** Makes the root of a machine that is new, or whose disk is. */
  makeMachine(name: string, proc: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>): void {
    this.roots.get(name)?.unmount();
    fs.rmSync(this.files(name), { recursive: true, force: true });
    new Root(this.files(name), '').create(proc, files);
    this.mount(name);
  }

  /** Writes a file of a machine in place, /proc included. */
  writeFile(machine: string, path: string, text: string): void {
    const root = this.roots.get(machine)!;
    const proc = /^\/?proc\/(.*)$/.exec(path)?.[1];
    const isNew = proc !== undefined && !fs.existsSync(join(this.files(machine), '.proc', proc));
    root.write(proc === undefined ? path : `.proc/${proc}`, text);
    if (isNew) root.cover(proc);
  }

  /** Gives a folder to the one user of a machine who is not root. */
  own(machine: string, folder: string): void {
    if (canChangeUser()) spawnSync('chown', ['-R', '1000:1000', join(this.files(machine), folder)]);
  }

  /** A machine went down: its sessions end, and ssh with them. */
  endSessions(machine: string): void {
    for (const session of this.sessions.values()) if (session.machine === machine) kill(session.child);
  }

  /** Changes with the files of any machine. */
  fingerprint(): string {
    return Object.keys(this.state.machines)
      .map((machine) => fingerprint(this.files(machine)))
      .join('\n\n');
  }

  /** Runs what programs have asked for when a machine boots. */
  booted(machine: string): void {
    for (const boot of boots) if (boot.kinds.includes(this.kindOf(machine))) boot.run(this, machine);
  }

  /** Starts a command in the root of a machine, as a user of it. It goes on when the one who asked is gone. */
  spawn(machine: string, user: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const session = String(this.nextSession++);
    const home = user === 'root' ? '/root' : `/home/${user}`;
    const all = {
      PATH: '/sim/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: home,
      USER: user,
      LOGNAME: user,
      SIMULATION_MACHINE: machine,
      SIMULATION_SESSION: session,
      ...env,
    };
    const as = user !== 'root' && canChangeUser() ? ['--userspec=1000:1000', '--groups='] : [];
    const child = spawn(
      'chroot',
      [
        ...as,
        this.roots.get(machine)!.mounted,
        ...['/usr/bin/env', '-i', '-C', home],
        ...Object.entries(all).map(([key, value]) => `${key}=${value}`),
        ...argv,
      ],
      { detached: true, stdio: ['pipe', 'pipe', 'pipe'] },
    );
    // The other end may not read to the end.
    child.stdin.on('error', () => undefined);
    this.sessions.set(session, { machine, child });
    child.once('close', () => this.sessions.delete(session));
    return child;
  }

  private async begin(): Promise<void> {
    fs.mkdirSync(this.folder, { recursive: true });
    for (const kind of ['local', 'proxmox', 'ubuntu'] as const) {
      fs.mkdirSync(this.binOf(kind), { recursive: true });
      const real = kind === 'local' ? Object.keys(this.options.real) : [];
      for (const name of new Set([...namesOf(kind), ...real])) install(this.options.shim, join(this.binOf(kind), name));
      // It becomes root by itself, as the real one.
      if (kind === 'ubuntu' && canChangeUser()) fs.chmodSync(join(this.binOf(kind), 'sudo'), 0o4755);
    }
    await this.listen('local');
    const { name } = this.state.host;
    const { proc, files } = hostRoot(name, this.options.host.address);
    this.makeMachine('host', proc, files);
    storageConfig(this);
    this.booted('host');
    this.save();
    this.timer = setInterval(() => advance(this), TICK);
    this.timer.unref();
  }

  private mount(name: string): void {
    const root = new Root(this.files(name), join(this.folder, 'roots', name));
    void this.listen(name);
    root.mount(this.socketOf(name), this.binOf(this.kindOf(name)));
    this.roots.set(name, root);
  }

  /** A socket for each machine: it says where a call comes from, whatever its environment holds. */
  private async listen(machine: string): Promise<void> {
    const path = this.socketOf(machine);
    if (fs.existsSync(path)) return;
    if (path.length > 100) throw new Error(`${path} must be shorter: a socket's path has at most 107 characters`);
    const server = createServer((socket) => {
      this.open.add(socket);
      socket.once('close', () => this.open.delete(socket));
      new Caller(socket, (caller, said) => void this.serve(machine, caller, said));
    });
    this.servers.push(server);
    const listening = new Promise<void>((done) => server.listen(path, done));
    // Machines have users besides root; the file is there as soon as listen() has returned.
    fs.chmodSync(path, 0o666);
    await listening;
  }

  private async serve(machine: string, caller: Caller, { program: name, argv, cwd, env, uid }: Hello): Promise<void> {
    const call: Call = { machine, program: name, argv, cwd, env, uid };
    const index = this.calls.push(call) - 1;
    const todo = await this.intercept?.(call, index);
    if (todo !== undefined) call.intercepted = todo;
    if (todo === 'hang') return;
    if (todo === 'before') return this.cut(call);
    if (todo === 'fail') return caller.end(call, failure(name));
    if (todo === 'nonsense') return caller.end(call, { stdout: '\u0001 %% {"nonsense": [<<<\n' });
    const found = programs.find((each) => each.kinds.includes(this.kindOf(machine)) && each.names.includes(name));
    // A program that is cut off has read its files, which may go with the one who gave them.
    const context = contextOf(this, call, caller, todo === 'during' ? filesAmong(call) : new Map());
    if (todo === 'during' && !found?.isReal?.(call)) await this.cutOff(name, caller, context, found);
    const before = JSON.stringify(this.state);
    const files = name === 'ssh' && this.watchesFiles ? this.fingerprint() : '';
    const answer = await this.answer(call, found, context);
    if ('exec' in answer) return this.passThrough(call, caller, answer, todo);
    call.changing =
      JSON.stringify(this.state) !== before || (name === 'ssh' && this.watchesFiles && this.fingerprint() !== files);
    call.said = `${answer.stderr ?? ''}${answer.stdout ?? ''}`.slice(0, 2000);
    advance(this);
    this.save();
    await this.answering?.(call);
    if (todo === 'after') {
      call.code = answer.code ?? 0;
      this.cut(call);
    } else caller.end(call, answer);
  }

  private async answer(call: Call, found: Program | undefined, context: Context): Promise<Answer | Exec> {
    try {
      if (found) {
        const answer = await found.run(context);
        return typeof answer === 'object' ? answer : { stdout: answer ?? '' };
      }
      const real = this.options.real[call.program];
      if (real === undefined) throw new Unexpected('no such program');
      return { exec: real, argv: call.argv };
    } catch (error) {
      const { message, stack } = error as Error;
      if (error instanceof Failure) return { stderr: message && `${message.replace(/\n$/, '')}\n`, code: error.code };
      const what = `${call.machine}: ${call.program} ${call.argv.join(' ')}: ${error instanceof Unexpected ? message : stack}`;
      this.unexpected.push(what);
      return { stderr: `simulation: ${what}\n`, code: 127 };
    }
  }

  /** A real program runs under the shim; what it changes is outside of the simulation, so its arguments must tell. */
  private async passThrough(call: Call, caller: Caller, exec: Exec, todo?: Interception): Promise<void> {
    call.changing = changesByItself(call);
    const ended = caller.run(exec);
    if (todo === 'during') await new Promise((done) => setTimeout(done, 10)).then(() => this.onKill());
    const code = await ended;
    if (code === undefined) return;
    call.code = code;
    await this.answering?.(call);
    if (todo === 'after') this.cut(call);
    else caller.end(call, { code });
  }

  /** The program under test dies now, and what it asked for happens in a while. */
  private async cutOff(program: string, caller: Caller, context: Context, found?: Program): Promise<void> {
    if (found === undefined) return;
    // Only ssh hands its input on; what runs in a script would take it from there.
    if (program === 'ssh') await caller.readHalf();
    this.onKill();
    found.underway?.(context);
    this.save();
    await new Promise((done) => setTimeout(done, LATER));
  }

  private cut(call: Call): void {
    this.onKill();
    const session = this.sessions.get(call.env.SIMULATION_SESSION ?? '');
    if (session) kill(session.child);
  }

  private save(): void {
    fs.writeFileSync(join(this.folder, 'state.json'), JSON.stringify(this.state, null, 1));
  }

  private kindOf(machine: string): Kind {
    return machine === 'local' ? 'local' : (this.state.machines[machine]?.kind ?? 'ubuntu');
  }

  private binOf(kind: Kind): string {
    return join(this.folder, kind === 'local' ? 'bin' : `bin-${kind}`);
  }

  private socketOf(machine: string): string {
    return join(this.folder, `${machine}.sock`);
  }
}

function namesOf(kind: Kind): string[] {
  return programs.filter(({ kinds }) => kinds.includes(kind)).flatMap(({ names }) => names);
}

/** A hard link where it can be one. */
function install(shim: string, path: string): void {
  try {
    if (path.endsWith('/sudo')) throw new Error('it has a mode of its own');
    fs.linkSync(shim, path);
  } catch {
    fs.copyFileSync(shim, path);
  }
}

function copy(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
