import { isDerived, secretValues, type ListedSecret, type SecretPlaces } from '../../values/secrets';
import { Blocked } from '../engine/problem';
import { SECRETS, type SecretTree, type Sops } from '../engine/sops';
import { belongTogether } from './certificates';
import { keptProblem } from './given';
import { certificateKeys, declaredSecrets, withDerived, type Values } from './declared';

/** What secrets.sops.yaml holds. Keys that follow from others are there too, though the file has none of them. */
export interface Kept {
  readonly secrets: SecretPlaces;
  /** Values that are being replaced: kept until everyone who reads them has the new ones. */
  readonly previous: SecretPlaces;
}

/** secrets.sops.yaml: the values of the secrets that dist/secrets.yaml lists. */
export class SecretStore {
  constructor(
    private readonly sops: Sops,
    readonly declared: readonly ListedSecret[] = declaredSecrets(),
  ) {}

  /** @throws Blocked when the file has another structure, without showing a value */
  async read(): Promise<Kept> {
    const tree = (await this.sops.read(SECRETS.cluster, this.isPlain)) ?? {};
    return { secrets: this.complete(tree, 'secrets'), previous: this.complete(tree, 'previous') };
  }

  async write(kept: Kept): Promise<void> {
    const previous = sorted(this.withoutDerived(kept.previous));
    const secrets = sorted(this.withoutDerived(kept.secrets));
    const tree = { secrets, ...(Object.keys(previous).length > 0 && { previous }) };
    await this.sops.write(SECRETS.cluster, tree, this.isPlain);
  }

  /** A user name is no secret: masked, it would make messages unreadable. */
  private readonly isPlain = ([, , name, key]: readonly string[]): boolean =>
    this.declared.some((each) => each.name === name && 'value' in (each.keys[key!] ?? {}));

  private complete(tree: SecretTree, section: 'secrets' | 'previous'): SecretPlaces {
    const { wrong } = secretValues(tree[section]);
    if (wrong !== undefined)
      throw new Blocked(
        `${SECRETS.cluster} must hold ${section}: NAMESPACE: NAME: KEY: TEXT, and ${wrong || section} is something else; sops ${SECRETS.cluster}`,
      );
    return this.each((tree[section] ?? {}) as SecretPlaces, withDerived);
  }

  private withoutDerived(places: SecretPlaces): SecretPlaces {
    return this.each(places, ({ keys }, values) =>
      Object.fromEntries(Object.entries(values).filter(([key]) => !isDerived(keys[key]))),
    );
  }

  /** The same places with other values of the declared secrets in them. */
  private each(places: SecretPlaces, change: (secret: ListedSecret, values: Values) => Values): SecretPlaces {
    const next: Record<string, Record<string, Values>> = structuredClone(places);
    for (const secret of this.declared)
      for (const namespace of secret.namespaces) {
        const { [secret.name]: values } = next[namespace] ?? {};
        if (values !== undefined) next[namespace]![secret.name] = change(secret, values);
      }
    return next;
  }
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
  all: SecretPlaces,
  { name }: Pick<ListedSecret, 'name'>,
  namespaces: readonly string[],
  values: Values | undefined,
): SecretPlaces {
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
export function valuesOf(secret: ListedSecret, { secrets }: Kept): Values {
  const { name, namespaces, keys } = secret;
  const bad = (must: string, holds: string, fix: string) =>
    new Blocked(`${name} must ${must}, and ${SECRETS.cluster} holds ${holds}; ${fix}: sops ${SECRETS.cluster}`);
  const values: Record<string, string> = {};
  for (const namespace of namespaces)
    for (const [key, value] of Object.entries(secrets[namespace]?.[name] ?? {})) {
      if (!(key in keys)) continue;
      if ((values[key] ?? value) !== value)
        throw bad(`have one value in ${namespaces.join(' and ')}`, `different ones for ${key}`, 'make them equal');
      values[key] = value;
    }
  for (const [key, source] of Object.entries(keys))
    if ('value' in source && key in values && ![source.value, source.alternate].includes(values[key])) {
      const wanted = `hold ${key} ${JSON.stringify(source.value)}, as dist/secrets.yaml says`;
      throw bad(wanted, 'another one', 'who made the password for another name must decide');
    }
  for (const [key, source] of Object.entries(keys)) {
    const wrong = values[key] === undefined ? undefined : keptProblem(source, values[key]);
    if (wrong !== undefined) throw bad(`hold ${wrong.wanted} as ${key}`, wrong.found, 'put the right one there');
  }
  const pair = certificateKeys(secret);
  if (pair && pair.certificate in values !== pair.key in values)
    throw bad(`hold ${pair.certificate} and ${pair.key} together`, 'one of them', 'remove it');
  if (pair && pair.key in values && !belongTogether({ certificate: values[pair.certificate]!, key: values[pair.key]! }))
    throw bad('hold a certificate and its own key', 'two that do not belong together', 'remove both');
  return values;
}

/** Keys that are declared and not kept, by namespace. */
export function missingKeys(secret: ListedSecret, { secrets }: Kept): { namespace: string; keys: string[] }[] {
  return secret.namespaces
    .map((namespace) => ({
      namespace,
      keys: Object.keys(secret.keys).filter((key) => secrets[namespace]?.[secret.name]?.[key] === undefined),
    }))
    .filter(({ keys }) => keys.length > 0);
}

/** What is kept and no longer declared, as namespace/name. It stays: a database may still know it. */
export function undeclared(declared: readonly ListedSecret[], { secrets }: Kept): string[] {
  return Object.entries(secrets)
    .flatMap(([namespace, names]) => Object.keys(names).map((name) => [namespace, name] as const))
    .filter(([namespace, name]) => !declared.some((each) => each.name === name && each.namespaces.includes(namespace)))
    .map(([namespace, name]) => `${namespace}/${name}`)
    .sort();
}

/** Whether a secret's old value is still kept beside the new one. */
export function isUnderWay({ name, namespaces }: ListedSecret, { previous }: Kept): boolean {
  return namespaces.some((namespace) => previous[namespace]?.[name] !== undefined);
}
