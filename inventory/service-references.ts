import { sentence } from '../values/problem';
import { Env, envFromProblem } from '../values/env';
import { togetherProblems } from '../values/service-kinds';
import { secretVariable } from '../values/secret';
import { variableNameProblem } from '../values/variable-names';
import { portsOf } from '../values/ports';
import {
  givenBy,
  isOwn,
  portOf,
  serviceOf,
  targetOf,
  variablesOf,
  type Connection,
  type ServiceTarget,
} from './connections';
import { NAMESPACES } from './names';
import { servers, workers } from './derived';
import { mayUse } from './model-references';
import type { Homelab } from './homelab';
import type { Service } from './services';
import { oneOf, twice } from './reference';
import { at } from './shape';

/** Validates services and web apps against the rest of a homelab. */
export function serviceProblems(homelab: Homelab): string[] {
  return [...services(homelab), ...connections(homelab)];
}

/** Every service and web app, with its path in homelab.ts. */
function clients(homelab: Homelab): (readonly [place: string, name: string, client: Service])[] {
  return (['services', 'webApps'] as const).flatMap((group) =>
    Object.entries(homelab[group]).map(([name, client]) => [at(group, name), name, client] as const),
  );
}

function connections(homelab: Homelab): string[] {
  return clients(homelab).flatMap(([client, name, service]) => {
    const place = (index: number) => `${at(client, 'connects')}[${index}]`;
    const { connects } = service;
    return [
      ...connects.flatMap((connection, index) => targetProblems(homelab, name, connection, place(index))),
      ...twice(connects.map((connection, index) => [place(index), inWords(connection)])),
      ...twice(connects.flatMap(({ as }, index) => (as === undefined ? [] : [[`${place(index)}.as`, as] as const]))),
      ...variables(homelab, service, client),
      ...environment(homelab, service, client),
    ];
  });
}

/** Everything that a connection says, to compare two of them. */
function inWords(connection: Connection): string {
  const words = Object.entries(connection).filter(([, value]) => value !== undefined);
  return words
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .sort()
    .join(', ');
}

function targetProblems(homelab: Homelab, owner: string, connection: Connection, place: string): string[] {
  if ('service' in connection) return serviceTarget(homelab, owner, connection, place);
  const [kind, name] = targetOf(connection);
  const known = (what: string, names: readonly string[]) =>
    oneOf(`${place}.${kind} must be ${what} of this homelab`, name, names);
  if (kind === 'internet' || kind === 'address') return [];
  if (kind === 'model') return modelTarget(homelab, owner, name, place);
  const ofKind = Object.entries(homelab.databases).filter(([, database]) => database.kind === kind);
  const active = ofKind.filter(([, { state }]) => state !== 'retired').map(([each]) => each);
  const what = kind === 'mongodb' ? 'an active MongoDB' : 'an active Cassandra';
  if (active.includes(name) || !ofKind.some(([each]) => each === name)) return known(what, active);
  return [
    sentence({
      what: `${place}.${kind} must be ${what} of this homelab`,
      got: `${name}, which is retired`,
      allowed: active.join(', ') || undefined,
      fix: `set ${at('databases', name)}.state to 'active', or remove the connection`,
    }),
  ];
}

/** Another service or web app that listens on the port. Charts validate those of an own chart. */
function serviceTarget(homelab: Homelab, owner: string, connection: ServiceTarget, place: string): string[] {
  if (isOwn(connection)) return ownTarget(homelab, connection, place);
  const { service: name, namespace = NAMESPACES.services } = connection;
  const group = namespace === NAMESPACES.web ? 'webApps' : 'services';
  const { kind = 'server', state } = serviceOf(homelab, connection) ?? {};
  if (state === 'retired')
    return [
      sentence({
        what: `${place}.service must be an active service of this homelab`,
        got: `${name}, which is retired`,
        fix: `set ${at(at(group, name), 'state')} to 'active', or remove the connection`,
      }),
    ];
  const others = servers(homelab[group]).flatMap(([each]) => (each === owner ? [] : [each]));
  const what = group === 'webApps' ? 'another web app' : 'another service';
  if (kind !== 'server')
    return [
      sentence({
        what: `${place}.service must be a server`,
        got: `${name}, which is a ${kind} and listens on no port`,
        allowed: others.join(', ') || undefined,
        fix: `remove the connection, or ${at(at(group, name), 'kind')}`,
      }),
    ];
  const unknown = oneOf(`${place}.service must be ${what} of this homelab`, name, others);
  if (unknown.length > 0 || portOf(homelab, connection) !== undefined) return unknown;
  const { image, ...target } = serviceOf(homelab, connection)!;
  const ports = portsOf(image === undefined ? {} : target).map((port) => port.name);
  return oneOf(
    `${place}.port must be a port of ${name}`,
    connection.port!,
    ports,
    image === undefined
      ? `set ${at(at(group, name), 'image')}: the stand-in has one port`
      : `add it to ${at(at(group, name), 'ports')}`,
  );
}

