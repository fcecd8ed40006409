import { dnsNameProblem } from '../values/names';
import { publishedProblem, type PublishedPort } from '../values/published-ports';
import { sharedTimeoutsProblem, routeHostProblem, routeProblem } from '../values/routes';
import type { Route } from './services';
import * as is from './shape';

/** Judged by `routeProblem`, with the other options. */
const judged: is.Rule = () => undefined;

const oneHost = is.by(routeHostProblem);

/** The part of a host name before the domain: `app`, or nested `admin.app`. */
export const host: is.Rule = oneHost;

const form = is.shape<Route>({
  host: (value, path, problems) => (Array.isArray(value) ? is.listOf(oneHost, 1) : oneHost)(value, path, problems),
  domain: is.optional(is.by(dnsNameProblem)),
  path: judged,
  stripPrefix: judged,
  port: judged,
  tls: judged,
  responseTimeout: judged,
  idleTimeout: judged,
  maxBody: judged,
});

const options = is.by((value, path) => routeProblem(value as Route, path));

const list = is.listOf((value, path, problems) => {
  const before = problems.length;
  form(value, path, problems);
  if (problems.length === before) options(value, path, problems);
}, 1);

/** The routes of a web app. */
export const routes: is.Rule = (value, path, problems) => {
  const before = problems.length;
  list(value, path, problems);
  if (problems.length === before) is.by((all) => sharedTimeoutsProblem(all as Route[], path))(value, path, problems);
};

/** The published ports of a service. */
export const published: is.Rule = is.listOf((value, path, problems) => {
  const before = problems.length;
  is.shape<PublishedPort>({ port: judged, to: judged })(value, path, problems);
  if (problems.length === before) is.by((each) => publishedProblem(each as PublishedPort, path))(value, path, problems);
}, 1);
