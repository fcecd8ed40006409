import type { Simulation } from '../simulation';
import type { State } from '../state';

/** Where a program runs: under the program under test, on the Proxmox host, or on an Ubuntu VM. */
export type Kind = 'local' | 'proxmox' | 'ubuntu';

/** One call of a simulated or passed-through program, in the order in which they began. */
export interface Call {
  readonly machine: string;
  readonly program: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  /** What it was given, as far as it read it. */
  stdin?: string;
  /** Whether it changed state or files. */
  changing?: boolean;
  /** Absent until it has ended, and for ever when it was killed before. */
  code?: number;
  /** What the program said: for tests that failed. */
  said?: string;
  intercepted?: Interception;
}

/** What a test does to a call; Simulation.intercept says what each means. */
export type Interception = 'before' | 'during' | 'after' | 'fail' | 'hang' | 'nonsense';

export interface Answer {
  readonly stdout?: string | Buffer;
  readonly stderr?: string;
  /** @default 0 */
  readonly code?: number;
  /** Whether a program stays behind, which has inherited the open files of this one but its input and output. */
  readonly leaves?: boolean;
}

/** The shim runs a real program in its own place. */
export interface Exec {
  readonly exec: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Context {
  readonly simulation: Simulation;
  readonly state: State;
  readonly call: Call;
  /** What the program is given, to its end. Only a program that asks is given something. */
  stdin(): Promise<Buffer>;
  /** The same in pieces, as they come. */
  onInput(data: (chunk: Buffer) => void, end: () => void): void;
  /** What the program says before it ends. */
  write(text: { readonly stdout?: string | Buffer; readonly stderr?: string | Buffer }): void;
  /** Where a path of the machine really is. */
  path(path: string): string;
  /** A file that the program was given by name, /dev/stdin and /dev/fd/N included. @throws Failure in the words of Go */
  read(path: string): Promise<Buffer>;
}

/** What a program does. Text is its output; a Failure that it throws is its end with an error. */
export type Handler = (context: Context) => Promise<Outcome> | Outcome;

export type Outcome = Answer | Exec | string | undefined;

export interface Program {
  readonly kinds: readonly Kind[];
  readonly names: readonly string[];
  readonly run: Handler;
  /** The look of things while a long call goes on that was cut off: changes state, and is followed by `run`. */
  readonly underway?: (context: Context) => void;
  /** Whether a call of it goes to a real program, which runs in the place of the shim and dies with it. */
  readonly isReal?: (call: Call) => boolean;
}

export function program(
  kinds: readonly Kind[],
  names: readonly string[],
  run: Handler,
  underway?: Program['underway'],
): Program {
  return { kinds, names, run, ...(underway && { underway }) };
}

/** The end of a program with an error. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly code = 1,
  ) {
    super(message);
  }
}

/** Something that the simulation does not know: the program ends with 127, and the test sees it in `unexpected`. */
export class Unexpected extends Error {}
