import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { until } from '../cluster/processes';

const BRIDGE = 'lan';

/**
 * The home network inside the network namespace of the suite: a bridge with the address of the Mac, which is this process. Each
 * other machine is a network and mount namespace that is connected to the bridge. Needs root.
 */
export class Lan {
  private readonly machines: LanMachine[] = [];

  /** @param mac with its prefix length, as 192.168.1.50/24 */
  constructor(mac: string) {
    ip('link', 'add', BRIDGE, 'type', 'bridge');
    ip('address', 'add', mac, 'dev', BRIDGE);
    ip('link', 'set', BRIDGE, 'up');
  }

  /** A machine with an address on it. @param setup shell commands that it runs first, as root in its namespaces */
  async join(name: string, address: string, setup = ''): Promise<LanMachine> {
    const holder = spawn('setpriv', [
      ...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--propagation', 'private'],
      ...['sleep', '86400'],
    ]);
    this.machines.push(new LanMachine(name, holder));
    const machine = this.machines.at(-1)!;
    const own = fs.readlinkSync('/proc/self/ns/mnt');
    await until(`the namespaces of ${name}`, 20, async () => fs.readlinkSync(`/proc/${holder.pid}/ns/mnt`) !== own);
    const port = `port${this.machines.length}`;
    ip('link', 'add', port, 'master', BRIDGE, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
    ip('link', 'set', port, 'up');
    machine.sh(`ip link set lo up && ip address add ${address} dev eth0 && ip link set eth0 up\n${setup}`);
    return machine;
  }

  /** Ends the machines. Their processes must be stopped before. */
  remove(): void {
    for (const { holder } of this.machines) holder.kill('SIGKILL');
    ip('link', 'del', BRIDGE);
  }
}

/** Exit code and output of a program. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class LanMachine {
  constructor(
    readonly name: string,
    readonly holder: ChildProcess,
  ) {}

  /** A command line that runs another one in this machine. */
  argv(...command: readonly string[]): [string, ...string[]] {
    return ['nsenter', '-t', String(this.holder.pid), '--net', '--mount', ...command];
  }

  /** @throws when it fails */
  sh(script: string): string {
    const [program, ...args] = this.argv('sh', '-euc', script);
    return execFileSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  }

  async run(command: readonly string[], env: Readonly<Record<string, string>> = {}, seconds = 60): Promise<Ended> {
    const [program, ...args] = this.argv(...command);
    return ended(program, args, { env: { ...process.env, ...env }, timeout: seconds * 1000, maxBuffer: 1e8 });
  }
}

/** Runs a program to its end, and does not throw on an exit code. */
export async function ended(program: string, args: readonly string[], options: object): Promise<Ended> {
  try {
    return { code: 0, ...(await promisify(execFile)(program, args, { encoding: 'utf8', ...options })) };
  } catch (error) {
    const { code, stdout = '', stderr = '', message } = error as Error & Partial<Record<keyof Ended, any>>;
    return { code: typeof code === 'number' ? code : -1, stdout, stderr: stderr || message };
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}
