import type { ListedSecret } from '../../values/secrets';
import type { Kubernetes } from '../clients/kubernetes';
import { sha256 } from '../engine/digests';
import { Blocked } from '../engine/problem';
import { SECRETS } from '../engine/sops';
import type { Action } from '../engine/step';
import type { Values } from './declared';
import type { Kept } from './store';
import { readersOf } from './readers';

export const FIELD_MANAGER = 'collab-homelab-bootstrap';

/** State of a secret in the cluster, compared with the encrypted file. */
export type Comparison =
  /** It has the same values. */
  | { readonly is: 'same'; readonly changed: number }
  /** It does not exist, or lacks keys. */
  | { readonly is: 'missing'; readonly keys: readonly string[] }
  /** It has values that are being replaced. */
  | { readonly is: 'previous'; readonly keys: readonly string[] };

/** One secret as it is in the cluster, or undefined. Its values pass through a pipe and are never shown. */
export async function liveSecret(kubernetes: Kubernetes, namespace: string, name: string): Promise<any> {
  return (await liveSecrets(kubernetes, namespace, [name])).get(name);
}

async function liveSecrets(
  kubernetes: Kubernetes,
  namespace: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, any>> {
  const found = await kubernetes.get(['secret', '-n', namespace, ...names, '--show-managed-fields']);
  if (found === undefined) return new Map();
  return new Map((found.items ?? [found]).map((each: any) => [each.metadata?.name, each]));
}

/** Each secret in each of its namespaces, as it is in the cluster: one question for each namespace. */
export async function liveDeclared(
  kubernetes: Kubernetes,
  declared: readonly ListedSecret[],
): Promise<{ secret: ListedSecret; namespace: string; live: any }[]> {
  const found: { secret: ListedSecret; namespace: string; live: any }[] = [];
  for (const namespace of [...new Set(declared.flatMap(({ namespaces }) => namespaces))].sort()) {
    const here = declared.filter(({ namespaces }) => namespaces.includes(namespace));
    const names = here.map(({ name }) => name);
    const live = await liveSecrets(kubernetes, namespace, names);
    found.push(...here.map((secret) => ({ secret, namespace, live: live.get(secret.name) })));
  }
  return found;
}

/**
 * Compares one secret in one namespace.
 * @throws Blocked when it holds other values than the kept ones and those that are being replaced: it is never overwritten
 */
export function compare(
  secret: ListedSecret,
  namespace: string,
  wanted: Values,
  { previous }: Pick<Kept, 'previous'>,
  live: any,
  file: string = SECRETS.cluster,
): Comparison {
  const keys = Object.keys(wanted);
  if (live === undefined) return { is: 'missing', keys };
  const where = `${namespace}/${secret.name}`;
  const again = `kubectl -n ${namespace} delete secret ${secret.name}`;
  if (live.type !== secret.type)
    throw new Blocked(
      `secret ${where} must have the type ${secret.type}, but has ${live.type} in the cluster. A type cannot change; nothing was changed. ${again}, and run this again${restarts(secret)}`,
    );
  const hashOf = (key: string) =>
    live.data?.[key] === undefined ? undefined : sha256(Buffer.from(live.data[key], 'base64'));
  const lacks = keys.filter((key) => hashOf(key) === undefined);
  const others = keys.filter((key) => !lacks.includes(key) && hashOf(key) !== sha256(wanted[key]!));
  const replaced = previous[namespace]?.[secret.name] ?? {};
  const isReplaced = (key: string) =>
    replaced[key] !== undefined &&
    onTheWay(key, replaced[key], wanted[key]!).some((each) => hashOf(key) === sha256(each));
  const foreign = others.filter((key) => !isReplaced(key));
  if (foreign.length > 0)
    throw new Blocked(
      `secret ${where} holds another ${foreign.join(' and ')} in the cluster than ${file}; nothing was changed. If the value in the file is correct: ${again}, and run this again${restarts(secret)}. If the value in the cluster is correct (a database may use it): put it into the file, sops ${file}`,
    );
  if (others.length > 0) return { is: 'previous', keys: others };
  return lacks.length > 0 ? { is: 'missing', keys: lacks } : { is: 'same', changed: changedAt(live) };
}

/** What a key holds while it is replaced: the old value, and for a keyfile the two of both keys. */
function onTheWay(key: string, before: string, after: string): readonly string[] {
  return key === 'keyfile' ? [before, ...keyfileStages(before, after)] : [before];
}

/**
 * The keyfile on its way from one key to another: a mongod believes every key of it and shows the first one, so that at each
 * step those that have started with it and those that have not believe each other.
 */
export function keyfileStages(before: string, after: string): readonly string[] {
  const both = (...keys: readonly string[]) => keys.map((key) => `- ${key}\n`).join('');
  return [both(before, after), both(after, before), after];
}

/** What makes those use a secret who read it when they started, as the end of a sentence; empty where there are none. */
function restarts(secret: ListedSecret): string {
  const readers = readersOf(secret);
  if (readers.length === 0) return '';
  const databases = readers.filter(({ kind }) => kind === 'StatefulSet');
  const commands = databases.map(({ namespace, name, selector }) =>
    // Members of a set know each other by the keyfile, and must have the same one at the same time.
    'keyfile' in secret.keys
      ? `kubectl -n ${namespace} delete pod -l ${selector}`
      : `kubectl -n ${namespace} rollout restart statefulset ${name}`,
  );
  // The login of the schema job alone: Argo CD makes a deleted job again.
  if (readers.every(({ kind }) => kind === 'Job'))
    commands.push(...readers.map(({ namespace, name }) => `kubectl -n ${namespace} delete job ${name}`));
  // Nobody but its readers knows it: no database must learn it first.
  else if (databases.length === 0 && readers.every(({ gets }) => gets !== 'run-again'))
    commands.push(
      ...readers
        .filter(({ gets }) => gets === 'restart')
        .map(({ kind, namespace, name }) => `kubectl -n ${namespace} rollout restart ${kind.toLowerCase()} ${name}`),
    );
  // What the database itself reads is not changed by a command.
  if (commands.length === 0) commands.push(`npm run bootstrap -- rotate ${secret.name}`);
  return `, then ${commands.join(', and when that is ready ')} (until then, running pods use the old value)`;
}

/** Puts a secret into the cluster, by standard input. Fields that someone else set have been compared before. */
export function secretAction(
  kubernetes: Kubernetes,
  { name, type }: Pick<ListedSecret, 'name' | 'type'>,
  namespace: string,
  values: Values,
  { labels, annotations }: { readonly labels?: Values; readonly annotations?: Values } = {},
): Action {
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  kubernetes.log.hide(...Object.values(data));
  const metadata = {
    name,
    namespace,
    annotations,
    labels: { 'app.kubernetes.io/managed-by': FIELD_MANAGER, ...labels },
  };
  const { lines, run } = kubernetes.apply(FIELD_MANAGER, [{ apiVersion: 'v1', kind: 'Secret', metadata, type, data }]);
  return { lines: lines.map((line) => `${line} (${Object.keys(values).join(', ')})`), run };
}

/** Annotation of a secret that has lost its previous value: since when it has the value that it has. */
export const VALUE_SINCE = 'collab-homelab/value-since';

/** When its values were last set, in milliseconds: pods that started before have the older ones. */
export function changedAt(live: any): number {
  return Date.parse(live.metadata.annotations?.[VALUE_SINCE]) || touchedAt(live);
}

/** When its data was last changed at all, previous values included. */
export function touchedAt({ metadata }: any): number {
  const times = (metadata.managedFields ?? [])
    .filter(({ fieldsV1 }: any) => fieldsV1?.['f:data'] !== undefined)
    .map(({ time }: any) => Date.parse(time));
  return Math.max(Date.parse(metadata.creationTimestamp) || 0, ...times.filter((time: number) => !Number.isNaN(time)));
}