/** A namespace of the homelab itself, in which no chart of the owner may be. */
function ownTarget({ databases }: Homelab, { namespace, service }: ServiceTarget, place: string): string[] {
  const kind = Object.hasOwn(databases, namespace!) ? databases[namespace!]!.kind : undefined;
  if (kind === undefined) return [];
  const data = kind === 'mongodb' ? 'database' : 'keyspace';
  return [
    sentence({
      what: `${place}.namespace must be that of a chart of your own, or web`,
      got: `${namespace}, the namespace of a database, with service ${service}`,
      fix: `connect to the database: { ${kind}: '${namespace}', ${data}: '...' }`,
    }),
  ];
}

/** A model that exists, and whose `usedBy` names the client or is left out. */
function modelTarget({ llm }: Homelab, owner: string, name: string, place: string): string[] {
  const models = llm?.models ?? {};
  const usable = Object.keys(models).filter((each) => mayUse(models[each]!, owner));
  if (!Object.hasOwn(models, name) || usable.includes(name))
    return oneOf(`${place}.model must be a model of this homelab`, name, Object.keys(models));
  return [
    sentence({
      what: `${place}.model must be a model whose usedBy names ${owner}`,
      got: name,
      allowed: usable.join(', ') || 'none is open to it',
      fix: `add '${owner}' to ${at('llm.models', name)}.usedBy, or remove the connection`,
    }),
  ];
}

/** Reports a variable that two connections set, or a connection and `env`. */
function variables(homelab: Homelab, service: Service, client: string): string[] {
  const owners = new Map(Object.keys(service.env ?? {}).map((name) => [name, at(at(client, 'env'), name)]));
  for (const [name, secret] of Object.entries(service.secrets ?? {}))
    owners.set(secretVariable(name, secret), at(at(client, 'secrets'), name));
  return service.connects.flatMap((connection, index) => {
    const place = `${at(client, 'connects')}[${index}]`;
    const names = variablesOf(service, connection, homelab);
    const taken = names.find((name) => owners.has(name));
    const other = taken && owners.get(taken);
    for (const name of names) owners.set(name, place);
    if (taken === undefined) return [];
    return [
      sentence({
        what: `${place} must set environment variables of its own`,
        got: `${taken}, which ${other} sets`,
        fix: `give one of the connections a name of its own, as { ${targetOf(connection)[0]}: '${targetOf(connection)[1]}', ..., as: 'other' }${/\.(env|secrets)/.test(other ?? '') ? ', or rename the variable' : ''}`,
      }),
    ];
  });
}

/** Reports variables that take what no connection gives, and names that the API server of this homelab refuses. */
function environment(homelab: Homelab, service: Service, client: string): string[] {
  const given = service.connects.flatMap((connection) => givenBy(service, connection, homelab));
  return Object.entries(service.env ?? {}).flatMap(([name, value]) => {
    const place = at(at(client, 'env'), name);
    const problems = [
      variableNameProblem(name, `the name ${place}`, homelab.versions.kubernetes),
      value instanceof Env ? envFromProblem(value, given, place) : undefined,
    ];
    return problems.flatMap((problem) => problem ?? []);
  });
}

/** Fields that the stand-in has itself: they would be ignored without an image. */
const OF_AN_IMAGE = [
  'port',
  'ports',
  'probes',
  'command',
  'args',
  'user',
  'beforeRollout',
  'allow',
  'capabilities',
] as const;

function services(homelab: Homelab): string[] {
  return clients(homelab).flatMap(([place, , service]) => [
    ...OF_AN_IMAGE.filter((field) => service.image === undefined && service[field] !== undefined).map((field) =>
      sentence({
        what: `${at(place, field)} must be used with an image`,
        got: service[field],
        fix: 'set image too, or leave it out: the stand-in has its own',
      }),
    ),
    ...kindProblems(service, place),
    ...nodeProblems(homelab, service, place),
    ...togetherProblems(service, (field) => at(place, field)),
  ]);
}

function kindProblems({ kind, image, sharedVolumes }: Service, place: string): string[] {
  if (kind === 'job' && image === undefined)
    return [
      sentence({
        what: `${at(place, 'image')} must be given for a job`,
        got: undefined,
        fix: 'write the image of the job: the stand-in is a server and would never end',
      }),
    ];
  if (kind === undefined || kind === 'server' || sharedVolumes !== undefined || !place.startsWith('webApps')) return [];
  const fix = `move it to services, or remove kind: a web app answers at its host (only what mounts a volume of a web app stays, with sharedVolumes)`;
  return [sentence({ what: `${at(place, 'kind')} must be server`, got: kind, fix })];
}

/** Nodes that exist. */
function nodeProblems(homelab: Homelab, { on }: Service, place: string): string[] {
  if (on === undefined) return [];
  const machines = workers(homelab);
  if (typeof on === 'string')
    return oneOf(
      `${at(place, 'on')} must be a Talos worker of this homelab`,
      on,
      machines.map(([name]) => name),
    );
  if (machines.some(([, { labels = {} }]) => labels[on.key] === on.value)) return [];
  const known = machines.flatMap(([, { labels = {} }]) =>
    Object.entries(labels).map(([key, value]) => `${key}: ${value}`),
  );
  return [
    sentence({
      what: `${at(place, 'on')} must be a label of a worker`,
      got: on,
      allowed: [...new Set(known)].join(', ') || undefined,
      fix: 'add it to labels of a machine, or correct it: the pods would stay Pending',
    }),
  ];
}
