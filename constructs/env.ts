import { ApiObject } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { fieldsOfKind } from '../values/connection-fields';
import { Env, envFromProblem, POD_FIELDS, PodEnv, podEnvProblem } from '../values/env';
import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';
import { stringProblem } from '../values/processes';
import { variableNameProblem } from '../values/variable-names';
import { Client } from './connections';
import { podSpecOf } from './footprint';
import { assertValid, fail } from './validation';
import { jsonOf, type Json } from './rendering';
import type { SecretKey } from './secrets';

/**
 * The value of an environment variable: text, a key of a secret, `Env.from` for what a connection gives, or `Env.pod` for what the
 * pod knows of itself. In text, `$(NAME)` refers to another variable of the same container, in any order, and `$$(NAME)` is the
 * literal text `$(NAME)`. All other text is passed unchanged, including `$` and `$$`. A reference to a variable that does not
 * exist is refused.
 */
export type EnvValue = string | SecretKey | Env | PodEnv;

/** A value once all connections are known. */
type Resolved = Exclude<EnvValue, Env>;

/** Environment variables of one container, rendered in an order in which the kubelet can resolve every reference. */
export class Environment {
  private readonly added = new Map<string, EnvValue>();
  private readonly own = new Map<string, EnvValue>();

  constructor(
    private readonly owner: IConstruct,
    private readonly namespace: string,
    own: Readonly<Record<string, EnvValue>> = {},
  ) {
    this.put(own, this.own);
    owner.node.addValidation({ validate: () => this.problems() });
  }

  /** @throws on a name that is taken or that the API server refuses */
  add(env: Readonly<Record<string, EnvValue>>): void {
    this.put(env, this.added);
  }

  /** Undefined instead of an empty list: the API server drops empty lists, so Argo CD would always show a diff. */
  render(): k8s.EnvVar[] | undefined {
    const variables = inOrder(this.resolved());
    if (variables.length === 0) return undefined;
    return variables.map(([name, value]) =>
      typeof value === 'string' ? { name, value: forKubelet(value) } : { name, valueFrom: sourceOf(value) },
    );
  }

  /** What `Env.from` cannot take, else references that the kubelet would not resolve, in every pod of the owner. */
  private problems(): string[] {
    const problems = this.fromConnections().flatMap(({ problem }) => problem ?? []);
    return problems.length > 0 ? problems : [...new Set(this.owner.node.children.flatMap(undefinedReferences))];
  }

  private variables(): ReadonlyMap<string, EnvValue> {
    return new Map([...this.added, ...this.own]);
  }

  /** The variables of `Env.from`, with their values or what is wrong with them. Known only after all connections are. */
  private fromConnections(): readonly FromConnection[] {
    const { owner } = this;
    const connections = owner instanceof Client ? owner.connectionEnv : [];
    return [...this.variables()].flatMap(([name, value]) =>
      value instanceof Env ? [{ name, ...fromConnection(value, connections, `environment variable ${name}`) }] : [],
    );
  }

  private resolved(): ReadonlyMap<string, Resolved> {
    const values = new Map(this.fromConnections().map((each) => [each.name, each]));
    return new Map(
      [...this.variables()].map(([name, value]) => {
        if (!(value instanceof Env)) return [name, value];
        const { problem, value: given } = values.get(name)!;
        return [name, given ?? fail(this.owner, problem!)];
      }),
    );
  }

  private put(env: Readonly<Record<string, EnvValue>>, group: Map<string, EnvValue>): void {
    if (typeof env !== 'object' || env === null || Array.isArray(env))
      fail(this.owner, { what: 'env must be values by name', got: env, fix: "write it as { LOG_LEVEL: 'info' }" });
    for (const [name, value] of Object.entries(env)) {
      assertValid(this.owner, variableNameProblem(name, 'an environment variable'));
      if (this.variables().has(name)) {
        fail(this.owner, {
          what: `environment variable ${name} must be set once`,
          got: 'a second value',
          fix: "name one of the connections, as { as: 'archive' }, or rename the variable",
        });
      }
      if (
        typeof value === 'object' &&
        value !== null &&
        'secret' in value &&
        typeof value.secret?.readBy === 'function'
      ) {
        value.secret.key(value.key);
        value.secret.readBy(this.owner, this.namespace);
      } else if (!(value instanceof Env)) assertValid(this.owner, ownProblem(value, `environment variable ${name}`));
      group.set(name, value);
    }
  }
}

/** A variable of `Env.from`: its value, or what is wrong with it. */
interface FromConnection {
  readonly name: string;
  readonly value?: string | SecretKey;
  readonly problem?: string;
}

