import { suggested } from './nearest';
import { sentence } from './problem';

/** Built-in roles of MongoDB that a client may have on its own database. dbOwner also manages users there, and drops the database. */
const MONGO_ROLES = ['read', 'readWrite', 'dbAdmin', 'dbOwner'] as const;
/** Built-in roles of MongoDB that a client may have on its own database. */
export type MongoRole = (typeof MONGO_ROLES)[number];

/** What is wrong with the roles of a client, as a sentence, or undefined. */
export function mongoRolesProblem(value: unknown, what: string): string | undefined {
  const roles: readonly unknown[] = Array.isArray(value) ? value : [value];
  const wrong = roles.filter((role) => !(MONGO_ROLES as readonly unknown[]).includes(role));
  if (roles.length > 0 && wrong.length === 0) return undefined;
  return sentence({
    what: `${what} must be roles limited to the client's own database`,
    got: value,
    allowed: `one or a list of ${MONGO_ROLES.join(', ')}`,
    fix: suggested(
      wrong[0],
      MONGO_ROLES,
      'add a second connection for another database; create a user with more rights by hand, as root',
    ),
  });
}
