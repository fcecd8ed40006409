import type { k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { refuse } from './refuse';
import type { SecretKey } from './secrets';

/** The value of an environment variable: plain text (in which `$(NAME)` stands for an earlier variable), or a key of a secret. */
export type EnvValue = string | SecretKey;

/** Environment variables in the order in which they were added, so that `$(NAME)` finds what it refers to. */
export class Environment {
  private readonly variables = new Map<string, EnvValue>();

  constructor(
    private readonly owner: IConstruct,
    private readonly namespace: string,
  ) {}

  /** @throws on a name that is taken or that no shell could read */
  add(env: Readonly<Record<string, EnvValue>>): void {
    for (const [name, value] of Object.entries(env)) {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        refuse(this.owner, {
          what: 'an environment variable must have a name of letters, digits and _',
          got: name,
          fix: 'rename it',
        });
      }
      if (this.variables.has(name)) {
        refuse(this.owner, {
          what: `environment variable ${name} must be set once`,
          got: 'a second value',
          fix: 'give one of the connections another `envPrefix`, or rename the variable',
        });
      }
      if (typeof value === 'object' && value?.secret) value.secret.readBy(this.owner, this.namespace);
      else if (typeof value !== 'string')
        refuse(this.owner, { what: `environment variable ${name} must be text`, got: value, fix: 'quote it' });
      this.variables.set(name, value);
    }
  }

  /** None rather than an empty list, which is stored as none and would differ for ever. */
  render(): k8s.EnvVar[] | undefined {
    if (this.variables.size === 0) return undefined;
    return [...this.variables].map(([name, value]) =>
      typeof value === 'string'
        ? { name, value }
        : { name, valueFrom: { secretKeyRef: { name: value.secret.name, key: value.key } } },
    );
  }
}

/** The variable in which a database's own job finds the password of a client. */
export function passwordVariable(client: string): string {
  return `PASSWORD_${client.toUpperCase().replace(/-/g, '_')}`;
}
