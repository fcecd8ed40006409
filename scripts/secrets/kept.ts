import { randomBytes, randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { belongTogether, issue, renewalReason, type Pair } from './certificates';
import { SECRETS } from '../engine/sops';
import type { Context } from '../clients/context';
import { DIST } from '../engine/dist';
import { Blocked } from '../engine/problem';
import type { SecretTree } from '../engine/sops';
import { sshKey } from './ssh-key';

/** Where a key's value comes from, in the words of dist/secrets.yaml. */
export type Source =
  | { readonly generate: 'alphanumeric'; readonly length: number }
  | { readonly generate: 'base64'; readonly bytes: number }
  | { readonly generate: 'ssh-ed25519' }
  | { readonly generate: 'certificate'; readonly dnsNames: readonly string[] }
  | { readonly generate: 'certificate-key' }
  | { readonly percentEncoded: string }
  | { readonly value: string; readonly alternate?: string }
  | { readonly ask: string };

/** A secret that the cluster needs, as dist/secrets.yaml lists it. */
export interface DeclaredSecret {
  readonly name: string;
  readonly namespaces: readonly string[];
  readonly type: string;
  readonly keys: Readonly<Record<string, Source>>;
  readonly readers: readonly string[];
}

export type Values = Readonly<Record<string, string>>;

/** Values by namespace and name. */
export type Places = { readonly [namespace: string]: { readonly [name: string]: Values } };

/** secrets.sops.yaml. */
export interface Kept {
  readonly secrets: Places;
  /** Values that are being replaced: kept until everyone who reads them has the new ones. */
  readonly previous: Places;
}

/** Reads the list that synth wrote. @throws Blocked when it is not there or is something else */
export function declaredSecrets(file = join(DIST, 'secrets.yaml')): DeclaredSecret[] {
  const list = fs.existsSync(file) ? parse(fs.readFileSync(file, 'utf8'))?.secrets : undefined;
  if (!Array.isArray(list))
    throw new Blocked(`${file} must list the secrets of the cluster, and does not; npm run synth`);
  return list;
}

/** The values that are kept. @throws Blocked when the file has another structure, without showing a value */
export async function keptSecrets({ sops }: Pick<Context, 'sops'>, declared: readonly DeclaredSecret[]): Promise<Kept> {
  const tree = (await sops.read(SECRETS.cluster, plainIn(declared))) ?? {};
  return {
    secrets: withEncoded(places(tree, 'secrets'), declared),
    previous: withEncoded(places(tree, 'previous'), declared),
  };
}

export async function keepSecrets(
  { sops }: Pick<Context, 'sops'>,
  declared: readonly DeclaredSecret[],
  kept: Kept,
): Promise<void> {
  const previous = sorted(withoutEncoded(kept.previous, declared));
  const secrets = sorted(withoutEncoded(kept.secrets, declared));
  const tree = { secrets, ...(Object.keys(previous).length > 0 && { previous }) };
  await sops.write(SECRETS.cluster, tree, plainIn(declared));
}

/** Keys that hold another key of the same secret, percent-encoded: they follow from it, so the file has none of them. */
function encodedKeys({ keys }: DeclaredSecret): [key: string, of: string][] {
  return Object.entries(keys).flatMap(([key, source]) =>
    'percentEncoded' in source ? [[key, source.percentEncoded] as [string, string]] : [],
  );
}

/** What stands in a URI as it is: also the five characters that encodeURIComponent leaves, which some parsers take for delimiters. */
function percentEncoded(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function withEncoded(all: Places, declared: readonly DeclaredSecret[]): Places {
  return changed(all, declared, (secret, values) =>
    Object.fromEntries(
      encodedKeys(secret).flatMap(([key, of]) => (of in values ? [[key, percentEncoded(values[of]!)]] : [])),
    ),
  );
}

function withoutEncoded(all: Places, declared: readonly DeclaredSecret[]): Places {
  return changed(all, declared, () => ({}));
}

/** The same places with the percent-encoded keys of each secret as given, and no others. */
function changed(
  all: Places,
  declared: readonly DeclaredSecret[],
  encoded: (secret: DeclaredSecret, values: Values) => Values,
): Places {
  let next = all;
  for (const secret of declared.filter((each) => encodedKeys(each).length > 0))
    for (const namespace of secret.namespaces) {
      const values = next[namespace]?.[secret.name];
      if (values === undefined) continue;
      const plain = Object.fromEntries(
        Object.entries(values).filter(([key]) => !encodedKeys(secret).some(([encodedKey]) => encodedKey === key)),
      );
      next = {
        ...next,
        [namespace]: { ...next[namespace], [secret.name]: { ...plain, ...encoded(secret, plain) } },
      };
    }
  return next;
}

/** A user name is no secret: masked, it would make messages unreadable. */
function plainIn(declared: readonly DeclaredSecret[]): (keys: readonly string[]) => boolean {
  return ([, , name, key]) => declared.some((each) => each.name === name && 'value' in (each.keys[key!] ?? {}));
}

function places(tree: SecretTree, section: string): Places {
  const bad = (path: string) =>
    new Blocked(
      `${SECRETS.cluster} must hold ${section}: NAMESPACE: NAME: KEY: TEXT, and ${path} is something else; sops ${SECRETS.cluster}`,
    );
  const entries = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(path);
    return Object.entries(value);
  };
  for (const [namespace, names] of entries(tree[section] ?? {}, section))
    for (const [name, keys] of entries(names, `${namespace}`))
      for (const [key, value] of entries(keys, `${namespace}.${name}`))
        if (typeof value !== 'string') throw bad(`${namespace}.${name}.${key}`);
  return (tree[section] ?? {}) as Places;
}

/** In order, without what is empty, so that the same values are the same file. */
function sorted<T>(tree: Readonly<Record<string, T>>): Record<string, T> {
  const inOrder = Object.entries(tree)
    .map(([key, value]) => [key, typeof value === 'object' ? (sorted(value as any) as T) : value] as const)
    .filter(([, value]) => typeof value === 'string' || Object.keys(value as object).length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(inOrder);
}

/** The same places with the values of one secret set in each of some namespaces; undefined removes them. */
export function withValues(
  all: Places,
  { name }: Pick<DeclaredSecret, 'name'>,
  namespaces: readonly string[],
  values: Values | undefined,
): Places {
  const next: Record<string, Record<string, Values>> = { ...all };
  for (const namespace of namespaces) {
    const { [name]: old, ...others } = next[namespace] ?? {};
    next[namespace] = values === undefined ? others : { ...others, [name]: { ...old, ...values } };
  }
  return next;
}

/**
 * The one value of each key of a secret that is kept, wherever it is.
 * @throws Blocked when two namespaces hold different ones, when a fixed value is another one, or a key fits no certificate
 */
export function valuesOf(secret: DeclaredSecret, { secrets }: Kept): Values {
  const values: Record<string, string> = {};
  for (const namespace of secret.namespaces) {
    for (const [key, value] of Object.entries(secrets[namespace]?.[secret.name] ?? {})) {
      if (!(key in secret.keys)) continue;
      if ((values[key] ?? value) !== value)
        throw new Blocked(
          `${secret.name} must have one value in ${secret.namespaces.join(' and ')}, and ${SECRETS.cluster} holds different ones for ${key}; make them equal: sops ${SECRETS.cluster}`,
        );
      values[key] = value;
    }
  }
  for (const [key, source] of Object.entries(secret.keys))
    if ('value' in source && key in values && ![source.value, source.alternate].includes(values[key]))
      throw new Blocked(
        `${secret.name} must hold ${key} ${JSON.stringify(source.value)}, as dist/secrets.yaml says, and ${SECRETS.cluster} holds another one; who made the password for another name must decide: sops ${SECRETS.cluster}`,
      );
  const pair = certificateKeys(secret);
  if (pair && pair.certificate in values !== pair.key in values)
    throw new Blocked(
      `${secret.name} must hold ${pair.certificate} and ${pair.key} together, and ${SECRETS.cluster} holds one of them; remove it: sops ${SECRETS.cluster}`,
    );
  if (pair && pair.key in values && !belongTogether({ certificate: values[pair.certificate]!, key: values[pair.key]! }))
    throw new Blocked(
      `${secret.name} must hold a certificate and its own key, and ${SECRETS.cluster} holds two that do not belong together; remove both: sops ${SECRETS.cluster}`,
    );
  return values;
}

/** Keys that are declared and not kept, by namespace. */
export function missingKeys(secret: DeclaredSecret, { secrets }: Kept): { namespace: string; keys: string[] }[] {
  return secret.namespaces
    .map((namespace) => ({
      namespace,
      keys: Object.keys(secret.keys).filter((key) => secrets[namespace]?.[secret.name]?.[key] === undefined),
    }))
    .filter(({ keys }) => keys.length > 0);
}

/** What is kept and no longer declared, as namespace/name. It stays: a database may still know it. */
export function undeclared(declared: readonly DeclaredSecret[], { secrets }: Kept): string[] {
  return Object.entries(secrets)
    .flatMap(([namespace, names]) => Object.keys(names).map((name) => [namespace, name] as const))
    .filter(([namespace, name]) => !declared.some((each) => each.name === name && each.namespaces.includes(namespace)))
    .map(([namespace, name]) => `${namespace}/${name}`)
    .sort();
}

/** The keys of a secret that are a certificate and its private key. */
export function certificateKeys({ keys }: DeclaredSecret): Pair | undefined {
  const named = (kind: string) => Object.keys(keys).find((key) => (keys[key] as any).generate === kind);
  const [certificate, key] = [named('certificate'), named('certificate-key')];
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** Why a kept certificate must be made anew; undefined where it need not, or where none is kept. */
export function renewal(secret: DeclaredSecret, values: Values, authority: string): string | undefined {
  const pair = certificateKeys(secret);
  if (pair === undefined || values[pair.certificate] === undefined) return undefined;
  return renewalReason(values[pair.certificate]!, dnsNames(secret), authority);
}

function dnsNames(secret: DeclaredSecret): readonly string[] {
  const source = secret.keys[certificateKeys(secret)!.certificate]!;
  return 'dnsNames' in source ? source.dnsNames : [];
}

/**
 * New values for some keys of a secret.
 * @param authority signs certificates; needed where there are some
 * @param ask for the value of a key that only the owner knows
 */
export async function makeValues(
  secret: DeclaredSecret,
  keys: readonly string[],
  authority: Pair | undefined,
  ask: (key: string) => Promise<string>,
): Promise<Values> {
  const values: Record<string, string> = {};
  for (const key of keys) {
    const source = secret.keys[key]!;
    if ('value' in source) values[key] = source.value;
    else if ('percentEncoded' in source) continue;
    else if ('ask' in source) values[key] = await ask(key);
    else if (source.generate === 'alphanumeric') values[key] = alphanumeric(source.length);
    else if (source.generate === 'base64') values[key] = randomBytes(source.bytes).toString('base64');
    else if (source.generate === 'ssh-ed25519') values[key] = sshKey(secret.name);
    else if (source.generate !== 'certificate' && source.generate !== 'certificate-key')
      throw new Blocked(
        `dist/secrets.yaml wants ${key} of ${secret.name} to be generated as ${JSON.stringify((source as any).generate)}, which is not known here (allowed: alphanumeric, base64, ssh-ed25519, certificate, certificate-key)`,
      );
  }
  for (const [key, of] of encodedKeys(secret))
    if (keys.includes(key) && values[of] !== undefined) values[key] = percentEncoded(values[of]);
  const pair = certificateKeys(secret);
  if (pair && keys.includes(pair.certificate)) {
    if (authority === undefined) throw new Blocked(`${secret.name} needs the own authority, which is not there`);
    const made = await issue(authority, dnsNames(secret));
    values[pair.certificate] = made.certificate;
    values[pair.key] = made.key;
  }
  return values;
}

/** Keys that get a new value when a secret is rotated: what is generated or asked for, and names that alternate. */
export function changingKeys({ keys }: DeclaredSecret): string[] {
  return Object.keys(keys).filter((key) => !('value' in keys[key]!) || alternateOf(keys[key]!) !== undefined);
}

/** The other name of each key that has two by turns. */
export function otherNames({ keys }: DeclaredSecret, now: Values): Values {
  const others = Object.entries(keys).flatMap(([key, source]): [string, string][] => {
    const alternate = alternateOf(source);
    if (alternate === undefined || !('value' in source) || now[key] === undefined) return [];
    return [[key, now[key] === source.value ? alternate : source.value]];
  });
  return Object.fromEntries(others);
}

function alternateOf(source: Source): string | undefined {
  return 'value' in source ? source.alternate : undefined;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** randomInt() draws again where a remainder would favour some characters. */
export function alphanumeric(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
