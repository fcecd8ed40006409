import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import homelab from '../../fixtures/homelab';
import type { Json } from '../cluster/client';
import { servedName } from '../../../inventory';
import { manifestsOf } from '../cluster/deploy';
import { until } from '../cluster/processes';
import { Site } from './site';
import type { Report } from './report';

/** The trap: Argo CD's own exclusions drop the EndpointSlice without an error, and only the proof says so. */
export async function excluded(site: Site, { tally, lap }: Report): Promise<void> {
  const { client } = site;
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'llm-service', namespace: 'services' },
  };
  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-cm', namespace: 'argocd' } };
  const models = homelab.llm!.models;
  const endpoint = http.createServer((_request, answer) =>
    answer.end(
      JSON.stringify({ models: Object.entries(models).map(([name, model]) => ({ name: servedName(name, model) })) }),
    ),
  );
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(endpoint.address() as { port: number }).port}`;
    const good = await proof(site, url);
    tally.check('the rendered proof, as a process, finds the endpoint and the models', good.status === 0, good.said);
    // Self-heal would bring our own settings back: as if they had never been ours.
    await client.ask(
      'PATCH',
      `/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/${homelab.name}`,
      { spec: { syncPolicy: { automated: null } } },
      'application/merge-patch+json',
    );
    await client
      .ask(
        'PATCH',
        `/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/argocd`,
        { spec: { syncPolicy: { automated: null } } },
        'application/merge-patch+json',
      )
      .catch(() => undefined);
    const path = await client.pathOf(settings);
    const kinds = (await client.ask('GET', path)).data['resource.exclusions'] as string;
    await client.ask(
      'PATCH',
      path,
      { data: { 'resource.exclusions': `${kinds}- apiGroups: [discovery.k8s.io]\n  kinds: [EndpointSlice]\n` } },
      'application/merge-patch+json',
    );
    await client.delete(slice);
    await site.argo.refresh('hard');
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const llm = (await site.argo.applications()).find(({ metadata }) => metadata.name === 'llm')!;
    tally.check(
      'with the default exclusions the application looks Synced and Healthy, and the slice is not there',
      llm.status.sync.status === 'Synced' &&
        llm.status.health.status === 'Healthy' &&
        (await client.get(slice)) === undefined,
      JSON.stringify(llm.status.sync),
    );
    const bad = await proof(site, url);
    tally.check(
      'the rendered proof says that it is the API server that has no endpoint, and why',
      bad.status === 1 && /has no ready endpoint/.test(bad.said) && /resource\.exclusions/.test(bad.said),
      bad.said,
    );
    await site.commit('by the proxy', (h) => (h.llm.via = 'tcp-proxy'));
    await site.argo.refresh('hard');
    await until('the proxy has a ready endpoint', 60, async () => {
      const slices = (await client.list('discovery.k8s.io/v1', 'EndpointSlice', 'services')).filter(
        ({ metadata }) => metadata.labels['kubernetes.io/service-name'] === 'llm-service',
      );
      return slices.some(({ endpoints }) => (endpoints ?? []).some(({ conditions }: Json) => conditions.ready));
    });
    const proxied = await proof(site, url);
    tally.check('the TCP proxy works under the default exclusions', proxied.status === 0, proxied.said);
    lap('the default exclusions hid an EndpointSlice, the check reported it, and our setting fixed it');
  } finally {
    endpoint.close();
  }
}

/** Runs the rendered script with the rights of its service account. */
async function proof({ client, plane, dist }: Site, url: string): Promise<{ status: number | null; said: string }> {
  const job = manifestsOf(dist).find(
    ({ object }) => object.kind === 'Job' && object.metadata.name === 'llm-service-proof',
  )!.object;
  const script = manifestsOf(dist).find(
    ({ object }) => object.kind === 'ConfigMap' && object.metadata.name === 'llm-service-proof',
  )!.object;
  const folder = join(plane.folder, 'proof');
  fs.mkdirSync(folder, { recursive: true });
  const { status } = await client.ask('POST', '/api/v1/namespaces/services/serviceaccounts/llm-service-proof/token', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  fs.writeFileSync(join(folder, 'token'), status.token);
  fs.writeFileSync(join(folder, 'ca.crt'), Buffer.from(client.config.getCurrentCluster()!.caData!, 'base64'));
  fs.writeFileSync(join(folder, 'proof.py'), script.data['proof.py']);
  const env = Object.fromEntries(
    job.spec.template.spec.containers[0].env.map(({ name, value }: Json) => [name, value]),
  );
  // Not synchronously: the endpoint that it asks is in this process.
  const run = spawn('python3', [join(folder, 'proof.py')], {
    env: {
      PATH: process.env.PATH,
      ...env,
      URL: url,
      API: client.config.getCurrentCluster()!.server,
      CREDENTIALS: folder,
    },
    timeout: 60_000,
  });
  let said = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(run, 'close')) as [number | null];
  return { status: code, said };
}
