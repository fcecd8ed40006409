import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { FIELD_MANAGER } from '../scripts/secrets/live';
import { identity, isKept, secretsIn } from '../checks/step/objects';
import { LEFTOVERS, removalCommands } from '../synth/leftovers';
import { MANAGED_BY_LABEL } from '../values/labels';
import { flag, runKubectl } from './kubectl';

type Manifest = Readonly<Record<string, any>>;

/** Kinds whose objects Argo CD is told to keep. Claims belong to the volumes that name them. */
const KINDS = [
  'namespaces',
  'persistentvolumes',
  'storageclasses',
  'networkpolicies',
  'limitranges',
  'resourcequotas',
  'configmaps',
  'applications.argoproj.io',
  'appprojects.argoproj.io',
];

/**
 * Prints the commands that remove objects that Argo CD was told to keep, and secrets of the bootstrap, that dist/ no longer has.
 * It asks the cluster, so it finds them at any time until they are removed.
 */
export async function leftovers(args: readonly string[], dist = 'dist'): Promise<void> {
  if (!fs.existsSync(dist))
    throw new Error('leftovers needs dist/ to compare the cluster with, got none; npm run synth');
  const commands = leftoverCommands(dist, flag(args, 'kubeconfig'));
  if (commands.length === 0)
    return console.log(
      'nothing is left over: dist/ has every object that Argo CD keeps and every secret of the bootstrap',
    );
  console.log([LEFTOVERS, ...commands.map((command) => `  ${command}`)].join('\n'));
}

/** Commands that remove what is left over in the cluster. */
export function leftoverCommands(dist: string, kubeconfig?: string): string[] {
  const ask = (...words: string[]) => runKubectl('leftovers', kubeconfig, ['get', ...words, '--all-namespaces']);
  const { items } = JSON.parse(ask(KINDS.join(','), '-o', 'json'));
  // Names only: no value is read. Argo CD's login for the repository is in no list.
  const ours = `${MANAGED_BY_LABEL}=${FIELD_MANAGER},!argocd.argoproj.io/secret-type`;
  const columns = 'custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name';
  const made = ask('secrets', '-l', ours, '--no-headers', '-o', columns)
    .split('\n')
    .flatMap((line) => {
      const [namespace, name] = line.trim().split(/\s+/);
      return name === undefined ? [] : [{ namespaces: [namespace], name }];
    });
  const declared = new Set(secretsIn(parse(fs.readFileSync(join(dist, 'secrets.yaml'), 'utf8'))).map(identity));
  const secrets = secretsIn({ secrets: made }).filter((secret) => !declared.has(identity(secret)));
  return removalCommands([...leftIn(items, renderedIn(dist)), ...secrets]);
}

/** Objects that Argo CD deployed and keeps, and that are no longer rendered. */
export function leftIn(live: readonly Manifest[], rendered: readonly Manifest[]): Manifest[] {
  const still = new Set(rendered.map(identity));
  return live.filter(
    (object) =>
      isKept(object) &&
      object.metadata.annotations['argocd.argoproj.io/tracking-id'] !== undefined &&
      object.metadata.deletionTimestamp === undefined &&
      !still.has(identity(object)),
  );
}

function renderedIn(dist: string): Manifest[] {
  const folders = fs.readdirSync(dist, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.flatMap(({ name }) =>
    fs.readdirSync(join(dist, name)).map((file) => parse(fs.readFileSync(join(dist, name, file), 'utf8'))),
  );
}
