import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { homelabApp } from '../../../charts';
import { isClusterScoped } from '../../../constructs/rendering';
import { render } from '../../../synth';
import homelab from '../../fixtures/homelab';
import type { Client, Json } from '../cluster/client';

/** An object that changes start from, and where it comes from. */
export interface Base {
  readonly from: string;
  readonly object: Json;
}

/** What the homelab of tests and the examples render, and the samples; the same contents once. */
export async function bases(): Promise<Base[]> {
  const labs = [['homelab', homelab] as const, ...(await examples())];
  const rendered = labs.flatMap(([name, lab]) =>
    render(homelabApp(lab)).map(({ file, object }) => ({ from: `${name}/${file}`, object: object as Json })),
  );
  const samples = parseAllDocuments(fs.readFileSync(join(__dirname, 'samples.yaml'), 'utf8')).map((document) => {
    const object = document.toJSON();
    return { from: `samples.yaml: ${object.kind} ${object.metadata.name}`, object };
  });
  const unique = new Map<string, Base>();
  for (const base of [...samples, ...rendered]) {
    const { apiVersion, kind, ...rest } = base.object;
    const { name: _, namespace: __, ...metadata } = rest.metadata;
    const key = JSON.stringify([apiVersion, kind, { ...rest, metadata }]);
    if (!unique.has(key)) unique.set(key, base);
  }
  return [...unique.values()].map(({ from, object }, index) => ({ from, object: placed(object, index) }));
}

async function examples() {
  const names = fs.readdirSync('examples').filter((name) => fs.existsSync(join('examples', name, 'homelab.ts')));
  return Promise.all(
    names.map(async (name) => [name, (await import(resolve('examples', name, 'homelab'))).default] as const),
  );
}

/** In a namespace of its own, so that quotas and limits of one base do not meet another. */
function placed(object: Json, index: number): Json {
  const { namespace: _, ...metadata } = object.metadata;
  const place = isClusterScoped(object.kind) ? {} : { namespace: `base-${index}` };
  return JSON.parse(JSON.stringify({ ...object, metadata: { ...metadata, name: `base-${index}`, ...place } }));
}

/** Classes that claims of the samples ask for. */
export const CLASSES: ReadonlyMap<string, Json> = new Map(
  [true, false].map((allowVolumeExpansion) => {
    const name = allowVolumeExpansion ? 'expandable' : 'fixed';
    const common = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', provisioner: 'example.org/none' };
    return [name, { ...common, metadata: { name }, allowVolumeExpansion }];
  }),
);

/** Makes a base for real, as a running cluster would hold it: claims are bound. @throws where the server refuses it */
export async function create(client: Client, { from, object }: Base): Promise<Json> {
  const { namespace } = object.metadata;
  if (namespace !== undefined)
    await client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const { status, body } = await client.apply(object);
  if (status >= 300) throw new Error(`${from} is refused: ${body.message}`);
  if (object.kind === 'PersistentVolumeClaim')
    await client.ask(
      'PATCH',
      `${await client.pathOf(object)}/status`,
      { status: { phase: 'Bound', capacity: object.spec.resources.requests } },
      'application/merge-patch+json',
    );
  return (await client.get(object))!;
}

export async function createClasses(client: Client): Promise<void> {
  for (const each of CLASSES.values()) await client.apply(each);
}
