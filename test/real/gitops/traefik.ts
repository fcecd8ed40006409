import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Client, Json } from '../cluster/client';
import type { ControlPlane } from '../cluster/control-plane';
import { freePorts, until } from '../cluster/processes';
import { traefik } from './binaries';
import { project } from './projected';

/** Where the ingress controller listens, at every address of the namespace. */
export interface IngressProcess {
  readonly http: number;
  readonly https: number;
  /** What kubelet does a minute after a change: brings the files that are in the cluster now. */
  readonly refreshed: () => Promise<void>;
  /** What the DaemonSet does when its arguments change. */
  readonly restarted: () => Promise<void>;
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
  wanted: Partial<Pick<IngressProcess, 'http' | 'https'>> = {},
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
  const certificates = join(folder, 'traefik-certificates');
  fs.mkdirSync(certificates, { recursive: true });
  for (const [name, text] of Object.entries(certificate)) fs.writeFileSync(join(certificates, name), text);
  const files = join(folder, 'traefik');
  fs.rmSync(files, { recursive: true, force: true });
  const refresh = async (of: Json) => project(files, await asHere(client, of.data, certificates));
  await refresh(config);
  const account = daemonSet.spec.template.spec.serviceAccountName;
  const { status } = await client.ask('POST', `/api/v1/namespaces/${at.namespace}/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 7200 },
  });
  // Published ports stay as they are: nothing else has them in a namespace of its own.
  const ports: Readonly<Record<string, number>> = { '8000': http, '8443': https, '8080': ping };
  const args = (daemonSet.spec.template.spec.containers[0].args as string[]).map((arg) =>
    arg
      .replace(/\.address=:(\d+)$/, (_, port: string) => `.address=:${ports[port] ?? port}`)
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
  const refreshed = async () => {
    const now = await client.get({ apiVersion: 'v1', kind: 'ConfigMap', metadata: at });
    await refresh(now!);
  };
  const restarted = async () => {
    await processes.stop('traefik');
    await startTraefik(plane, certificate, explain, { http, https });
  };
  return { http, https, refreshed, restarted };
}

/** The files, with what the network of a cluster would resolve: the folder of the certificate, and addresses of Services. */
async function asHere(client: Client, data: Json, certificates: string): Promise<Record<string, string>> {
  const slices = await client.list('discovery.k8s.io/v1', 'EndpointSlice');
  const services = await client.list('v1', 'Service');
  const address = (name: string, namespace: string, port: number): string => {
    const of = ({ metadata }: Json) => metadata.namespace === namespace && metadata.name === name;
    const served = services.find(of)?.spec.ports.find((each: Json) => each.port === port);
    const slice = slices.find(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels['kubernetes.io/service-name'] === name,
    );
    const target = slice?.ports.find((each: Json) => each.name === served?.name);
    if (!target || slice!.endpoints.length === 0) throw new Error(`${namespace}/${name} has no endpoint for ${port}`);
    return `${slice!.endpoints[0].addresses[0]}:${target.port}`;
  };
  return Object.fromEntries(
    Object.entries<string>(data).map(([name, text]) => [
      name,
      text
        .replaceAll('/certificates/', `${certificates}/`)
        .replace(/([\w-]+)\.([\w-]+)\.svc\.cluster\.local:(\d+)/g, (_, service, namespace, port) =>
          address(service, namespace, Number(port)),
        ),
    ]),
  );
}
