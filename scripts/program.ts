import { parseArgs } from 'node:util';
import { HomelabError } from '../inventory';
import { context, type Context } from './clients/context';
import { terminal } from './engine/ask';
import { Blocked, Declined, EXIT, Interrupted, Problem, Usage } from './engine/problem';

/** A command of a program, with the flags that the program takes. */
export interface ProgramCommand<Flags> {
  /** What it takes, as [STAGE]. */
  readonly usage: string;
  /** What it does, in a few words. */
  readonly what: string;
  /** @returns the exit code */
  run(context: Context, args: readonly string[], flags: Flags): Promise<number>;
}

/** `npm run NAME -- COMMAND`. */
export interface Program<Flags extends Readonly<Record<keyof Flags, boolean>>> {
  readonly name: string;
  readonly commands: Readonly<Record<string, ProgramCommand<Flags>>>;
  /** Command that runs when none is given. @default the usage is printed */
  readonly otherwise?: string;
  /** Flags beside --yes, --name=NAME and --help, all off. */
  readonly flags: Flags;
  /** Lines of the usage after the commands. */
  readonly notes: readonly string[];
  /** What Ctrl-C says. */
  readonly stopping: string;
}

const SAME_KEY_MILLISECONDS = 500;

/** Runs the command that the command line names, and sets the exit code. */
export function runProgram<Flags extends Readonly<Record<keyof Flags, boolean>>>(program: Program<Flags>): void {
  main(program).then(
    (code) => {
      process.exitCode = code;
    },
    (error: Error & { code?: string }) => {
      const isUsage = error instanceof Usage || error.code?.startsWith('ERR_PARSE_ARGS');
      console.error(
        error instanceof Problem || error instanceof HomelabError || isUsage ? `\n${error.message}` : error,
      );
      process.exitCode = isUsage ? EXIT.usage : exitCode(error);
    },
  );
}

async function main<Flags extends Readonly<Record<keyof Flags, boolean>>>(program: Program<Flags>): Promise<number> {
  const flags = Object.fromEntries(Object.keys(program.flags).map((flag) => [flag, { type: 'boolean' as const }]));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...flags,
      yes: { type: 'boolean', default: false },
      name: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  const [name = program.otherwise, ...args] = positionals;
  if (values.help) {
    console.log(usageOf(program));
    return EXIT.done;
  }
  if (name === undefined) throw new Usage(usageOf(program));
  const command = program.commands[name];
  if (command === undefined) throw new Usage(`no command ${name}\n${usageOf(program)}`);
  const { default: homelab } = await import('../homelab');
  const here = context(homelab, terminal(values.yes, new Set(values.name)));
  stopOnSignals(here, program.stopping);
  here.log.line(`== ${name} ${args.join(' ')}`);
  try {
    return await command.run(here, args, { ...program.flags, ...values });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { message, stack = '' } = error;
    throw Object.assign(error, { message: here.log.masked(message), stack: here.log.masked(stack) });
  }
}

function stopOnSignals({ commands }: Context, message: string): void {
  let stopping: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    // Not once(): with its listener gone, those that end child processes would end this one by the signal.
    process.on(signal, () => {
      // npm passes on what the terminal has told this program already.
      if (stopping !== undefined && Date.now() - stopping < SAME_KEY_MILLISECONDS) return;
      if (stopping !== undefined) process.exit(EXIT.interrupted);
      stopping = Date.now();
      console.error(`\nstopping; ${message}`);
      setTimeout(() => process.exit(EXIT.interrupted), commands.interrupt()).unref();
    });
}

function usageOf<Flags extends Readonly<Record<keyof Flags, boolean>>>({ name, commands, notes }: Program<Flags>) {
  return [
    `npm run ${name} -- COMMAND`,
    ...Object.entries(commands).map(([each, { usage, what }]) => `  ${`${each} ${usage}`.padEnd(26)} ${what}`),
    ...notes,
    'exit codes: 0 done, 1 failed, 2 wrong usage, 3 declined, 4 stopped until the owner acts, 130 interrupted',
  ].join('\n');
}

function exitCode(error: Error): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof Declined) return EXIT.refused;
  return error instanceof Blocked || error instanceof HomelabError ? EXIT.stopped : EXIT.failed;
}
