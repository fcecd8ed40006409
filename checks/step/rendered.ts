import type { NamedSecret } from '../finding';
import type { Rendering } from '../rendering';
import { secretsIn } from './objects';
import type { State } from './step';

/** The rendering as the new state of a step. */
export function renderedState(rendering: Rendering, secrets: readonly NamedSecret[] = []): State {
  return {
    objects: rendering.map(({ chart, file, object }) => ({ folder: chart, file, object })),
    secrets: secretsIn({ secrets }),
  };
}
