import homelab from '../../fixtures/homelab';
import { issue, makeAuthority } from '../../../scripts/secrets/certificates';
import type { Json } from '../cluster/client';
import { missingReferences } from '../cluster/deploy';
import { until } from '../cluster/processes';
import type { Entrance } from './routes';
import { Site } from './site';
import { startTraefik } from './traefik';
import type { Report } from './report';

const created = ({ metadata }: Json) => Date.parse(metadata.creationTimestamp);
const wave = ({ metadata }: Json) => Number(metadata.annotations['argocd.argoproj.io/sync-wave']);

/** The ingress controller, with a certificate as the bootstrap makes it, and the authority that signed it. */
async function ingressOf({ plane, argo }: Site): Promise<Entrance> {
  const { domain } = homelab.network;
  const authority = await makeAuthority(homelab.name, domain);
  const { certificate, key } = await issue(authority, [`*.${domain}`]);
  const files = { 'tls.crt': certificate, 'tls.key': key };
  return { ...(await startTraefik(plane, files, () => argo.explain())), authority: authority.certificate };
}

/** How many applications of a later wave were made before one of an earlier wave was healthy. */
function outOfOrder(applications: readonly Json[]): string[] {
  const children = applications.filter(({ metadata }) => metadata.name !== homelab.name);
  return children.flatMap((later) =>
    children
      .filter((earlier) => wave(earlier) < wave(later))
      // Health is written when it changes; times have whole seconds.
      .filter((earlier) => Date.parse(earlier.status.health.lastTransitionTime) > created(later) + 1_000)
      .map((earlier) => `${later.metadata.name} was made before ${earlier.metadata.name} was healthy`),
  );
}

export async function comesUp(site: Site, { tally, lap }: Report): Promise<Entrance> {
  const [applications, ingress] = await Promise.all([site.settled(180), ingressOf(site)]);
  lap(`the root application brought up ${applications.length} applications, all Synced and Healthy`);
  const disorder = outOfOrder(applications);
  tally.check('in wave order', disorder.length === 0, disorder.join('\n'));
  const address = homelab.machines[homelab.ingress!.statusMachine]!.address;
  for (const { metadata, status } of await site.client.list('networking.k8s.io/v1', 'Ingress')) {
    const writers = metadata.managedFields
      .filter(({ subresource, fieldsV1 }: Json) => subresource === 'status' || fieldsV1?.['f:status'])
      .map(({ manager }: Json) => manager);
    tally.check(
      `the status of Ingress ${metadata.name} is ${address}, written by the controller and nobody else`,
      status.loadBalancer.ingress[0].ip === address && writers.length === 1 && /traefik/.test(writers[0]),
      `${JSON.stringify(status)} ${writers.join()}`,
    );
  }
  const missing = await missingReferences(site.client);
  tally.check('every Secret, ConfigMap, claim and account is there', missing.length === 0, missing.join('\n'));
  return ingress;
}

export async function staysInSync(site: Site, seconds: number, { tally }: Report): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await site.argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  const applications = await site.argo.applications();
  const wrong = applications
    .filter(({ status }) => status.sync.status !== 'Synced')
    .map(
      ({ metadata, status }) =>
        `${metadata.name}: ${JSON.stringify(status.resources.filter((resource: Json) => resource.status !== 'Synced'))}`,
    );
  tally.check(`${seconds} s later and after a hard refresh nothing is OutOfSync`, wrong.length === 0, wrong.join('\n'));
  const healed = applications
    .filter(({ status }) => (status.history ?? []).length > 2)
    .map(({ metadata, status }) => `${metadata.name}: ${status.history.length} syncs`);
  tally.check('and nothing was synced again and again', healed.length === 0, healed.join('\n'));
}

/** Without the health of applications in argocd-cm the waves of the root application wait for nothing. */
export async function orderIsLost({ tally, lap }: Report): Promise<void> {
  const site = await Site.start((data) => delete data['resource.customizations.health.argoproj.io_Application']);
  try {
    const children = await until('all applications are made', 120, async () => {
      const all = await site.argo.applications();
      return all.length === site.folders() ? all : undefined;
    });
    const last = Math.max(...children.map(wave));
    const unhealthy = children
      .filter((child) => wave(child) < last && child.status?.health?.status !== 'Healthy')
      .map(({ metadata }) => metadata.name);
    tally.check(
      'without the health setting the last wave is made while applications of earlier ones are not healthy',
      unhealthy.length > 0,
    );
    console.log(`  made before ${unhealthy.join(', ')} were healthy: wave ${last}`);
    lap('without the health setting, the order of waves was lost');
  } finally {
    await site.plane.stop();
  }
}
