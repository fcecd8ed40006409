import type { ProgramCommand } from '../program';

/** Flags of the command line. Each command reads the flags that it supports. */
export interface ModelFlags {
  /** Prints JSON for programs. */
  readonly json: boolean;
  /** try: serves the base model. */
  readonly base: boolean;
  /** try: serves the trained model before quantization. */
  readonly fused: boolean;
  /** compare: writes an HTML page to the file in the last argument. */
  readonly html: boolean;
}

export type ModelCommand = ProgramCommand<ModelFlags>;
