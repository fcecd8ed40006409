import { sharedTimeoutsProblem, takenTwice, type RouteOptions, type TakenRoute } from '../values/routes';
import { sentence } from '../values/problem';
import type { Homelab } from './homelab';
import type { Route, Service, WebApp } from './services';
import { twice } from './reference';
import { at } from './shape';

/** A route of a web app with its whole host names. */
export interface HostedRoute extends RouteOptions {
  /** Host names with their domain. */
  readonly hosts: readonly string[];
}

/** The routes of a web app; `host` is the short form of one. */
export function routesOf({ network }: Homelab, { host, routes }: WebApp): HostedRoute[] {
  const all: readonly Route[] = [...(host === undefined ? [] : [{ host }]), ...(routes ?? [])];
  return all.map(({ host: names, domain = network.domain, ...options }) => ({
    ...options,
    hosts: [names].flat().map((name) => `${name}.${domain}`),
  }));
}

/** Names in the certificate of the ingress controller: all of the domain, and each host that this wildcard does not cover. */
export function certificateNames(homelab: Homelab): [string, ...string[]] {
  const { domain } = homelab.network;
  const others = Object.values(homelab.webApps)
    .flatMap((webApp) => routesOf(homelab, webApp))
    .filter(({ tls }) => tls === undefined)
    .flatMap(({ hosts }) => hosts)
    .filter((host) => host.slice(host.indexOf('.') + 1) !== domain);
  return [`*.${domain}`, ...[...new Set(others)].sort()];
}

/** Host names of all web apps, each once, in the order of homelab.ts. */
export function hostNames(homelab: Homelab): string[] {
  return [
    ...new Set(Object.values(homelab.webApps).flatMap((app) => routesOf(homelab, app).flatMap(({ hosts }) => hosts))),
  ];
}

/** Validates the routes of all web apps together. */
export function routeProblems(homelab: Homelab): string[] {
  const apps = Object.entries(homelab.webApps).map(([name, app]) => [at('webApps', name), app] as const);
  return [
    ...apps.flatMap(([place, app]) => withoutRoute(place, app)),
    ...apps.flatMap(([place, app]) => belowDomain(homelab, place, app)),
    ...apps.flatMap(([place, app]) => differentTimeouts(homelab, place, app)),
    ...takenTwice(apps.flatMap(([place, app]) => taken(homelab, place, app))),
    ...twice(publishedPorts(homelab)),
    ...publishedByWorkers(homelab),
  ];
}

/** Every published port, with its place in homelab.ts. */
function publishedPorts({ services, webApps }: Homelab): (readonly [place: string, port: number])[] {
  return Object.entries({ services, webApps }).flatMap(([group, all]) =>
    Object.entries(all).flatMap(([name, { published = [] }]) =>
      published.map(({ port }, index) => [`${at(at(group, name), 'published')}[${index}].port`, port] as const),
    ),
  );
}

function publishedByWorkers({ services, webApps }: Homelab): string[] {
  return Object.entries({ services, webApps }).flatMap(([group, all]) => ofWorkers(group, all));
}

function ofWorkers(group: string, all: Readonly<Record<string, Service>>): string[] {
  return Object.entries(all)
    .filter(([, { kind = 'server', published }]) => kind !== 'server' && published !== undefined)
    .map(([name, { kind }]) =>
      sentence({
        what: `${at(at(group, name), 'published')} must be used with a server`,
        got: `kind: '${kind}'`,
        fix: 'remove it: neither a worker nor a job listens on a port',
      }),
    );
}

/** Whether anything of a homelab is reached by the ingress controller. */
export function needsIngress(homelab: Homelab): boolean {
  return Object.keys(homelab.webApps).length > 0 || publishedPorts(homelab).length > 0;
}

function withoutRoute(place: string, { kind = 'server', host, routes }: WebApp): string[] {
  const given = host ?? routes;
  if (kind !== 'server' && given !== undefined)
    return [
      sentence({
        what: `${at(place, host === undefined ? 'routes' : 'host')} must be left out of a ${kind}: it listens on no port`,
        got: given,
        fix: 'remove it, or kind',
      }),
    ];
  if (kind !== 'server') return [];
  if (host !== undefined || routes !== undefined) return [];
  return [
    sentence({
      what: `${place} must have a host or routes`,
      got: undefined,
      fix: "add host: 'app', or move it to services, which are not reachable from outside",
    }),
  ];
}

/** `host` is a route without timeouts; `routes` alone is validated by its form. */
function differentTimeouts(homelab: Homelab, place: string, app: WebApp): string[] {
  if (app.host === undefined || app.routes === undefined) return [];
  const problem = sharedTimeoutsProblem(routesOf(homelab, app), `${at(place, 'host')} and ${at(place, 'routes')}`);
  return problem === undefined ? [] : [problem];
}

function belowDomain({ network: { domain } }: Homelab, place: string, { host, routes = [] }: WebApp): string[] {
  const written: [string, string][] = [
    ...(host === undefined ? [] : [[at(place, 'host'), host] as [string, string]]),
    ...routes.flatMap((route, index) =>
      [route.host].flat().map((name): [string, string] => [`${at(place, 'routes')}[${index}].host`, name]),
    ),
  ];
  return written
    .filter(([, name]) => name === domain || name.endsWith(`.${domain}`))
    .map(([where, name]) =>
      sentence({
        what: `${where} must be the part before the domain`,
        got: name,
        fix: `write ${name.slice(0, -domain.length - 1) || 'app'}: ${domain} is added to it`,
      }),
    );
}

function taken(homelab: Homelab, place: string, app: WebApp): TakenRoute[] {
  const first = app.host === undefined ? 0 : 1;
  return routesOf(homelab, app).flatMap(({ hosts, path = '/' }, index) =>
    hosts.map((host) => ({
      place: index < first ? at(place, 'host') : `${at(place, 'routes')}[${index - first}]`,
      host,
      path,
    })),
  );
}
