import { routesOf, volumeOwners, volumesOf, type Homelab, type Service, type WebApp } from '../inventory';
import { portsOf, transportOf } from '../values/ports';

/** More characters of a line are cut. */
const MOST = 30;

/** What the picture says below the name of a service: what kind it is, how it is reached from outside, and what it keeps. */
export function notesOf(homelab: Homelab, group: 'services' | 'webApps', name: string): string[] {
  const service: Service = homelab[group][name]!;
  if (service.state === 'retired') return ['retired, keeps its volumes'];
  return [
    ...kind(service),
    ...(group === 'webApps' ? hosts(homelab, service) : []),
    ...published(service),
    ...volumes(homelab, group, name),
  ].map((line) => (line.length > MOST ? `${line.slice(0, MOST - 1)}…` : line));
}

function kind({ kind: is, schedule }: Service): string[] {
  if (is === 'job') return [`job: ${schedule}`];
  return is === 'worker' ? ['worker'] : [];
}

/** Each host once, without the domain of the homelab. */
function hosts(homelab: Homelab, webApp: WebApp): string[] {
  const domain = `.${homelab.network.domain}`;
  const names = routesOf(homelab, webApp).flatMap(({ hosts: all, path = '/' }) =>
    all.map((host) => `${host.endsWith(domain) ? host.slice(0, -domain.length) : host}${path === '/' ? '' : path}`),
  );
  return [...new Set(names)];
}

function published(service: Service): string[] {
  return (service.published ?? []).map(({ port, to }) => {
    const target = portsOf(service).find(({ name }) => name === to);
    return `${target ? transportOf(target) : 'TCP'} port ${port}`;
  });
}

/** The disk of each volume, which a machine below has, or its storage class. */
function volumes(homelab: Homelab, group: 'services' | 'webApps', name: string): string[] {
  const owner = volumeOwners(homelab).find((each) => each.group === group && each.name === name)!;
  return volumesOf(owner).map(({ volume, disk }) => {
    const { storageClass } = owner.service.volumes![volume]!;
    if (disk === undefined) return `${volume} on class ${storageClass}`;
    return `disk ${disk}`;
  });
}
