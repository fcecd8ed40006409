import { credentialIn } from './credentials';
import { filePathProblem } from './mounted-files';
import { dnsLabelProblem } from './names';
import { sentence, visible } from './problem';
import { isDerived, type SecretSource } from './secrets';

/** Random characters of a-z, A-Z and 0-9 have 5.95 bits each: 22 have 128 bits, the least that NIST SP 800-57 accepts after 2030. */
const LEAST_CHARACTERS = 22;
/** The same 128 bits. */
const LEAST_BYTES = 16;
/** No known program takes a longer one. */
const MOST = 1024;
/** RFC 8017 sets no size; NIST SP 800-57 counts 3072 bits as strong as 128, and RFC 7518 requires at least 2048 for RS256. */
const RSA_BITS = 3072;

/** Kind of a key pair: `rsa` for RS256, which every verifier knows; `ed25519` for EdDSA, which is shorter and faster. */
export type KeyPairKind = 'rsa' | 'ed25519';

/** Form of the key that holds a value in its Kubernetes Secret. */
export type SecretPart = 'value' | 'private-key' | 'public-key';

/**
 * A secret of a service: the source of its value, never the value. The bootstrap generates the value or asks for it, and keeps it
 * encrypted in secrets.sops.yaml. The value belongs to the name: under another name the secret gets a new value.
 */
export class Secret {
  /**
   * Random characters of a-z, A-Z and 0-9, which need no escaping in a URL.
   * @param length 22 to 1024; 22 have 128 bits. @default 48, which have the 256 bits that HS256 requires (RFC 7518)
   */
  static generated(length = 48): Secret {
    return new Secret({ generate: 'alphanumeric', length });
  }

  /** Random bytes, which the service gets in base64. @param count 16 to 1024. @default 32, the key of AES-256 */
  static bytes(count = 32): Secret {
    return new Secret({ generate: 'base64', bytes: count });
  }

  /** An SSH key (Ed25519, OpenSSH's own format, no passphrase). The bootstrap shows the line for authorized_keys. */
  static sshKey(): Secret {
    return new Secret({ generate: 'ssh-ed25519' });
  }

  /**
   * A private key as PEM (PKCS #8), such as one that signs tokens. RSA has 3072 bits. To give its public half to others, declare
   * it in `secrets` of the homelab. @default rsa
   */
  static keyPair(kind: KeyPairKind = 'rsa'): Secret {
    return new Secret(kind === 'rsa' ? { generate: 'rsa-key', bits: RSA_BITS } : { generate: `${kind}-key` });
  }

  /** A value that only the owner knows, such as a password of another provider. @param prompt what the bootstrap asks for */
  static asked(prompt: string): Secret {
    return new Secret({ ask: prompt });
  }

  /** A secret that `secrets` of the homelab declares: each service that names it gets the same value. */
  static shared(name: string): Secret {
    return new Secret({ shared: name });
  }

  private constructor(
    /** Source of the value, or the name of the declared secret. */
    readonly source: SecretSource | { readonly shared: string },
    /** Path of the file that holds the value; undefined where a variable does. */
    readonly path?: string,
    /** Whether the service gets the public half alone. */
    readonly isPublic: boolean = false,
  ) {}

  /**
   * The value as a file instead of a variable; the variable NAME_FILE then holds the path (NAME, if it already ends in _FILE).
   * @param path absolute path of the file. Other files of its folder stay
   */
  file(path: string): Secret {
    // Without a path the value would silently be a variable.
    return new Secret(this.source, path ?? '', this.isPublic);
  }

  /** Only the public half of a shared key: as PEM, of an SSH key as a line of authorized_keys. */
  publicHalf(): Secret {
    return new Secret(this.source, this.path, true);
  }
}

/** Secrets by the name of the variable. */
export type Secrets = Readonly<Record<string, Secret>>;

/** Name of the Kubernetes Secret. The dot keeps it apart from names of databases and their clients, which have none. */
export function secretName(owner: string, name: string): string {
  return `${owner}.${name.toLowerCase().replace(/_/g, '-')}`;
}

/** Name of the Kubernetes Secret of a value that several services share. */
export function sharedSecretName(name: string): string {
  return secretName('shared', name);
}

/** The variable of a secret: it holds the value, or the path of the file. */
export function secretVariable(name: string, { path }: Pick<Secret, 'path'>): string {
  return path === undefined || name.endsWith('_FILE') ? name : `${name}_FILE`;
}

/** Keys of the Kubernetes Secret, with the source of each. */
export function keysOfSecret(source: SecretSource): Readonly<Partial<Record<SecretPart, SecretSource>>> {
  return isKeyPair(source)
    ? { 'private-key': source, 'public-key': { publicHalfOf: 'private-key' } }
    : { value: source };
}

function isKeyPair(source: SecretSource): boolean {
  return 'generate' in source && ['rsa-key', 'ed25519-key', 'ssh-ed25519'].includes(source.generate);
}

