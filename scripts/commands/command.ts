import type { ProgramCommand } from '../program';

export interface CommandLine {
  readonly json: boolean;
}

export type Command = ProgramCommand<CommandLine>;
