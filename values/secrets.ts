/**
 * Source of a key's value, never the value itself: synth writes the list of declared secrets without values; the bootstrap
 * generates each value once and stores it encrypted.
 */
export type SecretSource =
  /** Random characters of a-z, A-Z and 0-9, which need no escaping in a URL or a CQL string. */
  | { readonly generate: 'alphanumeric'; readonly length: number }
  /** Random bytes in base64. */
  | { readonly generate: 'base64'; readonly bytes: number }
  /** An SSH key of its own, as OpenSSH writes private keys. The bootstrap shows its public half. */
  | { readonly generate: 'ssh-ed25519' }
  /** A private key as PEM (PKCS #8). */
  | { readonly generate: 'rsa-key'; readonly bits: number }
  | { readonly generate: 'ed25519-key' }
  /** The public half of another key of the same secret: PEM, of an SSH key a line of authorized_keys. Derived, never stored. */
  | { readonly publicHalfOf: string }
  /** A certificate chain for these names from the homelab's own authority. */
  | { readonly generate: 'certificate'; readonly dnsNames: readonly string[] }
  /** The private key of the `certificate` in the same secret. */
  | { readonly generate: 'certificate-key' }
  /** Another key of the same secret, percent-encoded for a URI. Derived, never stored. */
  | { readonly percentEncoded: string }
  /**
   * Not secret: a user name that belongs to the password. With `alternate` it has two forms: each rotation of the secret switches
   * to the other one, so that the old login works until all pods use the new one.
   */
  | { readonly value: string; readonly alternate?: string }
  /** Only the owner knows the value; the text is the prompt. */
  | { readonly ask: string };

/** Whether a value follows from another key of the same secret. */
export function isDerived(
  source: SecretSource | undefined,
): source is Extract<SecretSource, { percentEncoded: string } | { publicHalfOf: string }> {
  return source !== undefined && ('percentEncoded' in source || 'publicHalfOf' in source);
}

/** Type of the Secret. The last two prescribe keys: tls.crt and tls.key, and .dockerconfigjson. */
export type SecretType = 'Opaque' | 'kubernetes.io/tls' | 'kubernetes.io/dockerconfigjson';

/** A secret that the cluster needs, as dist/secrets.yaml lists it: synth writes the list, the bootstrap reads it. */
export interface ListedSecret {
  readonly name: string;
  /** Where it must exist, with the same values. */
  readonly namespaces: readonly string[];
  readonly type: SecretType;
  readonly keys: Readonly<Record<string, SecretSource>>;
  /** Construct paths of those that use it. */
  readonly readers: readonly string[];
}

/** Encrypted values of the secrets of the cluster. sops encrypts the values, and leaves the keys in clear. */
export const ENCRYPTED_SECRETS = 'secrets.sops.yaml';

/** A section of that file: values by namespace, name and key. */
export type SecretPlaces = {
  readonly [namespace: string]: { readonly [name: string]: Readonly<Record<string, string>> };
};

/**
 * All values of a section, each with where it stands: namespace, name, key.
 * @returns also the path of what has another structure, if anything has
 */
export function secretValues(section: unknown): { readonly values: SecretValue[]; readonly wrong?: string } {
  const values: SecretValue[] = [];
  let wrong: string | undefined;
  const visit = (value: unknown, path: readonly string[]) => {
    if (path.length === 3 && typeof value === 'string') values.push([path as SecretValue[0], value]);
    else if (path.length === 3 || typeof value !== 'object' || value === null || Array.isArray(value))
      wrong ??= path.join('.');
    else for (const [key, each] of Object.entries(value)) visit(each, [...path, key]);
  };
  visit(section ?? {}, []);
  return { values, ...(wrong !== undefined && { wrong }) };
}

type SecretValue = readonly [where: readonly [namespace: string, name: string, key: string], value: string];
