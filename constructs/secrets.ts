import { Construct, type IConstruct } from 'constructs';
import { dataKeyProblem } from '../values/files';
import { dnsNameProblem } from '../values/names';
import { sentence } from '../values/problem';
import { assertValid, fail, validateTree } from './validation';

/**
 * Where a key's value comes from. Never the value itself: synth writes the list of declared secrets without values, the
 * bootstrap generates each once and keeps it encrypted.
 */
export type SecretSource =
  /** Random characters of a-z, A-Z and 0-9, so that they stand in a URL or a CQL string as they are. */
  | { readonly generate: 'alphanumeric'; readonly length: number }
  /** Random bytes in base64. */
  | { readonly generate: 'base64'; readonly bytes: number }
  /** An SSH key of its own, as OpenSSH writes private keys. The bootstrap shows its public half. */
  | { readonly generate: 'ssh-ed25519' }
  /** A certificate chain for these names from the homelab's own authority. */
  | { readonly generate: 'certificate'; readonly dnsNames: readonly string[] }
  /** The private key of the `certificate` in the same secret. */
  | { readonly generate: 'certificate-key' }
  /** Another key of the same secret, percent-encoded, so that it stands in a URI whatever characters it has. Never kept. */
  | { readonly percentEncoded: string }
  /**
   * Not secret: a user name that stands beside its password. With `alternate` it has two forms by turns: each rotation of the
   * secret takes the other one, so that the old login works until nobody uses it.
   */
  | { readonly value: string; readonly alternate?: string }
  /** Only the owner knows it; the text says what to type. */
  | { readonly ask: string };

/** Type of the Secret. The last two prescribe keys: tls.crt and tls.key, and .dockerconfigjson. */
export type SecretType = 'Opaque' | 'kubernetes.io/tls' | 'kubernetes.io/dockerconfigjson';

/** Annotation of a workload: names of the secrets that its pods read as files, again and again. A new value restarts nothing. */
export const READS_AGAIN = 'collab-homelab/reads-again';

/** A secret by name, places and keys; its values are made elsewhere. */
export interface DeclaredSecretProps {
  /** Name of the Secret: a DNS name, declared once per namespace. */
  readonly name: string;
  /** Where it must exist; the value is the same in each. */
  readonly namespaces: readonly string[];
  /** Keys of the Secret, and where the value of each comes from. */
  readonly keys: Readonly<Record<string, SecretSource>>;
  /** @default Opaque */
  readonly type?: SecretType;
}

/** One key of a declared secret, as the value of an environment variable. */
export interface SecretKey {
  /** Whoever uses the key becomes its reader, so it must exist in that namespace, too. */
  readonly secret: DeclaredSecret;
  /** A key that it has: `DeclaredSecret.key` refuses any other. */
  readonly key: string;
  /** Whether the variable is left out where the Secret lacks the key. @default false */
  readonly optional?: boolean;
}

/** A secret that someone else must put into the cluster: name, keys and origin, never a value. It renders no object. */
export class DeclaredSecret extends Construct {
  /** All secrets that a tree declares, sorted by name. */
  static all(root: IConstruct): DeclaredSecret[] {
    const found = root.node.findAll().filter((node): node is DeclaredSecret => node instanceof DeclaredSecret);
    return found.sort((a, b) => (`${a.name} ${a.namespaces.join()}` < `${b.name} ${b.namespaces.join()}` ? -1 : 1));
  }

  /** Name of the Secret, the same in each namespace. */
  readonly name: string;
  /** What the Secret must be made as; Kubernetes never changes a type afterwards. */
  readonly type: SecretType;
  /** Keys of the Secret, and where the value of each comes from. */
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

  /** Where it must exist, sorted: what was declared, and where its readers are. */
  get namespaces(): string[] {
    return [...this.places].sort();
  }

  /** Who reads it, by construct path. */
  get readers(): string[] {
    return [...this.reading].sort();
  }

  /** Notes a reader, and that the secret must exist in its namespace. */
  readBy(reader: IConstruct, namespace: string): void {
    this.reading.add(reader.node.path);
    this.places.add(namespace);
  }

  /**
   * One of its keys, for an environment variable. `previous-KEY` is there only in the namespace of a database while the secret
   * is rotated, and holds what is replaced. @throws on a key that the secret does not have
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
}

/** Two secrets that share name and namespace: who generates one overwrites the other. */
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
