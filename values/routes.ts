import type { Duration, Size } from 'cdk8s';
import { dnsNameProblem, ipv4 } from './names';
import { sentence } from './problem';
import { sizeProblem } from './quantity';
import { tlsProblem, type Tls } from './tls';

/** How requests from outside the cluster reach a service, with the same words for an Ingress and for the Gateway API. */
export interface RouteOptions {
  /** Prefix of the path, by whole elements: `/api` takes /api and /api/users, not /apiv2. @default / */
  readonly path?: string;
  /** Whether the service gets the path without the prefix; the header X-Forwarded-Prefix then holds it. @default false */
  readonly stripPrefix?: boolean;
  /** Name of a port of the service that speaks HTTP or gRPC. @default the first port */
  readonly port?: string;
  /** @default the certificate of the ingress controller, or of the listener of the gateway */
  readonly tls?: Tls;
  /**
   * Time until the service must begin its answer, 1 second to 1 day; then the client gets status 504. It does not end streams or
   * websockets that have begun. All routes of a service share it. @default no limit
   */
  readonly responseTimeout?: Duration;
  /**
   * Time for which an unused connection to a pod is kept for the next request, 1 second to 1 day. It must be shorter than the
   * keep-alive time of the service (Node.js: 5 s), or a request can meet a connection that is being closed (status 502). All
   * routes of a service share it. @default 90 s, Traefik's default
   */
  readonly idleTimeout?: Duration;
  /**
   * Largest body of a request by its Content-Length, up to 1 TiB; a larger one gets status 413 before it is read. A body of unknown
   * length (Transfer-Encoding: chunked) passes, because counting it would hold it back on the disk of the ingress controller.
   * @default no limit
   */
  readonly maxBody?: Size;
}

/** The element-wise paths that Ingress and Gateway API read alike. */
const PATH = /^\/$|^(\/[A-Za-z0-9._~:+-]+)+$/;

/** What is wrong with the path of a route, as a sentence, or undefined. */
export function routePathProblem(value: unknown, what: string): string | undefined {
  const form = { what: `${what} must be a path that starts with a /`, got: value };
  const allowed = '/, or elements of letters, digits and . _ ~ : + - as /api/v1';
  if (typeof value !== 'string' || !value.startsWith('/'))
    return sentence({ ...form, allowed, fix: 'leave it out for all paths' });
  if (value.length > 1 && value.endsWith('/'))
    return sentence({ ...form, allowed, fix: `write ${value.replace(/\/+$/, '') || '/'}: it takes both forms` });
  if (!PATH.test(value) || /\/\.{1,2}(\/|$)/.test(value) || value.length > 200)
    return sentence({
      ...form,
      allowed,
      fix: 'write it as the browser shows it, without a query and without wildcards',
    });
  return undefined;
}

/** What is wrong with the host of a route, as a sentence, or undefined. */
export function routeHostProblem(value: unknown, what: string): string | undefined {
  if (typeof value === 'string' && value.startsWith('*'))
    return sentence({
      what: `${what} must be one name`,
      got: value,
      fix: 'give each service its own host name; only the certificate may be a wildcard',
    });
  if (ipv4(value) !== undefined)
    return sentence({
      what: `${what} must be a name`,
      got: value,
      fix: 'give the address a name: an Ingress takes no address as host',
    });
  return dnsNameProblem(value, what);
}

/** What is wrong with the options of a route, as a sentence, or undefined. */
export function routeProblem(route: RouteOptions, what: string): string | undefined {
  const { path = '/', stripPrefix, port, tls, responseTimeout, idleTimeout, maxBody } = route;
  if (stripPrefix !== undefined && typeof stripPrefix !== 'boolean')
    return sentence({
      what: `${what}.stripPrefix must be true or false`,
      got: stripPrefix,
      fix: 'write stripPrefix: true',
    });
  if (port !== undefined && (typeof port !== 'string' || port === ''))
    return sentence({ what: `${what}.port must be the name of a port`, got: port, fix: "write port: 'http'" });
  return (
    routePathProblem(path, `${what}.path`) ??
    (stripPrefix && path === '/'
      ? sentence({
          what: `${what}.stripPrefix must be used with a path`,
          got: 'stripPrefix: true without a path',
          fix: "add path: '/api', or remove stripPrefix",
        })
      : undefined) ??
    (tls === undefined ? undefined : tlsProblem(tls, `${what}.tls`)) ??
    (responseTimeout === undefined ? undefined : timeoutProblem(responseTimeout, `${what}.responseTimeout`)) ??
    (idleTimeout === undefined ? undefined : timeoutProblem(idleTimeout, `${what}.idleTimeout`)) ??
    (maxBody === undefined ? undefined : bodyProblem(maxBody, `${what}.maxBody`))
  );
}

function timeoutProblem(value: unknown, what: string): string | undefined {
  const seconds =
    typeof (value as Partial<Duration> | null)?.toSeconds === 'function'
      ? (value as Duration).toSeconds({ integral: false })
      : NaN;
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400) return undefined;
  return sentence({
    what: `${what} must be a Duration from 1 second to 1 day`,
    got: Number.isFinite(seconds) ? `${seconds} s` : value,
    allowed: 'whole seconds',
    fix: 'write Duration.seconds(30), or leave it out',
  });
}

function bodyProblem(value: unknown, what: string): string | undefined {
  const form = sizeProblem(value, what);
  if (form !== undefined || (value as Size).toKibibytes({ rounding: 1 }) <= 1024 ** 3) return form;
  return sentence({ what: `${what} must be at most 1 TiB`, got: value, fix: 'leave it out for no limit' });
}

/** What is wrong with the routes of one service together, as a sentence, or undefined. */
export function sharedTimeoutsProblem(routes: readonly RouteOptions[], what: string): string | undefined {
  const different = (['responseTimeout', 'idleTimeout'] as const).find(
    (timeout) => new Set(routes.map((route) => route[timeout]?.toSeconds())).size > 1,
  );
  if (different === undefined) return undefined;
  return sentence({
    what: `${what} must have the same ${different}`,
    got: routes.map((route) => route[different]?.toSeconds() ?? 'none').join(', '),
    fix: `give each route of the service the same ${different}: the ingress controller keeps it for the whole Service`,
  });
}

/** Who serves a host and a path. */
export interface TakenRoute {
  /** Where it is written. */
  readonly place: string;
  readonly host: string;
  readonly path: string;
}

/** Reports each host and path that an earlier route has already. */
export function takenTwice(routes: readonly TakenRoute[]): string[] {
  const owners = new Map<string, string>();
  return routes.flatMap(({ place, host, path }) => {
    const way = `${host}${path}`;
    const other = owners.get(way);
    owners.set(way, other ?? place);
    if (other === undefined) return [];
    return [
      sentence({
        what: `${place} must have a host and path of its own`,
        got: `${way}, which ${other} has`,
        fix: 'change the host or the path of one of them: requests could go to only one',
      }),
    ];
  });
}
