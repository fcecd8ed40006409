import type { ConnectionField, ConnectionKind } from './connection-fields';
import { suggested } from './nearest';
import { sentence } from './problem';

/** Further choices of `Env.from`. */
export interface EnvFromOptions {
  /**
   * For `uri` of a MongoDB: another database, with the same login, such as `local` for the oplog. The login must have a role
   * there. @default the database of the connection
   */
  readonly database?: string;
}

/** What a pod knows of itself, and the field of its object that says it. */
export const POD_FIELDS = {
  /** Address of the pod, a new one for each pod. */
  ip: 'status.podIP',
  /** Name of the pod. */
  name: 'metadata.name',
  /** Its namespace. */
  namespace: 'metadata.namespace',
  /** Name of the node on which it runs. */
  node: 'spec.nodeName',
} as const;

/** A word of `Env.pod`. */
export type PodField = keyof typeof POD_FIELDS;

/** The value of an environment variable that the pod gives; made by `Env.pod`. */
export class PodEnv {
  constructor(
    /** What of the pod. */
    readonly field: PodField,
  ) {}
}

/** The value of an environment variable that a connection gives, under any name that an image wants. */
export class Env {
  /**
   * What a pod knows of itself: `INSTANCE_IP: Env.pod('ip')`. For programs that find each other, or that write where they run.
   * @param field ip, name, namespace or node
   */
  static pod(field: PodField): PodEnv {
    return new PodEnv(field);
  }

  /**
   * A field of a connection: `MONGO_URL: Env.from('mongodb', 'uri')`.
   * @param connection its `as`, else the name of its target
   * @param field such as host, port, url, uri, username or password; the error for an unknown one lists those of the connection
   */
  static from(connection: string, field: ConnectionField, { database }: EnvFromOptions = {}): Env {
    return new Env(connection, field, database);
  }

  private constructor(
    /** Name of the connection. */
    readonly connection: string,
    /** Its field. */
    readonly field: ConnectionField,
    /** Another database for the field `uri`. */
    readonly database: string | undefined,
  ) {}
}

/** What is wrong with a value of `Env.pod`, as a sentence, or undefined. */
export function podEnvProblem({ field }: PodEnv, what: string): string | undefined {
  if (Object.hasOwn(POD_FIELDS, field)) return undefined;
  const words = Object.keys(POD_FIELDS);
  return sentence({
    what: `${what} must take what a pod knows of itself`,
    got: field,
    allowed: words.join(', '),
    fix: suggested(field, words, "write it as Env.pod('ip')"),
  });
}

/** A connection by its name, and the fields that it has. */
export interface NamedConnection {
  readonly kind: ConnectionKind;
  readonly name: string;
  readonly fields: readonly string[];
}

/** What is wrong with a value of `Env.from`, as a sentence, or undefined. */
export function envFromProblem(
  { connection, field, database }: Env,
  connections: readonly NamedConnection[],
  what: string,
): string | undefined {
  const named = connections.filter(({ name }) => name === connection);
  const [found] = named;
  if (found === undefined) {
    const names = connections.map(({ name }) => name);
    return sentence({
      what: `${what} must take its value from a connection of the same service`,
      got: connection,
      allowed: names.join(', ') || 'it has no connection',
      fix: suggested(connection, names, 'correct the name, or add the connection'),
    });
  }
  if (named.length > 1)
    return sentence({
      what: `${what} must take its value from one connection`,
      got: `${connection}, the name of ${named.length} connections`,
      fix: "give one of them a name of its own: { ..., as: 'other' }",
    });
  if (!found.fields.includes(field))
    return sentence({
      what: `${what} must take a field that the connection ${connection} has`,
      got: field,
      allowed: found.fields.join(', ') || 'it has none',
      fix: suggested(field, found.fields, 'choose one of them'),
    });
  if (database === undefined || (found.kind === 'mongodb' && field === 'uri')) return undefined;
  return sentence({
    what: `${what} must name a database only with the field uri of a MongoDB`,
    got: database,
    fix: 'leave `database` out',
  });
}
