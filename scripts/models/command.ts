import type { ProgramCommand } from '../program';

/** Flags of the command line; a command reads those that it knows. */
export interface ModelFlags {
  /** For a program that reads the answer. */
  readonly json: boolean;
  /** try: the model that training starts from. */
  readonly base: boolean;
  /** try: the trained model before its quantization. */
  readonly fused: boolean;
  /** compare: a page, into the file that is named last. */
  readonly html: boolean;
}

export type ModelCommand = ProgramCommand<ModelFlags>;
