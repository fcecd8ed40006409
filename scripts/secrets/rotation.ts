import type { ListedSecret } from '../../values/secrets';
import type { Kubernetes } from '../clients/kubernetes';
import { NotReady } from '../engine/problem';
import type { Step } from '../engine/step';
import type { Values } from './declared';
import { keyfileParts } from './keyfile-rotation';
import { changedAt, VALUE_SINCE } from './live';
import { PREVIOUS, readersOf } from './readers';
import { after, ended, forget, replacement, rerun, restart, Rotation, type Part } from './rotation-parts';
import { isUnderWay, type SecretStore } from './store';

/**
 * Distributes a value that was replaced in the encrypted file to all of its readers. In this order every reader always has
 * a valid value: the database's own namespace (with both values), its job (which
 * adds the new value to the database and keeps the old login), the namespaces of clients, their restart; then
 * the database's namespace without the previous value, and the job again, which drops the old login. The replaced
 * value stays in the file until all steps are done.
 * @param isComing whether the replacement itself is still planned
 * @param knows a machine that must know a key before a client sends it: both while some have the old one, then the new alone
 */
export function rotationSteps(
  kubernetes: Kubernetes,
  store: SecretStore,
  secret: ListedSecret,
  isComing: () => Promise<boolean>,
  knows?: Step,
): Step[] {
  const of = new Rotation(kubernetes, store, secret);
  const parts = 'keyfile' in secret.keys ? keyfileParts(of) : valueParts(of);
  const both = knows === undefined ? [] : [[`${knows.title}, the old one and the new`, () => knows.plan()] as const];
  const before = [...both, ...parts].map(([, part]) => part);
  const all = [...both, ...parts, [`the old value of ${secret.name} is removed`, forget(of, before)] as const];
  const steps = all.map(([title, part]) => ({
    title,
    async plan() {
      if (isUnderWay(secret, await store.read())) return part();
      if (await isComing()) throw new NotReady(`the new value of ${secret.name} must be created first`);
      return undefined;
    },
  }));
  if (knows === undefined) return steps;
  const alone = async () => {
    if ((await isComing()) || isUnderWay(secret, await store.read()))
      throw new NotReady(`the old value of ${secret.name} must be removed first`);
    return knows.plan();
  };
  return [...steps, { title: `${knows.title}, the new one alone`, plan: alone }];
}

type Titled = readonly [title: string, part: Part];

function valueParts(of: Rotation): Titled[] {
  const { secret } = of;
  const readers = readersOf(secret);
  const jobs = readers.filter(({ gets }) => gets === 'run-again');
  const others = readers.filter(({ gets }) => gets === 'restart');
  const later = readers.filter(({ gets }) => gets === 'next-start');
  const first = secret.namespaces.filter((namespace) => jobs.some((job) => job.namespace === namespace));
  const rest = secret.namespaces.filter((namespace) => !first.includes(namespace));
  const has = (namespace: string) => `${namespace}/${secret.name} has the new value`;
  const mustHave = (namespace: string) => `${namespace}/${secret.name} must have the new value first`;
  const replaced = new Map(secret.namespaces.map((namespace) => [namespace, replacement(of, namespace)]));
  const late = [
    ...rest.map((namespace): Titled => [has(namespace), replaced.get(namespace)!]),
    ...others.map((reader): Titled => [
      `${reader.kind.toLowerCase()} ${reader.namespace}/${reader.name} has restarted with it`,
      after(restart(of, reader), mustHave(reader.namespace), replaced.get(reader.namespace)!),
    ]),
    ...later.map((reader): Titled => [
      `no pod of ${reader.kind.toLowerCase()} ${reader.namespace}/${reader.name} has the old value`,
      after(ended(of, reader), mustHave(reader.namespace), replaced.get(reader.namespace)!),
    ]),
  ];
  const withPrevious = first.map((namespace): Titled => [
    `${has(namespace)}and the previous one`,
    besides(of, namespace, [replaced.get(namespace)!, ...late.map(([, part]) => part)]),
  ]);
  const runs = jobs.map((job) =>
    after(rerun(of, job), mustHave(job.namespace), ...withPrevious.map(([, part]) => part)),
  );
  const named = (what: string, parts: readonly Part[]) =>
    jobs.map(({ namespace, name }, index): Titled => [`job ${namespace}/${name} ${what}`, parts[index]!]);
  const dropped = withPrevious.map(([, beside], index): Titled => [
    `${first[index]!}/${secret.name} has only the new value`,
    alone(of, first[index]!, beside, [...runs, ...late.map(([, part]) => part)]),
  ]);
  // Until then the job has run, but with the previous value.
  const again = runs.map((part) =>
    after(part, 'the previous value must be removed first', ...dropped.map(([, each]) => each)),
  );
  return [
    ...withPrevious,
    ...named('has run with both values', runs),
    ...late,
    ...dropped,
    ...named('has run with the new value only', again),
  ];
}

/** Input of a database's job: the previous values beside the new ones. */
export function withPreviousValues(values: Values, previous: Values): Values {
  return { ...values, ...Object.fromEntries(Object.entries(previous).map(([key, value]) => [PREVIOUS + key, value])) };
}

/** The new value and the previous one. Not once everything that comes later is done: then the previous one may be gone again. */
function besides(of: Rotation, namespace: string, later: readonly Part[]): Part {
  const isDone = async () => {
    for (const part of later) if ((await part()) !== undefined) return false;
    return true;
  };
  return async () => {
    const { now, previous } = await of.values(namespace);
    const actions = [of.put(namespace, withPreviousValues(now, previous))];
    const change = await replacement(of, namespace)();
    if (change !== undefined) return { ...change, actions };
    const hasPrevious = previousOf(await of.live(namespace)).length > 0;
    return hasPrevious || (await isDone()) ? undefined : { actions };
  };
}

/** The new value alone, once everything before is done. To take the previous one out makes the job due again. */
function alone(of: Rotation, namespace: string, beside: Part, before: readonly Part[]): Part {
  const why = `some readers do not have the new value of ${of.secret.name} yet`;
  const drop: Part = async () => {
    const live = await of.live(namespace);
    // What reads it has the value since then: to leave the previous one out restarts nobody.
    const annotations = { [VALUE_SINCE]: new Date(changedAt(live)).toISOString() };
    const { now } = await of.values(namespace);
    return { lines: [`without ${previousOf(live).join(', ')}`], actions: [of.put(namespace, now, { annotations })] };
  };
  const left: Part = async () =>
    previousOf(await of.live(namespace)).length === 0 ? undefined : after(drop, why, ...before)();
  return after(left, why, beside);
}

function previousOf(live: any): string[] {
  return Object.keys(live?.data ?? {}).filter((key) => key.startsWith(PREVIOUS));
}
