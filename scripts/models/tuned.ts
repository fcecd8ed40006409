import { isTuned, type Homelab, type TunedModel } from '../../inventory';
import { Usage } from '../engine/problem';

/** Fix for a homelab without a model that is trained here. */
export const DECLARE = 'add one to llm.models: NAME: { base, training, context }, as docs/models.md shows';

/** The models of a homelab that are trained here, by name. */
export function tunedModels({ llm }: Homelab): [string, TunedModel][] {
  return Object.entries(llm?.models ?? {}).filter((entry): entry is [string, TunedModel] => isTuned(entry[1]));
}

/** The model that a command line names. @throws Usage unless it is a model that is trained here */
export function tunedModel(homelab: Homelab, [name, ...others]: readonly string[]): readonly [string, TunedModel] {
  const all = tunedModels(homelab);
  const names = all.map(([each]) => each).join(', ');
  const found = all.find(([each]) => each === name);
  if (found !== undefined && others.length === 0) return found;
  if (all.length === 0) throw new Usage(`homelab.ts has no model to train:\n  ${DECLARE}`);
  if (name === undefined || found !== undefined) throw new Usage(`name one model (allowed: ${names})`);
  throw new Usage(`${name} is not a model that is trained here (allowed: ${names})`);
}
