import { randomBytes, randomInt } from 'node:crypto';
import type { Homelab } from '../../inventory';
import { isDerived, type ListedSecret } from '../../values/secrets';
import type { Ask } from '../engine/ask';
import { Blocked, NotReady } from '../engine/problem';
import type { Sops } from '../engine/sops';
import { keptAuthority } from './authority';
import { issue, renewalReason, type Pair } from './certificates';
import { certificateKeys, otherNames, withDerived, type Values } from './declared';
import { givenValue } from './given';
import { ed25519Key, rsaKey } from './key-pair';
import { LOGIN, registryLogin } from './registry-login';
import { sshKey } from './ssh-key';
import { isUnderWay, valuesOf, withValues, type Kept } from './store';

/** Creates new values: random ones, certificates of the own authority, and values that only the owner knows. */
export class SecretMaker {
  constructor(
    private readonly homelab: Homelab,
    private readonly sops: Sops,
    private readonly ask: Ask,
  ) {}

  async make(secret: ListedSecret, keys: readonly string[]): Promise<Values> {
    const authority = certificateKeys(secret) && (await keptAuthority(this.sops, this.homelab));
    return makeValues(secret, keys, authority, (key) => this.asked(secret, key));
  }

  /** The same with new values for some keys, and the old ones beside them. */
  async replaced(secret: ListedSecret, kept: Kept, keys: readonly string[]): Promise<Kept> {
    const old = valuesOf(secret, kept);
    const others = Object.entries(otherNames(secret, old)).filter(([key]) => keys.includes(key));
    // The other name, so that the old login works until nobody uses it.
    const made = { ...(await this.make(secret, keys)), ...Object.fromEntries(others) };
    const before: Values = Object.fromEntries(keys.filter((key) => key in old).map((key) => [key, old[key]!]));
    return {
      secrets: withValues(kept.secrets, secret, secret.namespaces, made),
      previous: withValues(kept.previous, secret, secret.namespaces, before),
    };
  }

  /**
   * Certificates that must be renewed, with the reason. None twice: a renewal that is under way is finished first.
   * @throws NotReady when there are certificates, and the authority that they must be from is still to be made
   */
  async renewals(declared: readonly ListedSecret[], kept: Kept): Promise<ReadonlyMap<ListedSecret, string>> {
    const authority = await keptAuthority(this.sops, this.homelab);
    const certificates = declared.filter((secret) => certificateKeys(secret) !== undefined);
    if (authority === undefined && certificates.some((secret) => Object.keys(valuesOf(secret, kept)).length > 0))
      throw new NotReady('the authority must be created first');
    const found = certificates.flatMap((secret): [ListedSecret, string][] => {
      if (authority === undefined || isUnderWay(secret, kept)) return [];
      const why = renewal(secret, valuesOf(secret, kept), authority.certificate);
      return why === undefined ? [] : [[secret, why]];
    });
    return new Map(found);
  }

  /** What only the owner knows, in the form that the secret must have. */
  private async asked(secret: ListedSecret, key: string): Promise<string> {
    const [question] = questionsOf(secret, [key]);
    const answer = await this.ask.secret(question!);
    if (secret.type !== LOGIN) return givenValue(answer, secret.name);
    if (answer.trim() === '') throw new Blocked(`${secret.name} must not be empty; run this again`);
    if (this.homelab.registry === undefined)
      throw new Blocked(`homelab.ts must name the registry that ${secret.name} is a login for, in registry`);
    return registryLogin(answer.trim(), this.homelab.registry.server);
  }
}

/** What is asked for some keys of a secret. */
export function questionsOf({ name, type, keys }: ListedSecret, some: readonly string[]): string[] {
  return some.flatMap((key) => {
    const source = keys[key]!;
    return 'ask' in source ? [`${name}: ${source.ask}${type === LOGIN ? ', or as USER:TOKEN' : ', or file:PATH'}`] : [];
  });
}

/**
 * New values for some keys of a secret.
 * @param authority signs certificates; needed where there are some
 * @param ask for the value of a key that only the owner knows
 */
export async function makeValues(
  secret: ListedSecret,
  keys: readonly string[],
  authority: Pair | undefined,
  ask: (key: string) => Promise<string>,
): Promise<Values> {
  const values: Record<string, string> = {};
  for (const key of keys) {
    const source = secret.keys[key]!;
    if ('value' in source) values[key] = source.value;
    else if (isDerived(source)) continue;
    else if ('ask' in source) values[key] = await ask(key);
    else if (source.generate === 'alphanumeric') values[key] = alphanumeric(source.length);
    else if (source.generate === 'base64') values[key] = randomBytes(source.bytes).toString('base64');
    else if (source.generate === 'ssh-ed25519') values[key] = sshKey(secret.name);
    else if (source.generate === 'rsa-key') values[key] = rsaKey(source.bits);
    else if (source.generate === 'ed25519-key') values[key] = ed25519Key();
    else if (source.generate !== 'certificate' && source.generate !== 'certificate-key')
      throw new Blocked(
        `dist/secrets.yaml wants ${key} of ${secret.name} to be generated as ${JSON.stringify((source as any).generate)}, which is not known here (allowed: alphanumeric, base64, ssh-ed25519, rsa-key, ed25519-key, certificate, certificate-key)`,
      );
  }
  const pair = certificateKeys(secret);
  if (pair && keys.includes(pair.certificate)) {
    if (authority === undefined) throw new Blocked(`${secret.name} needs the own authority, which does not exist`);
    const made = await issue(authority, dnsNames(secret));
    values[pair.certificate] = made.certificate;
    values[pair.key] = made.key;
  }
  return withDerived(secret, values);
}

/** Why a kept certificate must be renewed; undefined where it need not, or where none is kept. */
function renewal(secret: ListedSecret, values: Values, authority: string): string | undefined {
  const certificate = values[certificateKeys(secret)?.certificate ?? ''];
  return certificate === undefined ? undefined : renewalReason(certificate, dnsNames(secret), authority);
}

function dnsNames(secret: ListedSecret): readonly string[] {
  const source = secret.keys[certificateKeys(secret)!.certificate]!;
  return 'dnsNames' in source ? source.dnsNames : [];
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** randomInt() draws again where a remainder would favour some characters. */
export function alphanumeric(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
