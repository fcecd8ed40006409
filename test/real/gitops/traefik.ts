import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../cluster/client';
import type { ControlPlane } from '../cluster/control-plane';
import { freePorts, until } from '../cluster/processes';
import { traefik } from './binaries';

/** The real ingress controller as a process, with the arguments, the files and the rights that we render. */
export interface IngressProcess {
  readonly http: number;
  readonly https: number;
  /** Of the authority that signed its certificate. */
  readonly authority: string;
}

/**
 * @param daemonSet as rendered; only where it listens and where its files lie is changed, and how it finds the API server,
 *   which in a pod are variables and files that kubelet puts there
 */
export async function startTraefik(
  plane: ControlPlane,
  daemonSet: Json,
  config: Json,
  host: string,
): Promise<IngressProcess> {
  const { client, folder, processes } = plane;
  const [http, https, ping] = (await freePorts(3)) as [number, number, number];
  const files = join(folder, 'traefik');
  fs.mkdirSync(files);
  const authority = certificates(files, host);
  for (const [name, text] of Object.entries<string>(config.data))
    fs.writeFileSync(join(files, name), text.replaceAll('/certificates/', `${files}/`));
  const { namespace, name } = {
    namespace: daemonSet.metadata.namespace,
    name: daemonSet.spec.template.spec.serviceAccountName,
  };
  const { status } = await client.ask('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 7200 },
  });
  const ports: Readonly<Record<string, number>> = { '8000': http, '8443': https, '8080': ping };
  const args = (daemonSet.spec.template.spec.containers[0].args as string[]).map((arg) =>
    arg
      .replace(/\.address=:(\d+)$/, (_, port: string) => `.address=127.0.0.1:${ports[port]}`)
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
  return { http, https, authority };
}

/** An authority and a certificate for all names below a domain, as the declared secret asks for. @returns the authority's */
function certificates(folder: string, host: string): string {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=homelab',
  );
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'tls.key',
    '-out',
    'request',
    '-subj',
    `/CN=${host}`,
  );
  fs.writeFileSync(join(folder, 'names'), `subjectAltName=DNS:${host}\n`);
  openssl(
    'x509',
    '-req',
    '-in',
    'request',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'tls.crt',
    '-days',
    '2',
    '-extfile',
    'names',
  );
  return fs.readFileSync(join(folder, 'ca.crt'), 'utf8');
}
