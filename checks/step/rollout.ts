import type { ApiChange } from './api-server';
import type { Rollout } from './plan';
import type { Pair, Step } from './step';

/** What controllers do to pods once the API server has taken a change; undefined where no pod is replaced. */
export function rolloutOf(_pair: Pair, _change: ApiChange, _step: Step): Rollout | undefined {
  return undefined;
}
