import { isDeepStrictEqual } from 'node:util';
import { ProgramMissing } from './commands';
import { NotReady, Blocked } from './problem';

/** What a step would do. */
export interface Change {
  /** For the plan, one line each: `memory: 20480 -> 22528`, or the command. */
  readonly lines: readonly string[];
  /** What the owner must agree to by itself, besides the plan as a whole: `the host reboots; every machine on it stops`. */
  readonly asks?: readonly string[];
  /** What only the owner knows, as the questions that apply() will put to `ask.secret`: asked before anything is done. */
  readonly secrets?: readonly string[];
}

/** One thing that a stage brings about. */
export interface Step {
  /** What is so when it is done: `VM 201 is there`. */
  readonly title: string;
  /**
   * What is missing to that, or undefined. Changes nothing.
   * @throws Stop when the owner must act first, Later when an earlier step of this stage must
   */
  plan(): Promise<Change | undefined>;
  /** Brings it about. Killed at any point, a further look() and apply() finish it. `say` tells what it waits for. */
  apply(change: Change, progress: (what: string) => void): Promise<void>;
}

/** A part of the way from bare machines to the homelab. Its steps run in order. */
export interface Stage {
  readonly name: string;
  /** What it does, in a few words. */
  readonly title: string;
  /** Reads what is needed to say which steps there are. */
  steps(): Promise<readonly Step[]>;
}

export interface PlannedStep {
  readonly step: Step;
  /** None: it can only be seen once the steps before it are done, or `needs` is there. */
  readonly change?: Change;
  /** The program that must be installed here before it can be seen. */
  readonly needs?: string;
}

/**
 * What a stage would do now. With `partly`, a program that is not installed here hides only the steps that need it.
 * @throws Stop before anything was changed
 */
export async function planStage(stage: Stage, partly = false): Promise<readonly PlannedStep[]> {
  const planned: PlannedStep[] = [];
  for (const step of await stage.steps()) {
    try {
      const change = await step.plan();
      if (change !== undefined) planned.push({ step, change });
    } catch (error) {
      if (partly && error instanceof ProgramMissing) planned.push({ step, needs: error.program });
      else if (error instanceof NotReady && planned.length > 0) planned.push({ step });
      else throw error;
    }
  }
  return planned;
}

/**
 * Carries out one step of a plan: only what the plan showed, and only if it is still missing.
 * @returns whether something was changed
 */
export async function execute(
  { step, change: planned }: PlannedStep,
  progress: (what: string) => void,
): Promise<boolean> {
  const change = await step.plan();
  if (change === undefined) return false;
  if (planned !== undefined && !isDeepStrictEqual(change, planned))
    throw new Blocked(
      `${step.title}: what is to be done is no longer what the plan showed\nplanned: ${planned.lines.join('; ')}\nnow: ${change.lines.join('; ')}\nrun the plan again`,
    );
  await step.apply(change, progress);
  const left = await step.plan();
  if (left !== undefined)
    throw new Blocked(`${step.title}: was done, and still there is to do: ${left.lines.join('; ')}`);
  return true;
}
