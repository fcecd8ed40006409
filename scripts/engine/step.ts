import { isDeepStrictEqual } from 'node:util';
import { ProgramMissing } from './commands';
import { NotReady, Blocked } from './problem';

/** Prints what a running change waits for. */
export type Progress = (what: string) => void;

/**
 * One call that a change makes: the plan prints its lines, and apply runs it. Both come from one object, so that apply cannot
 * do something else than the plan showed.
 */
export interface Action {
  /** For the plan: the command, the file or the API call, as it will be made. A secret never stands here. */
  readonly lines: readonly string[];
  run(progress: Progress): Promise<void>;
}

/** What a step would do. */
export interface Change {
  /** Why, or what differs, one line each: `memory: 20480 -> 22528`. The actions stand below them. @default none */
  readonly lines?: readonly string[];
  /** What apply runs, in this order. Killed at any point, a further plan and apply finish it. */
  readonly actions: readonly Action[];
  /** What the owner must agree to by itself, besides the plan as a whole: `the host reboots; every machine on it stops`. */
  readonly asks?: readonly string[];
  /** What only the owner knows, as the questions that an action will put to `ask.secret`: asked before anything is done. */
  readonly secrets?: readonly string[];
}

/** Everything that the plan shows of a change. */
export function shownLines({ lines = [], actions }: Change): string[] {
  return [...lines, ...actions.flatMap((action) => action.lines)];
}

/** One part of a stage. */
export interface Step {
  /** The state after it: `VM 201 runs`. */
  readonly title: string;
  /**
   * The changes to that state, or undefined if it is reached. Changes nothing.
   * @throws Blocked when the owner must act first, NotReady when an earlier step of this stage must
   */
  plan(): Promise<Change | undefined>;
}

export function step(title: string, plan: Step['plan']): Step {
  return { title, plan };
}

/** A part of the bootstrap. Its steps run in order. */
export interface Stage {
  readonly name: string;
  /** What it does, in a few words. */
  readonly title: string;
  /** Reads what is needed to say which steps there are. */
  steps(): Promise<readonly Step[]>;
}

export interface PlannedStep {
  readonly step: Step;
  /** Undefined if it can be planned only after earlier steps, or after `needs` is installed. */
  readonly change?: Change;
  /** The program that must be installed here before it can be seen. */
  readonly needs?: string;
}

/**
 * What a stage would do now. With `partly`, a program that is not installed here hides only the steps that need it.
 * @throws Blocked before anything was changed
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
 * Applies one step of a plan: only the changes that the plan showed, and only if they are still missing.
 * @returns whether something was changed
 */
export async function execute({ step, change: planned }: PlannedStep, progress: Progress): Promise<boolean> {
  const change = await step.plan();
  if (change === undefined) return false;
  if (planned !== undefined && !isDeepStrictEqual(comparable(change), comparable(planned)))
    throw new Blocked(
      `${step.title}: the necessary changes differ from the plan that was shown\nplanned: ${shownLines(planned).join('; ')}\nnow: ${shownLines(change).join('; ')}\nrun this again for a new plan`,
    );
  for (const action of change.actions) await action.run(progress);
  const left = await step.plan();
  if (left !== undefined)
    throw new Blocked(`${step.title}: applied, but still differs: ${shownLines(left).join('; ')}`);
  return true;
}

function comparable(change: Change) {
  return { lines: shownLines(change), asks: change.asks, secrets: change.secrets };
}
