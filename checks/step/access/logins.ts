import { databaseOf } from '../data/databases';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import { listed, type View } from './view';

/** Permissions of one database login, as configured for the Job that creates it. */
interface Login {
  /** Name in messages, such as search of mongodb/mongodb. */
  readonly name: string;
  /** The database, as NAMESPACE/NAME. */
  readonly database: string;
  /** Its ConfigMap, and the file in it. */
  readonly object: string;
  readonly file: string;
  /** Databases or keyspaces, with true if it may write. Further roles are here as "dbAdmin on search". */
  readonly writes: ReadonlyMap<string, boolean>;
}

const FILES = ['users.json', 'schema.json'];

/**
 * Logins that may read or write more than before. A new login is reported only by its secret, unless it accesses data that others
 * already had.
 */
export function loginRisks(before: View, after: View): Risk[] {
  const [was, is] = [loginsOf(before), loginsOf(after)];
  const held = new Set(
    [...was.values()].flatMap(({ database, writes }) => [...writes.keys()].map((own) => `${database} ${placeOf(own)}`)),
  );
  return [...is].flatMap(([key, login]) => {
    const then = was.get(key);
    const more = gained(then, login).filter((own) => then || held.has(`${login.database} ${placeOf(own)}`));
    if (more.length === 0) return [];
    const may = listed(more.map((own) => (then?.writes.has(own) ? `write ${own}` : rightText(login, own))));
    return [
      {
        verdict: 'access' as const,
        what: `${login.name}.rights`,
        objects: [login.object],
        path: `data[${login.file}]`,
        from: then ? listed(more.map((own) => rightText(then, own))) : 'no login',
        to: listed(more.map((own) => rightText(login, own))),
        problem: `The ${then ? '' : 'new '}login ${login.name} may ${then ? 'newly ' : ''}${may}.`,
      },
    ];
  });
}

/** Logins that may do less, one line each, including dropped logins. */
export function lessRights(before: View, after: View): string[] {
  const is = loginsOf(after);
  return [...loginsOf(before)].flatMap(([key, login]) => {
    const now = is.get(key);
    // A retired database drops no logins.
    if (!now) return after.byId.has(login.object) ? [`the login ${login.name} is dropped`] : [];
    const less = gained(now, login).map((own) => (now.writes.has(own) ? `write ${own}` : rightText(login, own)));
    return less.length === 0 ? [] : [`the login ${login.name} may no longer ${listed(less)}`];
  });
}

/** What a login may read or write and another may not. */
function gained(less: Login | undefined, more: Login): string[] {
  return [...more.writes]
    .filter(([own, writes]) => (writes ? !less?.writes.get(own) : !less?.writes.has(own)))
    .map(([own]) => own);
}

function rightText({ writes }: Login, own: string): string {
  const may = writes.get(own);
  if (placeOf(own) !== own) return may === undefined ? `not act as ${own}` : `act as ${own}`;
  return may === undefined ? `nothing in ${own}` : `${may ? 'read and write' : 'read'} ${own}`;
}

/** The database or keyspace of a right. Their names contain no spaces. */
function placeOf(own: string): string {
  return own.split(' ').at(-1)!;
}

function loginsOf(view: View): Map<string, Login> {
  const found = view.ofKind('ConfigMap').flatMap((object) => {
    const database = databaseOf(object);
    const place = `${database?.namespace}/${database?.name}`;
    return FILES.flatMap((file) => {
      const text = database && object.data?.[file];
      return text === undefined
        ? []
        : clientsOf(text).map(([name, writes]): [string, Login] => {
            const login = `${name} of ${place}`;
            return [login, { name: login, database: place, object: identity(object), file, writes }];
          });
    });
  });
  return new Map(found);
}

/** MongoDB's users, or Cassandra's roles. Ignores files of other programs. */
function clientsOf(text: string): [string, Map<string, boolean>][] {
  const { users = [], roles = {} } = parsed(text);
  const all: [string, Manifest][] = [...users.map((user: Manifest) => [user.user, user]), ...Object.entries(roles)];
  return all.map(([name, { databases, keyspaces, readOnly = [], roles: further = [] }]) => [
    name,
    new Map([
      ...readOnly.map((own: string): [string, boolean] => [own, false]),
      ...(databases ?? keyspaces ?? []).map((own: string): [string, boolean] => [own, true]),
      ...further.map(({ role, db }: Manifest): [string, boolean] => [`${role} on ${db}`, true]),
    ]),
  ]);
}

function parsed(text: string): Manifest {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
