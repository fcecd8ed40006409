import * as fs from 'node:fs';
import { join } from 'node:path';
import type { App } from 'cdk8s';
import { DeclaredSecret } from '../../constructs';
import type { PlanOptions } from '../plan-app';
import { render } from '../rendering';
import { documents } from './documents';
import { planStep } from './index';
import { SECRETS_FILE, secretsIn } from './objects';
import type { Plan } from './plan';
import { renderedState } from './rendered';
import type { Placed, State } from './step';

/** @see planApp of the public surface, which loads this file */
export function planOfApp(app: App, baseFolder: string, { accept, kubernetes }: PlanOptions = {}): Plan {
  const before = stateBelow(baseFolder);
  const rendering = render(app);
  const declared = DeclaredSecret.all(app).map(({ name, namespaces }) => ({ name, namespaces, keys: [] }));
  const after = renderedState(rendering, declared);
  // An app with another layout of files has no list of secrets, so removed secrets are not reported.
  const secrets = before.secrets.length > 0 ? before.secrets : after.secrets;
  const step = { before: { ...inFoldersOf(after, before), secrets }, after, accept, kubernetes };
  return planStep(step, baseFolder);
}

function stateBelow(folder: string): State {
  if (!fs.existsSync(folder))
    throw new Error(`planApp needs a folder of manifests to compare with, got ${folder}, which does not exist`);
  const files = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ya?ml|json)$/.test(file) && fs.statSync(join(folder, file)).isFile())
    .map((file) => file.replaceAll('\\', '/'))
    .sort();
  const read = (file: string) => {
    const found = documents(fs.readFileSync(join(folder, file), 'utf8'));
    if (found === undefined)
      throw new Error(`planApp cannot read ${join(folder, file)}: it must hold Kubernetes objects as YAML or JSON`);
    return found;
  };
  const objects = files
    .filter((file) => file !== SECRETS_FILE)
    .flatMap((file) =>
      read(file)
        .filter(({ kind, metadata }) => kind && metadata?.name)
        .map((object): Placed => ({
          folder: file.includes('/') ? file.slice(0, file.indexOf('/')) : '.',
          file,
          object,
        })),
    );
  const secrets = files.filter((file) => file === SECRETS_FILE).flatMap((file) => read(file).flatMap(secretsIn));
  return { objects, secrets };
}

/** If the base has no folders of charts, as with one file for each chart, an object keeps its rendered folder. */
function inFoldersOf(after: State, before: State): State {
  const folders = new Set(after.objects.map(({ folder }) => folder));
  if (before.objects.some(({ folder }) => folders.has(folder))) return before;
  const first = [...folders][0] ?? '.';
  const now = new Map(after.objects.map(({ folder, object }) => [key(object), folder]));
  return {
    ...before,
    objects: before.objects.map((placed) => ({ ...placed, folder: now.get(key(placed.object)) ?? first })),
  };
}

function key({ kind, metadata }: Placed['object']): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}
