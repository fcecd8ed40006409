import type { MongoOutsideRole, MongoRole } from '../values/mongo-roles';
import { DatabaseLogins } from './database-logins';
import { loginVariables, passwordVariable } from './env';
import type { MongoMembers } from './mongo-members';

/** A role of a user besides reading and writing. */
export interface FurtherRole {
  readonly user: string;
  readonly role: MongoRole | MongoOutsideRole['role'];
  readonly db: string;
}

/** The users as `mongo-users.js` reads them. It contains names of environment variables instead of passwords. */
export function usersJson(set: MongoMembers, logins: DatabaseLogins, furtherRoles: readonly FurtherRole[]): string {
  const users = [...logins.uses]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([user, uses]) => {
      const { own, readOnly } = DatabaseLogins.parted(uses);
      const further = furtherRoles.filter((each) => each.user === user).map(({ role, db }) => `${db}.${role}`);
      const roles = [...new Set(further)].sort().map((each) => {
        const [db, role] = each.split('.');
        return { role, db };
      });
      return {
        user,
        ...loginVariables(user),
        passwordFrom: passwordVariable(user),
        databases: own,
        readOnly,
        ...(roles.length > 0 && { roles }),
      };
    });
  return `${JSON.stringify({ replicaSet: set.replicaSet, hosts: set.hostsForClients(), users }, null, 2)}\n`;
}
