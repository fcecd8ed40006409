import type { Context } from '../engine/context';
import { machineFiles } from '../machines';
import { writeRendered } from '../engine/rendered';
import { EXIT } from '../engine/problem';
import { applyStages, planStages } from './plan';

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

/** The commands by name, one file each. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  plan: { usage: '[STAGE]', what: 'shows what would change, and changes nothing (default)', run: planStages },
  apply: { usage: '[STAGE]', what: 'shows it, asks, and does exactly that', run: applyStages },
  render: {
    usage: '',
    what: 'writes what machines are told to scripts/rendered/; npm run synth does it too',
    async run({ homelab }) {
      writeRendered(machineFiles(homelab));
      return EXIT.done;
    },
  },
};
