import { Env, PodEnv, podEnvProblem } from '../values/env';
import { SCHEDULE_FIELDS } from '../values/schedule';
import { SERVICE_FIELDS } from '../values/service-options';
import { host, published, routes } from './route-shapes';
import { sharedVolumesProblem, type SharedVolume } from '../values/shared-volumes';
import { volumesProblem } from '../values/volumes';
import * as is from './shape';
import { connection } from './connection-shapes';
import { variableName } from './name-shapes';
import type * as lab from './services';
import type { ServiceVolume } from './volumes';

/** Text, or what a connection or the pod gives. */
const envValue: is.Rule = (value, path, problems) => {
  if (value instanceof PodEnv) is.by(() => podEnvProblem(value, path))(value, path, problems);
  else if (!(value instanceof Env)) is.variableText(value, path, problems);
};

const volume = is.shape<ServiceVolume>({
  path: is.checkedElsewhere,
  folder: is.checkedElsewhere,
  perReplica: is.checkedElsewhere,
  disk: is.optional(is.matching(/^[A-Za-z0-9][A-Za-z0-9-]*$/, 'the name of a disk: letters, digits and -', 'uploads')),
  storageClass: is.optional(is.dnsName),
  size: is.optional(is.size),
});

const sharedVolume = is.shape<SharedVolume>({ of: is.anyText, volume: is.anyText, readOnly: is.optional(is.flag) });

/** The form of a service. */
export const service: is.Shape<lab.Service> = {
  ...is.fields(SERVICE_FIELDS),
  ...is.fields(SCHEDULE_FIELDS),
  image: is.optional(is.image),
  volumes: is.optional(is.all(is.by(volumesProblem), is.byName(is.checkedElsewhere, volume))),
  sharedVolumes: is.optional(is.all(is.by(sharedVolumesProblem), is.byName(is.checkedElsewhere, sharedVolume))),
  state: is.optional(is.oneOf('active', 'retired')),
  memory: is.optional(is.size),
  cpu: is.optional(is.cpu),
  env: is.optional(is.byName(variableName, envValue)),
  connects: is.listOf(connection),
  published: is.optional(published),
};

/** The form of a web app. */
export const webApp: is.Shape<lab.WebApp> = { ...service, host: is.optional(host), routes: is.optional(routes) };
