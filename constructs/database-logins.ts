import type { Construct } from 'constructs';
import { dnsLabelProblem } from '../values/names';
import type { Client } from './connections';
import { loginVariables, passwordVariable } from './env';
import type { HashNamedJob } from './hash-named-job';
import { assertValid, fail } from './validation';
import { DeclaredSecret, type SecretSource } from './secrets';

/** Permissions of a client on the data of a connection. */
export type DataAccess = 'read' | 'readWrite';

/** The login of one client: its secret, and its permissions by keyspace or database. */
export interface Login {
  readonly secret: DeclaredSecret;
  readonly uses: Map<string, DataAccess>;
}

export interface DatabaseLoginsProps {
  /** Name of the database: secrets are named NAME-LOGIN. */
  readonly name: string;
  readonly namespace: string;
  /** The database's word for a login, and the option that sets it: `role` or `user`. */
  readonly noun: 'role' | 'user';
  /** Names of the database's own logins and secrets. */
  readonly reserved: readonly string[];
  /** Keys of the secret besides username and password. */
  readonly keys?: Readonly<Record<string, SecretSource>>;
  /** The job that creates the logins in the database. */
  readonly job: () => HashNamedJob;
}

/** The logins of a database's clients, each with its own secret. */
export class DatabaseLogins {
  private readonly logins = new Map<string, Login & { readonly client: Client }>();

  constructor(
    private readonly database: Construct,
    private readonly props: DatabaseLoginsProps,
  ) {}

  /** Permissions of each login, by its name. */
  get uses(): ReadonlyMap<string, ReadonlyMap<string, DataAccess>> {
    return new Map([...this.logins].map(([login, { uses }]) => [login, uses]));
  }

  /**
   * The login of a client, created at its first connection.
   * @param name @default the client's name
   * @throws when the login belongs to the database itself or to another client, such as one of the same name in another namespace
   */
  of(client: Client, name = client.name): Login {
    const { noun, reserved, job } = this.props;
    assertValid(client, dnsLabelProblem(name, `the ${noun} of a client`, 40));
    const known = this.logins.get(name);
    if (known && known.client !== client) this.taken(client, name, `that of ${known.client.node.path} too`);
    if (reserved.includes(name)) this.taken(client, name, 'one that the database itself has');
    if (known) return known;
    const secret = new DeclaredSecret(this.database, `${noun}-${name}`, {
      name: `${this.props.name}-${name}`,
      namespaces: [this.props.namespace, client.namespace],
      keys: {
        // Names of clients have no _, so the alternate name collides with no client.
        username: { value: name, alternate: `${name}_2` },
        password: { generate: 'alphanumeric', length: 32 },
        ...this.props.keys,
      },
    });
    const login = { client, secret, uses: new Map<string, DataAccess>() };
    this.logins.set(name, login);
    const { usernameFrom, previousFrom } = loginVariables(name);
    job().addEnv({
      [usernameFrom]: secret.key('username'),
      [passwordVariable(name)]: secret.key('password'),
      [previousFrom]: secret.key('previous-password'),
    });
    return login;
  }

  /** Sorted keyspaces or databases of a login: those that it may write, and those that it may only read. */
  static parted(uses: ReadonlyMap<string, DataAccess>): { readonly own: string[]; readonly readOnly?: string[] } {
    const named = (wanted: DataAccess) =>
      [...uses].flatMap(([name, access]) => (access === wanted ? [name] : [])).sort();
    const readOnly = named('read');
    return { own: named('readWrite'), ...(readOnly.length > 0 && { readOnly }) };
  }

  private taken(client: Client, name: string, whose: string): never {
    const { noun } = this.props;
    return fail(client, {
      what: `the ${noun} of a client of ${this.database.node.path} must be its own`,
      got: `${name}, ${whose}`,
      fix: `give the connection another ${noun}: { ..., ${noun}: '${name}-app' }`,
    });
  }
}

/** Of two connections to the same data, the wider access counts. */
export function widest(known: DataAccess | undefined, access: DataAccess = 'readWrite'): DataAccess {
  return known === 'readWrite' ? known : access;
}
