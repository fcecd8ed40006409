import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { Client, Json } from '../../cluster/client';

/**
 * Plays Argo CD's controller where the real one would be too slow: as soon as the root application is there it makes those
 * of dist/argocd, and calls every application synced and healthy. The suite namespaces.ts has the real one.
 * @returns what ends it
 */
export function controllers(client: Client): () => void {
  let ended = false;
  const play = async () => {
    if (ended) return;
    try {
      await settle(client);
    } catch {
      // The kind is not there yet, or everything was taken back meanwhile.
    }
    setTimeout(() => void play(), 150).unref();
  };
  void play();
  return () => {
    ended = true;
  };
}

async function settle(client: Client): Promise<void> {
  const path = '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications';
  const { status, body } = await client.request('GET', path);
  if (status !== 200) return;
  const there = body.items as Json[];
  const root = there.find(({ spec }) => spec.source.path === 'dist/argocd');
  if (root === undefined) return;
  for (const object of applications())
    if (!there.some(({ metadata }) => metadata.name === object.metadata.name))
      await client.apply(object, 'argocd-controller');
  for (const { metadata, status: now } of there)
    if (now?.sync?.status !== 'Synced')
      await client.ask(
        'PATCH',
        `${path}/${metadata.name}`,
        {
          status: {
            sync: {
              status: 'Synced',
              revision: 'test',
              comparedTo: { source: root.spec.source, destination: root.spec.destination },
            },
            health: { status: 'Healthy' },
          },
        },
        'application/merge-patch+json',
      );
}

function applications(): Json[] {
  return readdirSync('dist/argocd')
    .filter((file) => file.startsWith('application.'))
    .flatMap((file) =>
      parseAllDocuments(readFileSync(`dist/argocd/${file}`, 'utf8')).map((document) => document.toJS() as Json),
    );
}
