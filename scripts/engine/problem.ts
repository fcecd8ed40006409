/** Ends a command with a message for the owner. Any other error is a bug. */
export class Problem extends Error {}

/**
 * The state of a machine, a file or the owner's answer blocks the next step. This step changed nothing;
 * the sentence says the problem, the value and the fix.
 */
export class Blocked extends Problem {}

/** It cannot be seen yet, because an earlier step of the same plan must come first. */
export class NotReady extends Problem {}

/** A wait ended without result. */
export class TimedOut extends Problem {}

/** The owner said no, or could not be asked. */
export class Declined extends Problem {}

/** Ctrl-C. Commands on other machines continue, and the next run waits for them. */
export class Interrupted extends Problem {
  constructor() {
    super('stopped; the next run continues from here');
  }
}

/** Whether something that was looked at is not as it should be: the other looks go on. */
export function isFault(error: unknown): error is Problem {
  return error instanceof Problem && !(error instanceof Interrupted);
}

/** Wrong usage of the command line. */
export class Usage extends Problem {}

/** Exit codes, which docs/bootstrap.md lists. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, stopped: 4, interrupted: 130 } as const;
