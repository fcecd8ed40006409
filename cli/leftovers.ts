import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { identity, isKept, LEFTOVERS, removalCommands } from '../synth/leftovers';
import { flag, runKubectl } from './kubectl';

type Manifest = Readonly<Record<string, any>>;

/** Kinds of which Argo CD is told to keep objects. Claims belong to the volumes that name them. */
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
 * Prints the commands that remove what Argo CD was told to keep and what dist/ no longer has. It asks the cluster, so it finds
 * them at any time, and nothing is left to print once they are gone.
 */
export async function leftovers(args: readonly string[], dist = 'dist'): Promise<void> {
  if (!fs.existsSync(dist))
    throw new Error('leftovers needs dist/ to compare the cluster with, got none; npm run synth');
  const commands = leftoverCommands(dist, flag(args, 'kubeconfig'));
  if (commands.length === 0) return console.log('nothing is left over: all that Argo CD keeps stands in dist/');
  console.log([LEFTOVERS, ...commands.map((command) => `  ${command}`)].join('\n'));
}

/** What the cluster has left over, as commands that remove it. */
export function leftoverCommands(dist: string, kubeconfig?: string): string[] {
  const ask = ['get', KINDS.join(','), '--all-namespaces', '-o', 'json'];
  const { items } = JSON.parse(runKubectl('leftovers', kubeconfig, ask));
  return removalCommands(leftIn(items, renderedIn(dist)));
}

/** Objects that Argo CD brought and keeps, and that are rendered no more. */
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
