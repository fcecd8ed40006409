import type { Context } from '../clients/context';
import { keptSecrets, valuesOf, type DeclaredSecret, type Values } from './kept';
import { keyfileParts } from './keyfile-rotation';
import { changedAt, liveSecrets, secretAction, VALUE_SINCE } from './live';
import type { Kubernetes } from '../clients/kubernetes';
import { NotReady } from '../engine/problem';
import { after, forget, replacement, rerun, restart, type Part } from './rotation-parts';
import { readersOf } from './readers';
import type { Step } from '../engine/step';

export { absentJobs } from './rotation-parts';

/**
 * Brings a value that was replaced in the encrypted file to everyone who uses it, in the order in which nobody is left with
 * a value that nobody else knows: the database's own namespace (with the previous value beside the new one), its job (which
 * brings the new one into the database and leaves the old login alone), the namespaces of clients, their restart; then
 * the database's namespace without the previous value, and the job again, which drops the old login. The replaced
 * value stays in the file until all of that is done.
 * @param isComing whether the replacement itself is still planned
 */
export function rotationSteps(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  isComing: () => Promise<boolean>,
): Step[] {
  const parts =
    'keyfile' in secret.keys ? keyfileParts(context, declared, secret) : valueParts(context, declared, secret);
  const before = parts.map(([, part]) => part);
  const all = [
    ...parts,
    [`the old value of ${secret.name} is forgotten`, forget(context, declared, secret, before)] as const,
  ];
  return all.map(([title, part]) => ({
    title,
    async plan() {
      const { previous } = await keptSecrets(context, declared);
      if (secret.namespaces.some((namespace) => previous[namespace]?.[secret.name])) return part();
      if (await isComing()) throw new NotReady(`the new value of ${secret.name} comes first`);
      return undefined;
    },
  }));
}

type Titled = readonly [title: string, part: Part];

function valueParts(context: Context, declared: readonly DeclaredSecret[], secret: DeclaredSecret): Titled[] {
  const readers = readersOf(secret);
  const jobs = readers.filter(({ kind }) => kind === 'Job');
  const others = readers.filter(({ kind, readsAgain }) => kind !== 'Job' && !readsAgain);
  const first = secret.namespaces.filter((namespace) => jobs.some((job) => job.namespace === namespace));
  const rest = secret.namespaces.filter((namespace) => !first.includes(namespace));
  const has = (namespace: string) => `${namespace}/${secret.name} has the new value`;
  const mustHave = (namespace: string) => `${namespace}/${secret.name} must have the new value first`;
  const replaced = new Map(
    secret.namespaces.map((namespace) => [namespace, replacement(context, declared, secret, namespace)]),
  );
  const late = [
    ...rest.map((namespace): Titled => [has(namespace), replaced.get(namespace)!]),
    ...others.map((reader): Titled => [
      `${reader.kind.toLowerCase()} ${reader.namespace}/${reader.name} has started with it`,
      after(restart(context.kubernetes, secret, reader), mustHave(reader.namespace), replaced.get(reader.namespace)!),
    ]),
  ];
  const withPrevious = first.map((namespace): Titled => [
    `${has(namespace)}, and the previous one beside it`,
    besides(context, declared, secret, namespace, [replaced.get(namespace)!, ...late.map(([, part]) => part)]),
  ]);
  const runs = jobs.map((job) =>
    after(rerun(context.kubernetes, secret, job), mustHave(job.namespace), ...withPrevious.map(([, part]) => part)),
  );
  const named = (what: string, parts: readonly Part[]) =>
    jobs.map(({ namespace, name }, index): Titled => [`job ${namespace}/${name} ${what}`, parts[index]!]);
  const dropped = withPrevious.map(([, beside], index): Titled => [
    `${first[index]!}/${secret.name} has the new value alone`,
    alone(context, declared, secret, first[index]!, beside, [...runs, ...late.map(([, part]) => part)]),
  ]);
  // Until then the job has run, but with the previous value.
  const again = runs.map((part) => after(part, 'the previous value goes first', ...dropped.map(([, each]) => each)));
  return [
    ...withPrevious,
    ...named('has run with it', runs),
    ...late,
    ...dropped,
    ...named('has run without the previous one', again),
  ];
}

const PREVIOUS = 'previous-';

/** What the job of a database is told: what is replaced, beside what replaces it. */
export function withPreviousValues(values: Values, previous: Values): Values {
  return { ...values, ...Object.fromEntries(Object.entries(previous).map(([key, value]) => [PREVIOUS + key, value])) };
}

/** The new value and the previous one. Not once everything that comes later is done: then the previous one may be gone again. */
function besides(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
  later: readonly Part[],
): Part {
  const isDone = async () => {
    for (const part of later) if ((await part()) !== undefined) return false;
    return true;
  };
  return async () => {
    const kept = await keptSecrets(context, declared);
    const { [secret.name]: previous = {} } = kept.previous[namespace] ?? {};
    const actions = [secretAction(context, secret, namespace, withPreviousValues(valuesOf(secret, kept), previous))];
    const change = await replacement(context, declared, secret, namespace)();
    if (change !== undefined) return { ...change, actions };
    const hasPrevious = (await previousKeys(context.kubernetes, secret, namespace)).length > 0;
    return hasPrevious || (await isDone()) ? undefined : { actions };
  };
}

/** The new value alone, once everything before is done. To take the previous one out makes the job due again. */
function alone(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
  beside: Part,
  before: readonly Part[],
): Part {
  return async () => {
    const why = `not everybody has the new value of ${secret.name} yet`;
    if ((await beside()) !== undefined) throw new NotReady(why);
    const live = (await liveSecrets(context.kubernetes, namespace, [secret.name])).get(secret.name);
    const keys = previousOf(live);
    if (keys.length === 0) return undefined;
    for (const part of before) if ((await part()) !== undefined) throw new NotReady(why);
    // What reads it has the value since then: to leave the previous one out restarts nobody.
    const annotations = { [VALUE_SINCE]: new Date(changedAt(live)).toISOString() };
    const values = valuesOf(secret, await keptSecrets(context, declared));
    return {
      lines: [`without ${keys.join(', ')}`],
      actions: [secretAction(context, secret, namespace, values, { annotations })],
    };
  };
}

async function previousKeys(kubernetes: Kubernetes, { name }: DeclaredSecret, namespace: string): Promise<string[]> {
  return previousOf((await liveSecrets(kubernetes, namespace, [name])).get(name));
}

function previousOf(live: any): string[] {
  return Object.keys(live?.data ?? {}).filter((key) => key.startsWith(PREVIOUS));
}
