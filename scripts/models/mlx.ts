import type { Context } from '../clients/context';
import { json } from '../engine/json';
import type { Greedy } from './equality';
import { runPython } from './python';

/** Time to read a model from the disk and to generate a few thousand tokens with it. */
const ANSWER_SECONDS = 3600;
const FUSE_SECONDS = 3600;
/** Number of modules whose weights are compared, spread over kinds and layers. */
const SAMPLES = 12;

export interface Asked {
  readonly prompt: string;
  readonly tokens: number;
}

/** Runs MLX through the scripts in scripts/models/python/. */
export class Mlx {
  constructor(
    private readonly context: Pick<Context, 'commands'>,
    /** Path of Python in the virtual environment. */
    private readonly python: string,
  ) {}

  /** Writes base and adapter as one model in f16. */
  async fuse(base: string, adapter: string, target: string): Promise<void> {
    await runPython(this.context, this.python, 'fuse.py', { base, adapter, target }, FUSE_SECONDS);
  }

  /** Share of the trained change that the fused weights contain, by module. */
  async effect(
    base: string,
    adapter: string,
    fused: string,
    scale: number,
  ): Promise<Readonly<Record<string, number | null>>> {
    const input = { base, adapter, fused, scale, samples: SAMPLES };
    const { stdout } = await runPython(this.context, this.python, 'effect.py', input, FUSE_SECONDS);
    return json(stdout, 'effect.py');
  }

  /** Greedy answers, in the order of the prompts. */
  async greedy(
    model: string,
    {
      adapter,
      system,
      prompts,
    }: { readonly adapter?: string; readonly system?: string; readonly prompts: readonly Asked[] },
  ): Promise<Greedy[]> {
    const input = { model, adapter, system, prompts };
    const { stdout } = await runPython(this.context, this.python, 'greedy.py', input, ANSWER_SECONDS);
    return stdout
      .trim()
      .split('\n')
      .map((line) => json(line, 'greedy.py'));
  }
}
