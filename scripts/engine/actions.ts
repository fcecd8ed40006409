import { quoted } from '../../machines/shell';
import { LOCALHOST, type CommandOptions, type Commands, type Output, type Target } from './commands';
import type { Action, Progress } from './step';

/** A command on a machine. @param options as of `Commands.change`; what stands on standard input is not shown */
export function command(commands: Commands, target: Target, argv: readonly string[], options?: CommandOptions): Action {
  return running(shown(target, argv), options, () => commands.change(target, argv, options));
}

/** A script of scripts/remote/ on a machine. @param then takes what it printed */
export function remoteScript(
  commands: Commands,
  target: Target,
  name: string,
  args: readonly string[] = [],
  options?: CommandOptions,
  then?: (output: Output) => void,
): Action {
  return running(shown(target, [name, ...args]), options, async () => {
    const output = await commands.changeScript(target, name, args, options);
    then?.(output);
  });
}

function running(line: string, options: CommandOptions | undefined, run: () => Promise<unknown>): Action {
  return action(line, async (progress) => {
    if (options?.waitsFor !== undefined) progress(`waiting for ${options.waitsFor}`);
    await run();
  });
}

/** An action that is neither a command nor a file: an API call or a wait. The plan shows `lines`. */
export function action(lines: string | readonly string[], run: (progress: Progress) => Promise<unknown>): Action {
  return { lines: [lines].flat(), run: async (progress) => void (await run(progress)) };
}

/** The machine stands in front, as its commands are the same on each. */
function shown(target: Target, argv: readonly string[]): string {
  const line = argv.map(quoted).join(' ');
  return target === LOCALHOST ? line : `${target.name}: ${line}`;
}