function fromConnection(env: Env, connections: Client['connectionEnv'], what: string): Omit<FromConnection, 'name'> {
  const problem = envFromProblem(
    env,
    connections.map(({ kind, name, fields }) => ({
      kind,
      name,
      fields: fieldsOfKind(kind).filter((field) => fields[field] !== undefined),
    })),
    what,
  );
  if (problem !== undefined) return { problem };
  const { fields, uriOf } = connections.find(({ name }) => name === env.connection)!;
  if (env.database === undefined) return { value: fields[env.field]! };
  const value = uriOf!(env.database);
  if (value !== undefined) return { value };
  return {
    problem: sentence({
      what: `${what} must name a database on which the login of ${env.connection} has a role`,
      got: env.database,
      fix: `give it one: access: ['readWrite', { role: 'read', database: '${env.database}' }]`,
    }),
  };
}

function ownProblem(value: unknown, what: string): string | undefined {
  return value instanceof PodEnv ? podEnvProblem(value, what) : stringProblem(value, what);
}

function sourceOf(value: SecretKey | PodEnv): k8s.EnvVarSource {
  if (value instanceof PodEnv) return { fieldRef: { fieldPath: POD_FIELDS[value.field] } };
  return { secretKeyRef: { name: value.secret.name, key: value.key, optional: value.optional } };
}

/** The kubelet reads `$$` as one `$`: doubles `$` in text, except before a parenthesis, where `$$` marks literal text. */
function forKubelet(text: string): string {
  return text.replace(/\${2,}(?!\$*\()/g, (dollars) => dollars + dollars);
}

/** Escapes text so that it contains no reference. */
export function plainText(text: string): string {
  return text.replace(/\$+(?=\()/g, (dollars) => dollars + dollars);
}

/** Names that a text refers to, by the rules of the kubelet (third_party/forked/golang/expansion of Kubernetes). */
function referencesIn(text: string): string[] {
  return [...text.matchAll(/\$(?:\(([^)]*)\)|[^])/g)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

/** Variables of text alone, in an order in which the kubelet can resolve every reference. */
export function textVariables(env: Readonly<Record<string, string>> = {}): { name: string; value: string }[] {
  return inOrder(new Map(Object.entries(env))).map(([name, value]) => ({ name, value: forKubelet(value as string) }));
}

/** Sorts each variable after those that it refers to, and otherwise keeps the order. */
function inOrder(variables: ReadonlyMap<string, Resolved>): [string, Resolved][] {
  const ordered = new Map<string, Resolved>();
  const begun = new Set<string>();
  const put = (name: string): void => {
    const value = variables.get(name);
    if (value === undefined || begun.has(name)) return;
    begun.add(name);
    if (typeof value === 'string') referencesIn(forKubelet(value)).forEach(put);
    ordered.set(name, value);
  };
  for (const name of variables.keys()) put(name);
  return [...ordered];
}

/** Variables for the API server, which every container gets, also without service links. */
const OF_THE_API_SERVER = /^KUBERNETES_(SERVICE_HOST|SERVICE_PORT(_HTTPS)?|PORT(_443_TCP(_(PROTO|PORT|ADDR))?)?)$/;

/** References in an object's pods that the kubelet would not resolve. Reads the rendered object, because an escape hatch may add variables. */
function undefinedReferences(node: IConstruct): string[] {
  const pod = ApiObject.isApiObject(node) ? podSpecOf(jsonOf(node)) : undefined;
  return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].flatMap(inContainer);
}

function inContainer({ env = [], command = [], args = [] }: Json): string[] {
  const all = env.map(({ name }: Json) => name);
  const missing = (text: string, known: readonly string[]) =>
    referencesIn(text).filter((name) => !known.includes(name) && !OF_THE_API_SERVER.test(name));
  return [
    ...env.flatMap(({ name, value = '' }: Json, index: number) =>
      missing(value, all.slice(0, index)).map((other) =>
        undefinedReference(`environment variable ${name}`, other, all),
      ),
    ),
    ...[...command, ...args].flatMap((text: string) =>
      missing(text, all)
        .filter((name) => SET_BY_SOMEBODY.test(name))
        .map((name) => undefinedReference('a command', name, all)),
    ),
  ];
}

/** References in a command, in upper case: `$(...)` in lower case is a command for a shell. */
const SET_BY_SOMEBODY = /^[A-Z][A-Z0-9_]*$/;

function undefinedReference(what: string, name: string, all: readonly string[]): string {
  return sentence({
    what: `${what} must refer to variables that are set before it`,
    got: `$(${name})`,
    allowed: all.join(', ') || 'none exists',
    fix: all.includes(name)
      ? 'let no variable refer to itself, nor two to each other, and put those of overridePodSpec first'
      : suggested(name, all, `connect to what sets it, or write $$(${name}) for the text itself`),
  });
}

/** The variable that holds the password of a client in the database's job. */
export function passwordVariable(client: string): string {
  return `PASSWORD_${variablePart(client)}`;
}

/** Variables of a client's login in the database's job, besides its password. */
export function loginVariables(client: string): { readonly usernameFrom: string; readonly previousFrom: string } {
  return { usernameFrom: `USERNAME_${variablePart(client)}`, previousFrom: `PREVIOUS_${passwordVariable(client)}` };
}

function variablePart(client: string): string {
  return client.toUpperCase().replace(/-/g, '_');
}
