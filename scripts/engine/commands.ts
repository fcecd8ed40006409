import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Log } from './log';
import { Interrupted, Problem, Blocked } from './problem';
import { quoted } from '../../machines/shell';
import { SECOND } from './wait';

/** Where a command runs: on this machine, or on another one over SSH. */
export interface Target {
  /** Name in messages. */
  readonly name: string;
  /** None: this machine. */
  readonly ssh?: { readonly user: string; readonly address: string; readonly options?: readonly string[] };
  /** Whether a change needs sudo there. */
  readonly sudo?: boolean;
}

export const LOCALHOST: Target = { name: 'this machine' };

export interface CommandOptions {
  /** Standard input of the command: the only way for a secret. */
  readonly stdin?: string | Uint8Array;
  /** A file of this machine for the command's standard input, read piece by piece. */
  readonly stdinFile?: string;
  /** Told about every second: the bytes of that file that were read so far. */
  readonly sent?: (bytes: number) => void;
  /** Told what the command prints, as it comes. */
  readonly told?: (text: string) => void;
  /** Time it may take. @default 60 for what reads, 600 for what changes */
  readonly seconds?: number;
  /** What it does in that time, for the message when it does not end. */
  readonly waitsFor?: string;
  /** Exit codes that are an answer and no failure; over SSH, a command's own 255 counts as 254. @default [0] */
  readonly accepts?: readonly number[];
  /** Further environment variables, on this machine only. Never a secret: other processes can read them. */
  readonly env?: Readonly<Record<string, string>>;
  /** Time that it has after Ctrl-C to keep what it has done, before it is killed. @default 2 */
  readonly stopSeconds?: number;
  /** Whether the root of that machine reads, not its user. @default false */
  readonly asRoot?: boolean;
  /**
   * Whether what the same command said at most 2 s ago will do, if nothing was changed since: steps that look one after the
   * other see the same. @default false
   */
  readonly recent?: boolean;
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** A command failed. Has its output. */
export class CommandFailed extends Problem {
  constructor(
    readonly output: Output,
    message: string,
  ) {
    super(message);
  }
}

/** A program that is not installed on this machine. */
export class ProgramMissing extends CommandFailed {
  constructor(
    readonly program: string,
    output: Output,
  ) {
    super(output, `${program} must be installed here; npm run bootstrap -- doctor`);
  }
}

const RECENT_MILLISECONDS = 2000;
const SENT_MILLISECONDS = 1000;
/** A program that does not exit after SIGTERM is killed after this time. */
const STOP_SECONDS = 2;
/** After this time we stop waiting for its output, because a program that it started may keep the pipe open forever. */
const LET_GO_MILLISECONDS = 1000;

/** Held on a machine while a command of ours changes it. The next run waits for a command that continues after Ctrl-C. */
const LOCK = '/run/lock/collab-homelab';
const LOCK_SECONDS = 900;
/** The wait for the lock ends this much before the command's own timeout, so that nothing starts there after we stopped waiting. */
const LOCK_MARGIN_SECONDS = 20;
const LOCK_IS_HELD = 75;

/** ssh exits with 255 if it cannot connect or the connection breaks. `qm` does too, when one of its tasks fails. */
const NOT_REACHED = 255;
const ENDED_WITH_255 = 254;
const TRANSLATED = ['sh', '-c', `"$@"; c=$?; [ $c -eq ${NOT_REACHED} ] && c=${ENDED_WITH_255}; exit $c`, 'sh'];

const SSH_OPTIONS = [
  ['BatchMode', 'yes'],
  ['ConnectTimeout', '10'],
  ['ServerAliveInterval', '15'],
  ['ServerAliveCountMax', '4'],
].flatMap(([key, value]) => ['-o', `${key}=${value}`]);

/**
 * Runs other programs. `read` changes nothing; `change` is refused while planning. Arguments
 * reach a remote shell quoted, as data.
 */
export class Commands {
  /** True while a plan is applied. */
  changing = false;
  /** What was read with `recent`, until something is changed. */
  private recent = new Map<string, { readonly at: number; readonly output: Output }>();
  private readonly seen = new Set<string>();
  private readonly abort = new AbortController();
  /** What ends the waiting for each program that runs, with the milliseconds that it has to stop. */
  private readonly letGo = new Map<() => void, number>();

