import { quoted } from '../../values/shell';
import { LOCALHOST, type CommandOptions, type Commands, type Target } from './commands';
import type { Action, Progress } from './step';

/** A command on a machine. @param options as of `Commands.change`; what stands on standard input is not shown */
export function command(commands: Commands, target: Target, argv: readonly string[], options?: CommandOptions): Action {
  return { lines: [shown(target, argv)], run: async () => void (await commands.change(target, argv, options)) };
}

/** A script of scripts/remote/ on a machine. */
export function remoteScript(
  commands: Commands,
  target: Target,
  name: string,
  args: readonly string[] = [],
  options?: CommandOptions,
): Action {
  return {
    lines: [shown(target, [name, ...args])],
    run: async () => void (await commands.changeScript(target, name, args, options)),
  };
}

/** What is neither a command nor a file: an API call, a wait. `lines` say what it does. */
export function action(lines: string | readonly string[], run: (progress: Progress) => Promise<unknown>): Action {
  return { lines: [lines].flat(), run: async (progress) => void (await run(progress)) };
}

/** The machine stands in front, as its commands are the same on each. */
function shown(target: Target, argv: readonly string[]): string {
  const line = argv.map(quoted).join(' ');
  return target === LOCALHOST ? line : `${target.name}: ${line}`;
}
