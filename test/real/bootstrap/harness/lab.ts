import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nodes, type Homelab } from '../../../../inventory';
import { ControlPlane } from '../../cluster/control-plane';
import { applyNode } from '../../cluster/deploy';
import { contentOf, restoreContent, type EtcdContent } from '../../cluster/etcd';
import { Workspace } from '../../workspace';
import { shim, sopsBinaries, talosMachinery } from '../simulator/binaries';
import type { ClusterNode } from '../simulator/life';
import { fingerprint } from '../simulator/machines';
import { endPods } from '../simulator/pods';
import { Simulation } from '../simulator/simulation';

/** How a run of the bootstrap ended. */
export interface Run {
  /** None: it was killed. */
  readonly code: number | null;
  readonly output: string;
  readonly seconds: number;
}

/** Backups of its databases. What they do is simulated (programs/kubectl.ts). */
const BACKUP = `  backup: {
    target: {
      ...{ kind: 'sftp', host: '192.168.1.50', user: 'backup', path: '/Users/backup/homelab' },
      hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl'],
    },
  },
`;
const BEFORE_BACKUP = '  databases: {';
/** The proxy in front of Ollama: homelab.ts as it is shipped has it. */
export const WITHOUT_GATEWAY = "    service: 'llm-service',\n    machine: 'ai-vm',";
export const WITH_GATEWAY = `${WITHOUT_GATEWAY}\n    gateway: {},`;

/** How Git commits in the clone. */
export const OWNER = ['-c', 'user.name=owner', '-c', 'user.email=owner@homelab'];

/** A run of the bootstrap may take this long on an idle machine, then it is a failure of its own. */
const LONGEST = 400;

/** How much slower than an idle machine this one is: what waits for the real API server must give it that time. */
function slowness(): number {
  return Math.max(1, loadavg()[0]! / cpus().length);
}

/**
 * Where the bootstrap is tried: an owner's clone, a simulated homelab, and a real API server that the simulated nodes join.
 * All of it can be put aside and taken back.
 */
