import { suggested } from './nearest';
import { sentence } from './problem';

/** Built-in roles of MongoDB that a client may have on its own database. dbOwner also manages users there, and drops the database. */
const MONGO_ROLES = ['read', 'readWrite', 'dbAdmin', 'dbOwner'] as const;
/** Built-in roles of MongoDB that a client may have on its own database. */
export type MongoRole = (typeof MONGO_ROLES)[number];

/**
 * Built-in roles outside of the client's own database that programs need to follow changes: the oplog is in `local`, and
 * clusterMonitor reads the state of the replica set.
 */
export type MongoOutsideRole =
  | { readonly role: 'read'; readonly database: 'local' }
  | { readonly role: 'clusterMonitor'; readonly database: 'admin' };
const OUTSIDE_ROLES: readonly MongoOutsideRole[] = [
  { role: 'read', database: 'local' },
  { role: 'clusterMonitor', database: 'admin' },
];

/** Roles of a client: one or several, at least one on its own database. */
export type MongoAccess = MongoRole | readonly (MongoRole | MongoOutsideRole)[];

/** Access as a list. */
export function rolesOf(access: MongoAccess): readonly (MongoRole | MongoOutsideRole)[] {
  return typeof access === 'string' ? [access] : access;
}

/** What is wrong with the roles of a client, as a sentence, or undefined. */
export function mongoRolesProblem(value: unknown, what: string): string | undefined {
  const roles: readonly unknown[] = Array.isArray(value) ? value : [value];
  const own = roles.filter((role) => typeof role === 'string');
  const wrong = roles.filter((role) => !(MONGO_ROLES as readonly unknown[]).includes(role) && !isOutsideRole(role));
  if (own.length > 0 && wrong.length === 0) return undefined;
  return sentence({
    what: `${what} must be roles limited to the client's own database`,
    got: value,
    allowed: `one or a list of ${MONGO_ROLES.join(', ')}; besides one of these ${OUTSIDE_ROLES.map(({ role, database }) => `{ role: '${role}', database: '${database}' }`).join(' and ')}`,
    fix: suggested(
      wrong[0],
      MONGO_ROLES,
      'add a second connection for another database; create a user with more rights by hand, as root',
    ),
  });
}

function isOutsideRole(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { role, database, ...more } = value as Record<string, unknown>;
  const isKnown = OUTSIDE_ROLES.some((each) => each.role === role && each.database === database);
  return isKnown && Object.keys(more).length === 0;
}
