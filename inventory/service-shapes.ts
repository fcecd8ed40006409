import { Env } from '../values/env';
import { probesProblem } from '../values/probes';
import { host, routes } from './route-shapes';
import * as is from './shape';
import { connection } from './connection-shapes';
import { variableName } from './name-shapes';
import type * as lab from './services';

/** Text, or what a connection gives. */
const envValue: is.Rule = (value, path, problems) => {
  if (!(value instanceof Env)) is.anyText(value, path, problems);
};

/** The form of a service. */
export const service: is.Shape<lab.Service> = {
  image: is.optional(is.image),
  port: is.optional(is.port),
  probes: is.optional(is.by(probesProblem)),
  memory: is.optional(is.size),
  cpu: is.optional(is.cpu),
  replicas: is.optional(is.whole(1, 50)),
  terminationGracePeriod: is.optional(is.duration),
  env: is.optional(is.byName(variableName, envValue)),
  connects: is.listOf(connection),
};

/** The form of a web app. */
export const webApp: is.Shape<lab.WebApp> = { ...service, host: is.optional(host), routes: is.optional(routes) };