export class Lab {
  static async start(homelab: Homelab, kubectl: string): Promise<Lab> {
    // Short, since sockets lie in it.
    const folder = fs.mkdtempSync(join(tmpdir(), 'lab-'));
    const plane = await ControlPlane.start(homelab.versions.kubernetes);
    const { sops, ageKeygen } = sopsBinaries();
    const simulation = await Simulation.start(join(folder, 'sim'), {
      host: { address: '192.168.1.10' },
      shim: shim(),
      talosMachinery: talosMachinery(),
      real: {
        sops,
        'age-keygen': ageKeygen,
        kubectl,
        git: execFileSync('sh', ['-c', 'command -v git']).toString().trim(),
      },
      kubeconfig: () => fs.readFileSync(plane.kubeconfig, 'utf8'),
      onNodes: (members) => register(plane, homelab, members),
      onShutdown: (name) => endPods(plane.client, name, lab.podsEndWith),
    });
    const workspace = new Workspace([BEFORE_BACKUP, `${BACKUP}\n${BEFORE_BACKUP}`], [WITHOUT_GATEWAY, WITH_GATEWAY]);
    const repository = join(folder, 'repository');
    execFileSync('git', ['init', '-q', '--bare', repository]);
    const git = (...args: string[]) => execFileSync('git', ['-C', workspace.path, ...args]);
    git('init', '-q', '-b', homelab.git.revision ?? 'main');
    git('add', 'dist');
    git(...OWNER, 'commit', '-q', '-m', 'our homelab');
    git('push', '-q', repository, 'HEAD');
    const lab = new Lab(folder, plane, simulation, workspace, {
      https: homelab.git.url,
      ssh: homelab.git.url.replace(/^https:\/\/([^/]+)\//, 'git@$1:'),
    });
    return lab;
  }

  /** Exit code of the pods on a node that shuts down. */
  podsEndWith = 0;
  private readonly kept = new Map<string, EtcdContent>();
  private running?: number;

  private constructor(
    readonly folder: string,
    readonly plane: ControlPlane,
    readonly simulation: Simulation,
    readonly workspace: Workspace,
    /** Where the owner's repository is read, which is on this machine. */
    readonly repository: { readonly https: string; readonly ssh: string },
  ) {}

  get home(): string {
    return join(this.folder, 'home');
  }

  /** Keys of the owner's machine, outside of the clone. */
  get ageKey(): string {
    return join(this.home, 'age', 'keys.txt');
  }

  /**
   * Runs `npm run bootstrap -- ARGS` as its owner would. `pace` is the length of a second. `hear` is called with each line that it
   * prints. With `answers` it runs in a terminal, where each question that matches gets its answer.
   */
  run(
    args: readonly string[],
    pace = 0.1 * slowness(),
    hear: (line: string) => void = () => undefined,
    answers: readonly (readonly [question: RegExp, answer: string])[] = [],
  ): Promise<Run> {
    const begin = Date.now();
    const longest = LONGEST * slowness();
    fs.mkdirSync(this.home, { recursive: true });
    const argv = [process.execPath, '-r', 'ts-node/register', 'scripts/bootstrap.ts', ...args];
    // script(1) has a terminal, and ends as its command does.
    const [program, ...words] = answers.length > 0 ? ['script', '-qefc', argv.join(' '), '/dev/null'] : argv;
    const child = spawn(program!, words, {
      cwd: this.workspace.path,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...this.simulation.environment(),
        HOME: this.home,
        SOPS_AGE_KEY_FILE: this.ageKey,
        HOMELAB_PACE: String(pace),
        NO_COLOR: '1',
        // The owner's repository is one that anybody may read.
        GIT_CONFIG_COUNT: '2',
        GIT_CONFIG_KEY_0: `url.file://${join(this.folder, 'repository')}.insteadOf`,
        GIT_CONFIG_VALUE_0: this.repository.https,
        GIT_CONFIG_KEY_1: `url.file://${join(this.folder, 'repository')}.insteadOf`,
        GIT_CONFIG_VALUE_1: this.repository.ssh,
      },
    });
    this.running = child.pid;
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => (output += text.toString()));
      createInterface({ input: stream }).on('line', hear);
    }
    const kill = () => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    this.simulation.onKill = kill;
    const unanswered = [...answers];
    if (unanswered.length === 0) child.stdin!.end();
    child.stdout.on('data', () => {
      if (!unanswered[0]?.[0].test(output)) return;
      const [, answer] = unanswered.shift()!;
      // The prompt drops what was typed before it listens, and it is drawn before that.
      setTimeout(() => child.stdin!.write(`${answer}\r`), 500 * slowness());
    });
    const late = setTimeout(() => {
      output += `\nkilled by the test: it ran for ${longest} s`;
      kill();
    }, longest * 1000);
    return new Promise((done) =>
      child.once('close', (code) => {
        clearTimeout(late);
        // What its programs have started and left.
        kill();
        this.running = undefined;
        this.simulation.onKill = () => undefined;
        done({ code, output, seconds: (Date.now() - begin) / 1000 });
      }),
    );
  }

  /** Replaces a part of homelab.ts as it stands. @throws when the part is not there */
  edit(from: string, to: string): void {
    const file = join(this.workspace.path, 'homelab.ts');
    const text = fs.readFileSync(file, 'utf8');
    if (!text.includes(from)) throw new Error(`homelab.ts does not hold ${from}`);
    fs.writeFileSync(
      file,
      text.replace(from, () => to),
    );
  }

  /** Presses Ctrl-C: all programs of the run in front of the terminal hear it. */
  interrupt(): void {
    process.kill(-this.running!, 'SIGINT');
  }

  /** Puts everything aside: clone, keys, machines, cluster. A run that is under way stands still meanwhile. */
  async keep(name: string): Promise<void> {
    const { running } = this;
    if (running !== undefined) process.kill(-running, 'SIGSTOP');
    else await quiet();
    try {
      this.simulation.snapshot(join(this.folder, 'kept', name, 'simulation'));
      copy(this.workspace.path, join(this.folder, 'kept', name, 'clone'));
      copy(this.home, join(this.folder, 'kept', name, 'home'));
      this.kept.set(name, await contentOf(this.plane));
    } finally {
      if (running !== undefined) process.kill(-running, 'SIGCONT');
    }
  }

  /** Throws away what was put aside under names that begin so. */
  forget(begin: string): void {
    for (const name of [...this.kept.keys()].filter((each) => each.startsWith(begin))) {
      this.kept.delete(name);
      empty(join(this.folder, 'kept', name));
    }
  }

  /** Differs when something on a machine, in the clone or among the owner's keys does; logs, times and the cluster apart. */
  fingerprint(): string {
    const { state } = this.simulation;
    const plain = { ...state, slept: 0, host: { ...state.host, upAt: undefined } };
    const files = this.filesBut('.homelab/bootstrap.log');
    return [JSON.stringify(plain), this.simulation.fingerprint(), files].join('\n');
  }

  /** Differs when a file of the clone or among the owner's keys does; Git's own and what is made anew each time apart. */
  ownersFiles(): string {
    return this.filesBut('.git', '.homelab');
  }

  private filesBut(...paths: readonly string[]): string {
    return [this.workspace.path, this.home]
      .map((folder) => fingerprint(folder, ['node_modules', '.kube', ...paths]))
      .join('\n');
  }

  /** Takes everything back to what was put aside. */
  async restore(name: string): Promise<void> {
    await quiet();
    // First, since nodes that have joined in what comes next register at once.
    await restoreContent(this.plane, this.kept.get(name)!);
    this.simulation.intercept = undefined;
    this.simulation.answering = undefined;
    this.simulation.restore(join(this.folder, 'kept', name, 'simulation'));
    empty(this.workspace.path);
    copy(join(this.folder, 'kept', name, 'clone'), this.workspace.path);
    empty(this.home);
    copy(join(this.folder, 'kept', name, 'home'), this.home);
  }

  async stop(): Promise<void> {
    await this.simulation.stop();
    await this.plane.stop();
    this.workspace.remove();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The simulated nodes register, as kubelets do, with the labels of their own configuration; kwok keeps them ready. */
async function register({ client }: ControlPlane, homelab: Homelab, members: readonly ClusterNode[]): Promise<void> {
  for (const { name, labels, controlPlane } of members) {
    const machine = nodes(homelab).find(([each]) => each === name)?.[1] ?? nodes(homelab)[0]![1];
    await applyNode(client, homelab, name, { ...machine, labels, role: controlPlane ? 'control-plane' : 'worker' });
  }
}

/** What a killed run left under way ends by itself. */
function quiet(): Promise<void> {
  return new Promise((done) => setTimeout(done, 300));
}

function copy(from: string, to: string): void {
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(join(to, '..'), { recursive: true });
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function empty(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
}
