import type { NamedSecret } from '../finding';
import type { Rendering } from '../rendering';
import { secretsIn } from './objects';
import type { State } from './step';

/** What was rendered, as the second state of a step. */
export function renderedState(rendering: Rendering, secrets: readonly NamedSecret[] = []): State {
  return {
    objects: rendering.map(({ chart, file, object }) => ({ folder: chart, file, object })),
    secrets: secretsIn({ secrets }),
  };
}
