import type { Rendering } from '../../../checks';
import { dataRisks } from '../../../checks/step/data';
import type { Manifest } from '../../../checks/step/objects';
import { renderedState } from '../../../checks/step/rendered';
import type { Risk } from '../../../checks/step/plan';
import { pairs, type State, type Step } from '../../../checks/step/step';
import { renderedHomelab } from '../../homelab';

type Change = (homelab: any) => void;

const base = renderedHomelab();

/** From the homelab of tests to a changed one, or between two changed ones. */
export function homelabStep(after: Change, before?: Change): Step {
  return {
    before: renderedState(before ? renderedHomelab(before) : base),
    after: renderedState(renderedHomelab(after)),
  };
}

/** From the objects of the homelab of tests to those after an edit of each. */
export function editStep(edit: (object: any, all: readonly any[]) => Manifest | undefined): Step {
  const all = base.map(({ object }) => structuredClone(object));
  const edited: Rendering = base.flatMap((each, at) => {
    const object = edit(all[at], all);
    return object ? [{ ...each, object }] : [];
  });
  return { before: renderedState(base), after: renderedState(edited) };
}

/** A step of plain objects, all in one folder unless they say another. */
export function plainStep(before: readonly Manifest[], after: readonly Manifest[]): Step {
  const state = (objects: readonly Manifest[]): State => ({
    objects: objects.map((object, at) => ({ folder: object.folder ?? 'apps', file: `apps/${at}.yaml`, object })),
    secrets: [],
  });
  return { before: state(before), after: state(after) };
}

export function risksOf(step: Step): Risk[] {
  return dataRisks(step, pairs(step));
}

/** As "cassandra.racks: r1, r2 -> r1". */
export function told(step: Step): string[] {
  return risksOf(step).map(({ what, from, to }) => `${what}: ${from} -> ${to}`);
}