  constructor(private readonly log: Log) {}

  /** Ends what runs on this machine; what runs on another one may go on there. @returns the milliseconds that this may take */
  interrupt(): number {
    this.abort.abort();
    for (const [letGo, milliseconds] of this.letGo) setTimeout(letGo, milliseconds).unref();
    return Math.max(STOP_SECONDS * SECOND + LET_GO_MILLISECONDS, ...this.letGo.values());
  }

  async read(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    const question = JSON.stringify([place.name, argv, options.stdin]);
    // An answer that was read during a change belongs to the old map, which is dropped after the change.
    const { recent } = this;
    const known = options.recent ? recent.get(question) : undefined;
    if (known !== undefined && Date.now() - known.at < RECENT_MILLISECONDS) return known.output;
    await this.settled(place);
    const remote = place.ssh && options.asRoot && place.sudo ? ['sudo', '-n', ...argv] : argv;
    const output = await this.run(place, remote, argv, { seconds: 60, ...options });
    if (options.recent) recent.set(question, { at: Date.now(), output });
    return output;
  }

  async change(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    if (!this.changing) throw new Error(`a plan may not change anything, but wants ${argv.join(' ')}`);
    const all = { seconds: 600, ...options };
    const wait = Math.min(LOCK_SECONDS, all.seconds - LOCK_MARGIN_SECONDS);
    // --close: a program that stays, as the kvm of `qm start` does, must not inherit the lock and hold it while it runs.
    const locked = ['flock', '--close', '-w', String(wait), '-E', String(LOCK_IS_HELD), LOCK, ...argv];
    const remote = place.ssh ? [...(place.sudo ? ['sudo', '-n'] : []), ...locked] : argv;
    try {
      return await this.run(place, remote, argv, all);
    } finally {
      this.recent = new Map();
    }
  }

  /** A script of scripts/remote/, which reads and prints what it found. */
  readScript(place: Target, name: string, args: readonly string[] = [], options: CommandOptions = {}): Promise<Output> {
    return this.read(place, ['bash', '-s', '--', ...args], { ...options, stdin: script(name) });
  }

