import { dnsNameProblem } from '../values/names';
import { publishedProblem, type PublishedPort } from '../values/published-ports';
import { sharedTimeoutsProblem, routeHostProblem, routeProblem } from '../values/routes';
import type { Route } from './services';
import * as is from './shape';

/** The part of a host name before the domain: `app`, or nested `admin.app`. */
export const host: is.Rule = is.by(routeHostProblem);

const form = is.shape<Route>({
  host: (value, path, problems) => (Array.isArray(value) ? is.listOf(host, 1) : host)(value, path, problems),
  domain: is.optional(is.by(dnsNameProblem)),
  path: is.checkedElsewhere,
  stripPrefix: is.checkedElsewhere,
  port: is.checkedElsewhere,
  tls: is.checkedElsewhere,
  responseTimeout: is.checkedElsewhere,
  idleTimeout: is.checkedElsewhere,
  maxBody: is.checkedElsewhere,
});

const route = is.all(
  form,
  is.by((value, path) => routeProblem(value as Route, path)),
);

/** The routes of a web app. */
export const routes: is.Rule = is.all(
  is.listOf(route, 1),
  is.by((value, path) => sharedTimeoutsProblem(value as Route[], path)),
);

/** The published ports of a service. */
export const published: is.Rule = is.listOf(
  is.all(
    is.shape<PublishedPort>({ port: is.checkedElsewhere, to: is.checkedElsewhere }),
    is.by((value, path) => publishedProblem(value as PublishedPort, path)),
  ),
  1,
);
