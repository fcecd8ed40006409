import { homelabApp } from '../../../charts';
import { secretsIn, type Manifest } from '../../../checks/step/objects';
import type { State, Step } from '../../../checks/step/step';
import { DeclaredSecret } from '../../../constructs';
import { defineHomelab, type Homelab } from '../../../inventory';
import { machineFiles } from '../../../machines';
import { render } from '../../../synth';
import { changed } from '../../homelab';

/** A change of the homelab of tests, as an owner writes it. */
export type Change = (homelab: any) => void;

/** The output of synth for a changed homelab: objects, secrets, files of machines. */
export function stateOf(change: Change = () => undefined): State & { readonly homelab: Homelab } {
  const homelab = defineHomelab(changed(change) as Homelab);
  const app = homelabApp(homelab);
  const objects = render(app).map(({ file, object }) => ({ folder: file.split('/')[0]!, file, object }));
  const secrets = secretsIn({ secrets: DeclaredSecret.all(app) });
  return { objects, secrets, machines: machineFiles(homelab), homelab };
}

/** A step that edits some objects. Removes an object whose edit returns false. */
export function edited(
  state: State,
  edit: (object: any) => unknown,
  more: readonly Manifest[] = [],
  folder = 'services',
): Step {
  const objects = state.objects.flatMap((placed) => {
    const object = structuredClone(placed.object);
    return edit(object) === false ? [] : [{ ...placed, object }];
  });
  const added = more.map((object) => ({
    folder,
    file: `${folder}/${object.kind}.${object.metadata.name}.yaml`,
    object,
  }));
  return { before: state, after: { ...state, objects: [...objects, ...added] } };
}

/** A step of plain objects. */
export function plain(before: readonly Manifest[], after: readonly Manifest[]): Step {
  const state = (all: readonly Manifest[]): State => ({
    objects: all.map((object, index) => ({ folder: 'apps', file: `apps/${index}.yaml`, object })),
    secrets: [],
  });
  return { before: state(before), after: state(after) };
}
