import { SECRETS } from '../engine/sops';
import type { Context } from '../clients/context';
import { keepSecrets, keptSecrets, valuesOf, withValues, type DeclaredSecret } from './kept';
import { changedAt, compare, liveSecrets, secretAction, touchedAt } from './live';
import { NotReady, Problem } from '../engine/problem';
import { rolloutProblem } from '../clients/rollout';
import { ArgoCd } from '../clients/argo-cd';
import type { Kubernetes } from '../clients/kubernetes';
import { action } from '../engine/actions';
import { readersOf, stalePods, type Reader } from './readers';
import type { Progress, Step } from '../engine/step';
import { until } from '../engine/wait';

/** The jobs give up after 10 (MongoDB) and 15 minutes (Cassandra); an image that must be pulled comes on top. */
const JOB_SECONDS = 20 * 60;
/** A rollout's own deadline in Kubernetes is 10 minutes (progressDeadlineSeconds). */
const ROLLOUT_SECONDS = 15 * 60;

/** What one step of a rotation would do. */
export type Part = Step['plan'];

/** A part that must not begin before others are done: what reads a secret is judged by when it started. */
export function after(part: Part, why: string, ...before: readonly Part[]): Part {
  return async () => {
    for (const each of before) if ((await each()) !== undefined) throw new NotReady(why);
    return part();
  };
}

/** The new value in one namespace. */
export function replacement(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
): Part {
  return async () => {
    const kept = await keptSecrets(context, declared);
    const values = valuesOf(secret, kept);
    const live = (await liveSecrets(context.kubernetes, namespace, [secret.name])).get(secret.name);
    const found = compare(secret, namespace, values, kept, live);
    if (found.is === 'same') return undefined;
    return {
      lines: [`${found.keys.join(', ')}: the old value -> the new one`],
      actions: [secretAction(context, secret, namespace, values)],
    };
  };
}

/** When the secret of a namespace was last set. Where it is not there, whoever starts will have the new one. */
export async function changed(
  kubernetes: Kubernetes,
  { name }: DeclaredSecret,
  namespace: string,
  when: (live: any) => number = changedAt,
): Promise<number> {
  const live = (await liveSecrets(kubernetes, namespace, [name])).get(name);
  return live === undefined ? 0 : when(live);
}

/** Jobs that read a secret and that Argo CD, where it runs, has not made. */
export async function absentJobs(kubernetes: Kubernetes, secret: DeclaredSecret): Promise<string[]> {
  const absent: string[] = [];
  for (const { kind, namespace, name } of readersOf(secret))
    if (kind === 'Job' && (await kubernetes.get(['job', name, '-n', namespace])) === undefined)
      absent.push(`${namespace}/${name}`);
  return absent.length > 0 && (await new ArgoCd(kubernetes).hasApplications()) ? absent : [];
}

type JobState = 'done' | 'old' | 'runs' | 'failed' | 'absent';

/** A job that has ended is deleted; Argo CD, which keeps it, makes it again, and it reads the secret as it is then. */
export function rerun(kubernetes: Kubernetes, secret: DeclaredSecret, { namespace, name }: Reader): Part {
  const state = () => jobState(kubernetes, secret, namespace, name);
  const remove = kubernetes.delete({ kind: 'job', name, namespace });
  const actions = [
    action(remove.lines, async (progress) => {
      if (['old', 'failed'].includes(await state())) await remove.run(progress);
    }),
    action('wait until Argo CD has made it again and it has succeeded', (progress) =>
      until(`job ${namespace}/${name} runs again and succeeds`, { seconds: JOB_SECONDS }, progress, async () => {
        const now = await state();
        if (now !== 'done') throw new Problem(WAITS[now]);
        return now;
      }),
    ),
  ];
  return async () => {
    const now = await state();
    if (now === 'done') return undefined;
    // Before stage gitops nothing runs yet, and what will run reads the new value.
    if (now === 'absent' && !(await new ArgoCd(kubernetes).hasApplications())) return undefined;
    return { actions };
  };
}

async function jobState(
  kubernetes: Kubernetes,
  secret: DeclaredSecret,
  namespace: string,
  name: string,
): Promise<JobState> {
  const job = await kubernetes.get(['job', name, '-n', namespace]);
  if (job === undefined) return 'absent';
  const since = await changed(kubernetes, secret, namespace, touchedAt);
  if (Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp) < since) return 'old';
  if ((job.status?.succeeded ?? 0) > 0) return 'done';
  const isFailed = ({ type, status }: any) => type === 'Failed' && status === 'True';
  return job.status?.conditions?.some(isFailed) ? 'failed' : 'runs';
}

const WAITS = {
  absent: 'Argo CD has not made it yet; where it lacks the dist/ that is here: git push, or git pull a newer one',
  old: 'the old one is not gone yet',
  runs: 'it has not succeeded yet',
  failed: 'it has failed; see its log, then run this again, which has it made anew',
} as const;

export function restart(kubernetes: Kubernetes, secret: DeclaredSecret, reader: Reader): Part {
  const { namespace, name } = reader;
  const workload = `${reader.kind.toLowerCase()}/${name}`;
  const stale = async () => stalePods(kubernetes, reader, await changed(kubernetes, secret, namespace));
  const rollout = async (progress: Progress) => {
    await until(`${namespace}/${name} has new pods`, { seconds: ROLLOUT_SECONDS }, progress, async () => {
      const live = await kubernetes.get([workload, '-n', namespace]);
      const problem = live === undefined ? 'it is not there any more' : rolloutProblem(live);
      if (problem !== undefined) throw new Problem(problem);
      return true;
    });
    await until(`the old pods of ${namespace}/${name} are gone`, { seconds: 300 }, progress, async () => {
      const left = await stale();
      if (left.length > 0) throw new Problem(left.join(', '));
      return true;
    });
  };
  const actions = [
    kubernetes.command(['rollout', 'restart', workload, '-n', namespace]),
    action('wait until only new pods run', rollout),
  ];
  return async () => ((await stale()).length === 0 ? undefined : { actions });
}

/** Only once everything before it is done, also when that was planned by an earlier run. */
export function forget(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  before: readonly Part[],
): Part {
  return async () => {
    for (const part of before)
      if ((await part()) !== undefined) throw new NotReady(`not everybody has the new value of ${secret.name} yet`);
    const remove = async () => {
      const kept = await keptSecrets(context, declared);
      const previous = withValues(kept.previous, secret, Object.keys(kept.previous), undefined);
      await keepSecrets(context, declared, { ...kept, previous });
    };
    return { actions: [action(`${SECRETS.cluster}: remove the previous value of ${secret.name}`, remove)] };
  };
}
