import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Child processes of a test, each with a log file, ended in reverse order, also when the test itself is killed. */
export class Processes {
  private readonly started: { readonly name: string; readonly child: ChildProcess; readonly log: string }[] = [];
  private stopping = false;

  constructor(readonly folder: string) {
    process.once('exit', () => this.kill());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  }

  start(
    name: string,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    const log = join(this.folder, `${name}.log`);
    const out = fs.openSync(log, 'a');
    const child = spawn(program, args, {
      stdio: ['ignore', out, out],
      cwd: this.folder,
      env: { ...process.env, ...env },
    });
    fs.closeSync(out);
    this.started.push({ name, child, log });
    child.once('exit', (code, signal) => {
      if (!this.stopping && !child.killed)
        console.error(`${name} ended by itself (${code ?? signal}):\n${this.tail(name)}`);
    });
    return child;
  }

  /** The last lines that a process wrote. */
  tail(name: string, lines = 15): string {
    const log = this.started.find((each) => each.name === name)?.log;
    return log && fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n').slice(-lines).join('\n') : '';
  }

  isRunning(name: string): boolean {
    const child = this.started.find((each) => each.name === name)?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Ends one process and waits until it is gone, so that its port is free. */
  async stop(name: string): Promise<void> {
    const index = this.started.findIndex((each) => each.name === name);
    if (index < 0) return;
    const { child } = this.started.splice(index, 1)[0]!;
    await ended(child);
  }

  async stopAll(): Promise<void> {
    this.stopping = true;
    for (const { child } of [...this.started].reverse()) await ended(child);
    this.started.length = 0;
  }

  private kill(): void {
    this.stopping = true;
    for (const { child } of this.started) if (child.exitCode === null) child.kill('SIGKILL');
    // After a crash: a test that ends well has removed it.
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(late);
}

/** Free ports on loopback, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Waits until a condition holds. @throws when it does not in time, with what was seen last */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => Promise<T | undefined | false>,
  explain: () => string | Promise<string> = () => '',
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let last = '';
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = (error as Error).message;
    }
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}\n${last}\n${await explain()}`.trim());
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
