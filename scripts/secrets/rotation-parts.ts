import { kubectlChange, kubectlGet } from '../clients/kubernetes';
import { SECRETS } from '../engine/sops';
import type { Context } from '../clients/context';
import { keepSecrets, keptSecrets, valuesOf, withValues, type DeclaredSecret } from './kept';
import { applySecret, changedAt, compare, liveSecrets, touchedAt } from './live';
import { NotReady, Problem } from '../engine/problem';
import { rolloutProblem } from '../clients/rollout';
import { readersOf, stalePods, type Reader } from './readers';
import type { Step } from '../engine/step';
import { until } from '../engine/wait';

/** The jobs give up after 10 (MongoDB) and 15 minutes (Cassandra); an image that must be pulled comes on top. */
const JOB_SECONDS = 20 * 60;
/** A rollout's own deadline in Kubernetes is 10 minutes (progressDeadlineSeconds). */
const ROLLOUT_SECONDS = 15 * 60;

/** One step of a rotation, without its title. */
export type Part = Omit<Step, 'title'>;

/** A part that must not begin before others are done: what reads a secret is judged by when it started. */
export function after(part: Part, why: string, ...before: readonly Part[]): Part {
  return {
    ...part,
    async plan() {
      for (const each of before) if ((await each.plan()) !== undefined) throw new NotReady(why);
      return part.plan();
    },
  };
}

/** The new value in one namespace. */
export function replacement(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
): Part {
  return {
    async plan() {
      const kept = await keptSecrets(context, declared);
      const live = (await liveSecrets(context, namespace, [secret.name])).get(secret.name);
      const found = compare(secret, namespace, valuesOf(secret, kept), kept, live);
      if (found.is === 'same') return undefined;
      return { lines: [`${namespace}/${secret.name}: ${found.keys.join(', ')}: the old value -> the new one`] };
    },
    async apply() {
      await applySecret(context, secret, namespace, valuesOf(secret, await keptSecrets(context, declared)));
    },
  };
}

/** When the secret of a namespace was last set. Where it is not there, whoever starts will have the new one. */
export async function changed(
  context: Context,
  { name }: DeclaredSecret,
  namespace: string,
  when: (live: any) => number = changedAt,
): Promise<number> {
  const live = (await liveSecrets(context, namespace, [name])).get(name);
  return live === undefined ? 0 : when(live);
}

/** Jobs that read a secret and that Argo CD, where it runs, has not made. */
export async function absentJobs(context: Context, secret: DeclaredSecret): Promise<string[]> {
  const absent: string[] = [];
  for (const { kind, namespace, name } of readersOf(secret))
    if (kind === 'Job' && (await kubectlGet(context, ['job', name, '-n', namespace])) === undefined)
      absent.push(`${namespace}/${name}`);
  return absent.length > 0 && (await isSynced(context)) ? absent : [];
}

/** A job that has ended is deleted; Argo CD, which keeps it, makes it again, and it reads the secret as it is then. */
export function rerun(context: Context, secret: DeclaredSecret, { namespace, name }: Reader): Part {
  const state = async (): Promise<'done' | 'old' | 'runs' | 'failed' | 'absent'> => {
    const job = await kubectlGet(context, ['job', name, '-n', namespace]);
    if (job === undefined) return 'absent';
    const since = await changed(context, secret, namespace, touchedAt);
    if (Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp) < since) return 'old';
    if ((job.status?.succeeded ?? 0) > 0) return 'done';
    const isFailed = ({ type, status }: any) => type === 'Failed' && status === 'True';
    return job.status?.conditions?.some(isFailed) ? 'failed' : 'runs';
  };
  return {
    async plan() {
      const now = await state();
      if (now === 'done') return undefined;
      // Before stage gitops nothing runs yet, and what will run reads the new value.
      if (now === 'absent' && !(await isSynced(context))) return undefined;
      return {
        lines: [
          `kubectl -n ${namespace} delete job ${name}`,
          'wait until Argo CD has made it again and it has succeeded',
        ],
      };
    },
    async apply(_change, progress) {
      if (['old', 'failed'].includes(await state()))
        await kubectlChange(context, ['delete', 'job', name, '-n', namespace, '--ignore-not-found', '--wait=false']);
      await until(`job ${namespace}/${name} runs again and succeeds`, { seconds: JOB_SECONDS }, progress, async () => {
        const now = await state();
        if (now !== 'done') throw new Problem(WAITS[now]);
        return now;
      });
    },
  };
}

const WAITS = {
  absent: 'Argo CD has not made it yet; where it lacks the dist/ that is here: git push, or git pull a newer one',
  old: 'the old one is not gone yet',
  runs: 'it has not succeeded yet',
  failed: 'it has failed; see its log, then run this again, which has it made anew',
} as const;

async function isSynced(context: Context): Promise<boolean> {
  const definition = await kubectlGet(context, ['crd', 'applications.argoproj.io']);
  return (
    definition !== undefined &&
    (await kubectlGet(context, ['applications.argoproj.io', '-n', 'argocd']))?.items?.length > 0
  );
}

export function restart(context: Context, secret: DeclaredSecret, reader: Reader): Part {
  const { namespace, name } = reader;
  const workload = `${reader.kind.toLowerCase()}/${name}`;
  const stale = async () => stalePods(context, reader, await changed(context, secret, namespace));
  return {
    async plan() {
      if ((await stale()).length === 0) return undefined;
      return { lines: [`kubectl -n ${namespace} rollout restart ${workload}`] };
    },
    async apply(_change, progress) {
      await kubectlChange(context, ['rollout', 'restart', workload, '-n', namespace]);
      await until(`${namespace}/${name} has new pods`, { seconds: ROLLOUT_SECONDS }, progress, async () => {
        const live = await kubectlGet(context, [workload, '-n', namespace]);
        const problem = live === undefined ? 'it is not there any more' : rolloutProblem(live);
        if (problem !== undefined) throw new Problem(problem);
        return true;
      });
      await until(`the old pods of ${namespace}/${name} are gone`, { seconds: 300 }, progress, async () => {
        const left = await stale();
        if (left.length > 0) throw new Problem(left.join(', '));
        return true;
      });
    },
  };
}

/** Only once everything before it is done, also when that was planned by an earlier run. */
export function forget(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  before: readonly Part[],
): Part {
  return {
    async plan() {
      for (const part of before)
        if ((await part.plan()) !== undefined)
          throw new NotReady(`not everybody has the new value of ${secret.name} yet`);
      return { lines: [`${SECRETS.cluster}: previous ${secret.name} -> nothing`] };
    },
    async apply() {
      const kept = await keptSecrets(context, declared);
      const previous = withValues(kept.previous, secret, Object.keys(kept.previous), undefined);
      await keepSecrets(context, declared, { ...kept, previous });
    },
  };
}
