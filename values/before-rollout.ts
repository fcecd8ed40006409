import type { Duration } from 'cdk8s';
import { fieldsProblem, seconds, wholeNumber } from './fields';
import { imageProblem } from './names';
import { argsProblem, commandProblem } from './processes';

/**
 * A job that runs to its end before new pods start, such as migrations of a schema: once for each change of the image, the
 * variables, the files or the command. It has the variables, secrets, files and connections of the service. If it fails, the old
 * pods stay, and each later change runs it again: it must be safe to run twice.
 */
export interface BeforeRollout {
  /** Its command; no shell splits it. */
  readonly command: readonly string[];
  /** @default none */
  readonly args?: readonly string[];
  /** @default the image of the service */
  readonly image?: string;
  /** It has failed after this time, all tries together: 10 seconds to 1 day. @default 15 minutes, so that a lock that never comes ends */
  readonly deadline?: Duration;
  /** How often a failed try is repeated, 0 to 10. @default 2 */
  readonly retries?: number;
}

/** What is wrong with a job before a rollout, as a sentence, or undefined. */
export function beforeRolloutProblem(value: unknown, what: string): string | undefined {
  const fields = {
    command: commandProblem,
    args: argsProblem,
    image: imageProblem,
    deadline: seconds(10, 86_400, 'Duration.minutes(15)'),
    retries: wholeNumber(0, 10),
  };
  return fieldsProblem<BeforeRollout>(value, what, fields, ['command']);
}
