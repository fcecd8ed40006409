import { Env } from '../values/env';
import { SCHEDULE_FIELDS } from '../values/schedule';
import { SERVICE_FIELDS } from '../values/service-options';
import { host, published, routes } from './route-shapes';
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
  ...is.fields(SERVICE_FIELDS),
  ...is.fields(SCHEDULE_FIELDS),
  image: is.optional(is.image),
  memory: is.optional(is.size),
  cpu: is.optional(is.cpu),
  env: is.optional(is.byName(variableName, envValue)),
  connects: is.listOf(connection),
  published: is.optional(published),
};

/** The form of a web app. */
export const webApp: is.Shape<lab.WebApp> = { ...service, host: is.optional(host), routes: is.optional(routes) };