/** What is wrong with secrets of a service, as a sentence, or undefined. Never shows a value: text here may be one. */
export function secretsProblem(secrets: unknown, what: string): string | undefined {
  if (typeof secrets !== 'object' || secrets === null || Array.isArray(secrets))
    return sentence({
      what: `${what} must be an object of secrets by variable`,
      got: kindOf(secrets),
      fix: 'write it as { JWT_KEY: Secret.generated() }',
    });
  const variables = new Map<string, string>();
  const names = new Map<string, string>();
  for (const [name, secret] of Object.entries(secrets)) {
    const problem = variableProblem(name, what) ?? secretProblem(secret, `${what}.${name}`);
    if (problem !== undefined) return problem;
    const variable = secretVariable(name, secret as Secret);
    const known = names.get(secretName('', name)) ?? variables.get(variable);
    if (known !== undefined)
      return sentence({
        what: `${what}.${name} must have a name of its own`,
        got: variables.has(variable) ? `${variable}, which ${what}.${known} sets` : `the same letters as ${known}`,
        fix: 'rename one of the two',
      });
    variables.set(variable, name);
    names.set(secretName('', name), name);
  }
  return undefined;
}

function variableProblem(name: string, what: string): string | undefined {
  if (/^[A-Za-z]([A-Za-z0-9_]{0,61}[A-Za-z0-9])?$/.test(name)) return undefined;
  return sentence({
    what: `the name ${what}[${JSON.stringify(visible(name))}] must be that of a variable`,
    got: name,
    allowed: '1 to 63 letters, digits and _, first a letter, last no _',
    fix: 'write it like JWT_KEY',
  });
}

/** What is wrong with one secret of a service, as a sentence, or undefined. */
export function secretProblem(value: unknown, what: string): string | undefined {
  if (!(value instanceof Secret))
    return sentence({
      what: `${what} must be a Secret`,
      got: kindOf(value),
      allowed: 'Secret.generated, .bytes, .sshKey, .keyPair, .asked, .shared',
      fix:
        typeof value === 'string'
          ? 'write Secret.asked with what to ask for, and never the value: this file is in Git'
          : 'write Secret.generated()',
    });
  const { source, path, isPublic } = value;
  if (isPublic && !('shared' in source))
    return sentence({
      what: `${what} must not be the public half of a key of its own`,
      got: 'publicHalf()',
      fix: 'declare the key in `secrets` of the homelab, and write Secret.shared(NAME).publicHalf()',
    });
  return sourceProblem(source, what) ?? (path === undefined ? undefined : filePathProblem(path, `${what}.file`));
}

/** What is wrong with a secret that `secrets` of the homelab declares, as a sentence, or undefined. */
export function declaredSecretProblem(value: unknown, what: string): string | undefined {
  const problem = secretProblem(value, what);
  if (problem !== undefined) return problem;
  const { source, path } = value as Secret;
  if ('shared' in source)
    return sentence({
      what: `${what} must say where the value comes from`,
      got: `Secret.shared(${JSON.stringify(source.shared)})`,
      allowed: 'Secret.generated, .bytes, .sshKey, .keyPair, .asked',
      fix: 'write Secret.shared in the services that use it',
    });
  if (path === undefined) return undefined;
  return sentence({
    what: `${what} must be declared without a file`,
    got: path,
    fix: 'let each service choose: Secret.shared(NAME).file(PATH)',
  });
}

function sourceProblem(source: Secret['source'], what: string): string | undefined {
  if ('shared' in source) return dnsLabelProblem(source.shared, `${what}: the name of a shared secret`);
  if ('ask' in source) return promptProblem(source.ask, what);
  if (isDerived(source) || 'value' in source) return undefined;
  if (source.generate === 'alphanumeric')
    return numberProblem(source.length, LEAST_CHARACTERS, 'characters', `Secret.generated(48)`, what);
  if (source.generate === 'base64') return numberProblem(source.bytes, LEAST_BYTES, 'bytes', 'Secret.bytes(32)', what);
  if (['ssh-ed25519', 'rsa-key', 'ed25519-key'].includes(source.generate)) return undefined;
  return sentence({
    what: `${what} must be a key pair of a known kind`,
    got: source.generate.replace(/-key$/, ''),
    allowed: 'rsa, ed25519',
    fix: 'write Secret.keyPair()',
  });
}

function numberProblem(value: unknown, least: number, unit: string, example: string, what: string): string | undefined {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= MOST) return undefined;
  return sentence({
    what: `${what} must have ${least} to ${MOST} ${unit}`,
    got: value,
    allowed: `whole numbers; fewer than ${least} have less than 128 bits, which can be guessed`,
    fix: `write ${example}`,
  });
}

function promptProblem(prompt: unknown, what: string): string | undefined {
  const problem = (got: unknown, fix: string) =>
    sentence({ what: `${what} must ask with one line of 1 to 200 characters`, got, fix });
  if (typeof prompt !== 'string' || prompt.trim() === '' || prompt.length > 200 || prompt !== visible(prompt))
    return problem(
      typeof prompt === 'string' ? prompt : kindOf(prompt),
      "write what the bootstrap asks for: Secret.asked('password of the mail account')",
    );
  // Does not show it: it may be the password.
  if (credentialIn('', prompt) === undefined) return undefined;
  return problem(
    'what looks like the value itself',
    'write what it is, and give the value to the bootstrap; if it was committed, change it where it is used',
  );
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'string') return 'text, which is not shown';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'another object' : `a ${typeof value}`;
}
