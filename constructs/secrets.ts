import { Construct, type IConstruct } from 'constructs';
import { dataKeyProblem } from '../values/files';
import { dnsNameProblem } from '../values/names';
import { sentence } from '../values/problem';
import { declaredSecretProblem, keysOfSecret, sharedSecretName, type Secret } from '../values/secret';
import type { SecretSource, SecretType } from '../values/secrets';
import { assertValid, fail, validateTree } from './validation';

export type { SecretSource, SecretType };

/** Annotation of a workload: names of the secrets that its pods read repeatedly as files. A new value restarts nothing. */
export const READS_AGAIN = 'collab-homelab/reads-again';

/** Props of a secret: name, namespaces and keys. Its values are created elsewhere. */
export interface DeclaredSecretProps {
  /** Name of the Secret: a DNS name, declared once per namespace. */
  readonly name: string;
  /** Namespaces in which it must exist, with the same values. */
  readonly namespaces: readonly string[];
  /** Keys of the Secret, and the source of each value. */
  readonly keys: Readonly<Record<string, SecretSource>>;
  /** @default Opaque */
  readonly type?: SecretType;
}

/** One key of a declared secret, as the value of an environment variable. */
export interface SecretKey {
  /** The secret. A workload that uses the key is registered as a reader, so the Secret must also exist in its namespace. */
  readonly secret: DeclaredSecret;
  /** A key of the secret: `DeclaredSecret.key` refuses others. */
  readonly key: string;
  /** Whether the variable is left out where the Secret lacks the key. @default false */
  readonly optional?: boolean;
}

/** A secret that the bootstrap creates in the cluster: name, keys and sources, never a value. Renders no object. */
export class DeclaredSecret extends Construct {
  /** All secrets that a tree declares, sorted by name. */
  static all(root: IConstruct): DeclaredSecret[] {
    const found = root.node.findAll().filter((node): node is DeclaredSecret => node instanceof DeclaredSecret);
    return found.sort((a, b) => (`${a.name} ${a.namespaces.join()}` < `${b.name} ${b.namespaces.join()}` ? -1 : 1));
  }

  /** Declares a value that several services use, each by `Secret.shared(name)`. Declare it before them. */
  static declareShared(scope: Construct, name: string, value: Secret): DeclaredSecret {
    assertValid(scope, declaredSecretProblem(value, `shared secret ${name}`));
    const { source } = value;
    if ('shared' in source) throw new Error(`shared secret ${name} has no source`);
    const props = { name: sharedSecretName(name), namespaces: [], keys: keysOfSecret(source) };
    return new DeclaredSecret(scope, props.name, props);
  }

  /** The shared secret of that name. @throws when none was declared before */
  static shared(scope: IConstruct, name: string): DeclaredSecret {
    const all = DeclaredSecret.all(scope.node.root);
    const found = all.find((secret) => secret.name === sharedSecretName(name));
    if (found) return found;
    const shared = all.flatMap((secret) => (secret.name.startsWith(SHARED) ? [secret.name.slice(SHARED.length)] : []));
    return fail(scope, {
      what: 'a shared secret must be declared before the services that use it',
      got: name,
      allowed: shared.join(', ') || undefined,
      fix: `write DeclaredSecret.declareShared(app, '${name}', Secret.generated()) before them`,
    });
  }

  /** Name of the Secret, the same in each namespace. */
  readonly name: string;
  /** Type of the Secret, which is immutable in Kubernetes. */
  readonly type: SecretType;
  /** Keys of the Secret, and the source of each value. */
  readonly keys: Readonly<Record<string, SecretSource>>;
  private readonly places: Set<string>;
  private readonly reading = new Set<string>();

  constructor(scope: Construct, id: string, props: DeclaredSecretProps) {
    super(scope, id);
    assertValid(
      this,
      dnsNameProblem(props.name, 'the name of a secret'),
      ...Object.keys(props.keys).map((key) => dataKeyProblem(key, `a key of secret ${props.name}`)),
    );
    this.name = props.name;
    this.type = props.type ?? 'Opaque';
    this.keys = props.keys;
    this.places = new Set(props.namespaces);
    validateTree(this, declaredTwice);
  }

  /** Namespaces in which it must exist, sorted: the declared ones and those of its readers. */
  get namespaces(): string[] {
    return [...this.places].sort();
  }

  /** Construct paths of its readers. */
  get readers(): string[] {
    return [...this.reading].sort();
  }

  /** Registers a reader, in whose namespace the secret must exist. */
  readBy(reader: IConstruct, namespace: string): void {
    this.reading.add(reader.node.path);
    this.places.add(namespace);
  }

  /**
   * One of its keys, for an environment variable. `previous-KEY` holds the old value, and exists only in the namespace of a
   * database while the secret is rotated. @throws on a key that the secret does not have
   */
  key(key: string): SecretKey {
    const isPrevious = key.startsWith('previous-');
    if (!Object.hasOwn(this.keys, isPrevious ? key.slice('previous-'.length) : key)) {
      fail(this, {
        what: `secret ${this.name} must have the key`,
        got: key,
        allowed: Object.keys(this.keys).join(', '),
        fix: 'name one of its keys',
      });
    }
    return { secret: this, key, ...(isPrevious && { optional: true }) };
  }

  /** The key that holds the value of a `Secret`; of a key pair the private half, or the public one. */
  valueKey(isPublic = false): SecretKey {
    if (isPublic) return this.key('public-key');
    return this.key(Object.hasOwn(this.keys, 'private-key') ? 'private-key' : 'value');
  }
}

const SHARED = sharedSecretName('');

/** Reports two secrets with the same name and namespace: one would overwrite the other. */
function declaredTwice(root: IConstruct): string[] {
  const owners = new Map<string, DeclaredSecret>();
  return DeclaredSecret.all(root).flatMap((secret) =>
    secret.namespaces.flatMap((namespace) => {
      const place = `${namespace}/${secret.name}`;
      const other = owners.get(place);
      owners.set(place, secret);
      if (!other) return [];
      const got = `two declarations, ${other.node.path} and ${secret.node.path}`;
      return [
        sentence({ what: `secret ${place} must be declared once`, got, fix: 'give one of the two another name' }),
      ];
    }),
  );
}
