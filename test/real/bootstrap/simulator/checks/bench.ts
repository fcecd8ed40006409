import { spawn, type ChildProcess } from 'node:child_process';
import { Tally } from '../../../tally';
import type { ClusterNode } from '../life';
import type { Call, Interception } from '../programs/program';
import type { Simulation } from '../simulation';

/** Address of the simulated Proxmox host. */
export const HOST = '192.168.1.10';
/** Id of the image that Talos' image factory makes. */
export const SCHEMATIC = 'a'.repeat(64);

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs programs against a simulation, as the bootstrap does, and compares what they print. */
export class Bench {
  readonly tally = new Tally();
  /** The nodes that joined the cluster. */
  joined: readonly ClusterNode[] = [];
  /** The program that was started last. */
  running: ChildProcess | undefined;

  /** @param folder where the programs run, and where they write files */
  constructor(
    readonly simulation: Simulation,
    readonly folder: string,
  ) {}

  readonly run = (program: string, args: readonly string[], input = ''): Promise<Run> => {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...process.env, ...this.simulation.environment() },
      detached: true,
    });
    this.running = child;
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    return new Promise((done) => child.once('close', (code) => done({ code, stdout, stderr })));
  };

  readonly onHost = (command: string, input?: string): Promise<Run> =>
    this.run('ssh', ['-o', 'BatchMode=yes', `root@${HOST}`, '--', command], input);

  readonly qm = (...args: readonly string[]): Promise<Run> =>
    this.onHost(['qm', ...args].map((arg) => `'${arg}'`).join(' '));

  readonly talosctl = (...args: readonly string[]): Promise<Run> =>
    this.run('talosctl', ['--talosconfig', 'talosconfig', ...args]);

  readonly same = (what: string, found: unknown, wanted: unknown): void => {
    const [a, b] = [found, wanted].map((each) => JSON.stringify(each));
    this.tally.check(what, a === b, `found  ${a}\nwanted ${b}`);
  };

  readonly holds = (what: string, text: string, ...parts: readonly string[]): void => {
    for (const part of parts) this.tally.check(what, text.includes(part), `no ${JSON.stringify(part)} in\n${text}`);
  };

  /** Treats the next call of a program in that way, and no later one. */
  readonly interceptOnce = (program: string, how: Interception): void => {
    let left = 1;
    this.simulation.intercept = (call: Call) => (call.program === program && left-- > 0 ? how : undefined);
    this.simulation.onKill = () => process.kill(-this.running!.pid!, 'SIGKILL');
  };
}
