import { NotReady } from '../../engine/problem';
import type { Step } from '../../engine/step';

/** Whether a login works by now: set by the first step of the stage, so that the others need not try again. */
export interface Seen {
  up: boolean;
}

/** A step that needs a login. */
export function whenUp(seen: Seen, name: string, step: Step): Step {
  return {
    ...step,
    plan() {
      if (!seen.up) throw new NotReady(`${name} has not been started for the first time yet`);
      return step.plan();
    },
  };
}
