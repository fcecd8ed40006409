import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../cluster/client';
import type { ControlPlane } from '../cluster/control-plane';
import { freePorts, until } from '../cluster/processes';
import { traefik } from './binaries';

/** Where the ingress controller listens, at every address of the namespace. */
export interface IngressProcess {
  readonly http: number;
  readonly https: number;
}

/** What the declared secret of the ingress holds. */
export interface CertificateFiles {
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
}

/**
 * Starts the real ingress controller as a process, with the arguments, the files and the rights that are in the cluster, once
 * they are there. Only where it listens and where its files lie is changed, and how it finds the API server, which in a pod are
 * variables and files that kubelet puts there.
 * @param explain what is said when they do not come
 * @param wanted ports that it must have; free ones otherwise
 */
export async function startTraefik(
  plane: ControlPlane,
  certificate: CertificateFiles,
  explain: () => Promise<string>,
  wanted: Partial<IngressProcess> = {},
): Promise<IngressProcess> {
  const { client, folder, processes } = plane;
  const at = { name: 'traefik', namespace: 'ingress' };
  const [daemonSet, config] = await until(
    'the wave of the ingress controller',
    120,
    async () => {
      const found = await Promise.all([
        client.get({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: at }),
        client.get({ apiVersion: 'v1', kind: 'ConfigMap', metadata: at }),
      ]);
      return found.every((each) => each !== undefined) ? (found as [Json, Json]) : undefined;
    },
    explain,
  );
  const free = (await freePorts(3)) as [number, number, number];
  const { http, https, ping } = { http: free[0], https: free[1], ping: free[2], ...wanted };
  const files = join(folder, 'traefik');
  fs.mkdirSync(files);
  for (const [name, text] of Object.entries(certificate)) fs.writeFileSync(join(files, name), text);
  for (const [name, text] of Object.entries<string>(config.data))
    fs.writeFileSync(join(files, name), text.replaceAll('/certificates/', `${files}/`));
  const account = daemonSet.spec.template.spec.serviceAccountName;
  const { status } = await client.ask('POST', `/api/v1/namespaces/${at.namespace}/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 7200 },
  });
  const ports: Readonly<Record<string, number>> = { '8000': http, '8443': https, '8080': ping };
  const args = (daemonSet.spec.template.spec.containers[0].args as string[]).map((arg) =>
    arg
      .replace(/\.address=:(\d+)$/, (_, port: string) => `.address=:${ports[port]}`)
      .replace(/^--providers\.file\.directory=.*/, `--providers.file.directory=${files}`),
  );
  const cluster = client.config.getCurrentCluster()!;
  fs.writeFileSync(join(folder, 'api-server.crt'), Buffer.from(cluster.caData!, 'base64'));
  processes.start('traefik', traefik(), [
    ...args,
    `--providers.kubernetesingress.endpoint=${cluster.server}`,
    `--providers.kubernetesingress.token=${status.token}`,
    `--providers.kubernetesingress.certauthfilepath=${join(folder, 'api-server.crt')}`,
  ]);
  await until(
    'the ingress controller is ready',
    30,
    async () => (await fetch(`http://127.0.0.1:${ping}/ping`)).ok,
    () => processes.tail('traefik'),
  );
  return { http, https };
}
