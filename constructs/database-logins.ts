import type { Construct } from 'constructs';
import { dnsLabelProblem } from '../values/names';
import type { Client } from './connections';
import { loginVariables, passwordVariable } from './env';
import type { HashNamedJob } from './hash-named-job';
import { assertValid, fail } from './validation';
import { DeclaredSecret, type SecretSource } from './secrets';

/** What a client may do with the data of a connection. */
export type DataAccess = 'read' | 'readWrite';

/** The login of one client: its secret, and what it may do with which keyspaces or databases. */
export interface Login {
  readonly secret: DeclaredSecret;
  readonly uses: Map<string, DataAccess>;
}

export interface DatabaseLoginsProps {
  /** Of the database: secrets are called NAME-LOGIN. */
  readonly name: string;
  readonly namespace: string;
  /** What the database calls a login, which is also the option that names one: `role` or `user`. */
  readonly noun: 'role' | 'user';
  /** Logins and secrets that the database itself has. */
  readonly reserved: readonly string[];
  /** Keys that the secret has besides username and password. */
  readonly keys?: Readonly<Record<string, SecretSource>>;
  /** Brings the logins into the database. */
  readonly job: () => HashNamedJob;
}

/** The logins that clients of a database have, each with a secret of its own. */
export class DatabaseLogins {
  private readonly logins = new Map<string, Login & { readonly client: Client }>();

  constructor(
    private readonly database: Construct,
    private readonly props: DatabaseLoginsProps,
  ) {}

  /** What each login may use, by its name. */
  get uses(): ReadonlyMap<string, ReadonlyMap<string, DataAccess>> {
    return new Map([...this.logins].map(([login, { uses }]) => [login, uses]));
  }

  /**
   * The login of a client, made at its first connection.
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
        // No client's name has a _, so the other one is nobody's.
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

  /** Names of what a login may use, in order: all that it may write, and what it may only read. */
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

/** Two connections to the same data: the one that may do more counts. */
export function widest(known: DataAccess | undefined, access: DataAccess = 'readWrite'): DataAccess {
  return known === 'readWrite' ? known : access;
}
