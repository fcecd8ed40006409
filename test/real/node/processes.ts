import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';

/** Output and exit code of a program. 137 means that it was killed after its timeout. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Where a program runs, and what it reads from standard input. */
export interface Surroundings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** @default empty */
  readonly input?: string;
}

export function run(
  program: string,
  args: readonly string[],
  seconds: number,
  around: Surroundings = {},
): Promise<Ended> {
  const { input = '', ...options } = around;
  const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  // A program that ends before it has read everything closes its standard input.
  child.stdin.on('error', () => undefined).end(input);
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

/** Runs a cleanup command whose target may be gone already. */
export function runQuietly(program: string, ...args: readonly string[]): void {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
  } catch {
    // A folder that is no mount.
  }
}

/** The network namespace of a process. If the process is gone, that of this program. */
export function networkOf(pid: number): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return networkOf(process.pid);
  }
}

export function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Quotes a text as one shell word. */
export function quoted(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
