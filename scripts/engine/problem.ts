/** Ends a command with a sentence for the owner. Everything else that is thrown is a fault of ours. */
export class Problem extends Error {}

/**
 * The state of a machine, a file or the owner's answer blocks the next step. This step changed nothing;
 * the sentence says the problem, the value and the fix.
 */
export class Blocked extends Problem {}

/** It cannot be seen yet, because an earlier step of the same plan must come first. */
export class NotReady extends Problem {}

/** What was waited for did not come. */
export class TimedOut extends Problem {}

/** The owner said no, or could not be asked. */
export class Declined extends Problem {}

/** Ctrl-C. What runs on another machine goes on there, and the next run waits for it. */
export class Interrupted extends Problem {
  constructor() {
    super('stopped; the next run continues from here');
  }
}

/** Whether something that was looked at is not as it should be: the other looks go on. */
export function isFault(error: unknown): error is Problem {
  return error instanceof Problem && !(error instanceof Interrupted);
}

/** The command line asks for what there is not. */
export class Usage extends Problem {}

/** Exit codes, which docs/bootstrap.md lists. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, stopped: 4, interrupted: 130 } as const;
