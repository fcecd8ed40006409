import type { Context } from '../clients/context';

export interface Command {
  /** What it takes, as [STAGE]. */
  readonly usage: string;
  /** What it does, in a few words. */
  readonly what: string;
  /** @returns the exit code */
  run(context: Context, args: readonly string[], options: CommandLine): Promise<number>;
}

export interface CommandLine {
  readonly json: boolean;
}