  /** A script of scripts/remote/ that changes what it runs on. */
  changeScript(
    place: Target,
    name: string,
    args: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<Output> {
    return this.change(place, ['bash', '-s', '--', ...args], { ...options, stdin: script(name) });
  }

  /** Gives the terminal to a program on this machine. @returns its exit code */
  async attached([program, ...args]: readonly string[]): Promise<number> {
    const { execa } = await import('execa');
    const { exitCode } = await execa(program!, args, { stdio: 'inherit', reject: false });
    return exitCode ?? 1;
  }

  /** Before the first look at a machine: waits until no command of an earlier, interrupted run works there any more. */
  private async settled(place: Target): Promise<void> {
    if (!place.ssh || this.seen.has(place.name)) return;
    const lock = (how: readonly string[], options: CommandOptions) => {
      const argv = ['flock', ...how, '-E', String(LOCK_IS_HELD), LOCK, 'true'];
      return this.run(place, [...(place.sudo ? ['sudo', '-n'] : []), ...argv], argv, options);
    };
    if ((await lock(['-n'], { accepts: [0, LOCK_IS_HELD] })).code === LOCK_IS_HELD) {
      const waitsFor = `a command that an earlier run started on ${place.name}`;
      console.error(`waiting for ${waitsFor} (at most ${LOCK_SECONDS} s)`);
      await lock(['-w', String(LOCK_SECONDS)], { seconds: LOCK_SECONDS + 30, waitsFor });
    }
    this.seen.add(place.name);
  }

  private async run(
    place: Target,
    argv: readonly string[],
    shown: readonly string[],
    {
      stdin,
      stdinFile,
      sent,
      told,
      seconds = 60,
      waitsFor,
      accepts = [0],
      env,
      stopSeconds = STOP_SECONDS,
    }: CommandOptions,
  ): Promise<Output> {
    const zero = argv.find((argument) => argument.includes('\0'));
    if (zero !== undefined) throw new Blocked(`an argument must not hold the character NUL: ${JSON.stringify(zero)}`);
    const [program, ...args] = place.ssh
      ? [
          'ssh',
          ...SSH_OPTIONS,
          ...(place.ssh.options ?? []),
          `${place.ssh.user}@${place.ssh.address}`,
          '--',
          [...TRANSLATED, ...argv].map(quoted).join(' '),
        ]
      : argv;
    const { execa } = await import('execa');
    const begin = Date.now();
    const file = stdinFile === undefined ? undefined : fs.createReadStream(stdinFile);
    const running = execa(program!, args, {
      input: file ?? stdin ?? '',
      timeout: seconds * SECOND,
      forceKillAfterDelay: stopSeconds * SECOND,
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 64 * 1024 ** 2,
      cancelSignal: this.abort.signal,
      env: env ?? {},
    });
    const letGo = () => {
      running.stdout.destroy();
      running.stderr.destroy();
    };
    const untilLetGo = stopSeconds * SECOND + LET_GO_MILLISECONDS;
    this.letGo.set(letGo, untilLetGo);
    const late = setTimeout(letGo, seconds * SECOND + untilLetGo);
    const telling = setInterval(() => file && sent?.(file.bytesRead), SENT_MILLISECONDS);
    if (told !== undefined) running.stdout.on('data', (chunk: unknown) => told(String(chunk)));
    const result = await running;
    clearTimeout(late);
    clearInterval(telling);
    file?.destroy();
    this.letGo.delete(letGo);
    const what = `${place.name}: ${short(shown)}`;
    const code = result.exitCode ?? -1;
    this.log.line(`${what} -> ${result.timedOut ? 'no end' : code} (${Date.now() - begin} ms)`);
    if (this.abort.signal.aborted) throw new Interrupted();
    const output = { stdout: result.stdout, stderr: result.stderr, code };
    if (result.timedOut)
      throw this.failed(
        output,
        `${what} did not end within ${seconds} s${waitsFor ? `, waiting for ${waitsFor}` : ''}`,
      );
    if (result.code === 'ENOENT') {
      this.log.line(`  ${program} is not installed`);
      throw new ProgramMissing(program!, output);
    }
    if (accepts.includes(code)) return output;
    if (place.ssh && code === LOCK_IS_HELD)
      throw this.failed(output, `an earlier command of ours still runs on ${place.name}; try again after it ended`);
    if (place.ssh && code === NOT_REACHED)
      throw this.failed(output, `${place.name} (${place.ssh.address}) cannot be reached: ${said(output)}`);
    throw this.failed(output, `${what} ended with ${code}: ${said(output)}`);
  }

  private failed(output: Output, message: string): CommandFailed {
    const clean = this.log.masked(message);
    this.log.line(`  ${clean}`);
    return new CommandFailed(output, clean);
  }
}

function short(argv: readonly string[]): string {
  const text = argv.map(quoted).join(' ').replace(/\n/g, '\\n');
  return text.length > 300 ? `${text.slice(0, 300)} …` : text;
}

/** The last lines of what a command said. */
function said({ stdout, stderr }: Output): string {
  return (stderr.trim() || stdout.trim()).split('\n').slice(-6).join('\n') || 'it printed nothing';
}

/** The text of a script of scripts/remote/. */
export function script(name: string): string {
  return fs.readFileSync(join(__dirname, '..', 'remote', name), 'utf8');
}
