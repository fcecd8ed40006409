import type { ListedSecret } from '../../values/secrets';
import { ArgoCd } from '../clients/argo-cd';
import { rolloutProblem, type Kubernetes } from '../clients/kubernetes';
import { action } from '../engine/actions';
import { NotReady, Problem } from '../engine/problem';
import { SECRETS } from '../engine/sops';
import type { Action, Progress, Step } from '../engine/step';
import { until, untilNone } from '../engine/wait';
import type { Values } from './declared';
import { changedAt, compare, liveSecret, secretAction, touchedAt } from './live';
import { readersOf, stalePods, type Reader } from './readers';
import { valuesOf, withValues, type Kept, type SecretStore } from './store';

/** The jobs give up after 10 (MongoDB) and 15 minutes (Cassandra); an image that must be pulled comes on top. */
const JOB_SECONDS = 20 * 60;
/** A rollout's own deadline in Kubernetes is 10 minutes (progressDeadlineSeconds). */
const ROLLOUT_SECONDS = 15 * 60;

/** The changes of one step of a rotation. */
export type Part = Step['plan'];

/** A part that must wait for others: the start time of a pod shows which value it has read. */
export function after(part: Part, why: string, ...before: readonly Part[]): Part {
  return async () => {
    for (const each of before) if ((await each()) !== undefined) throw new NotReady(why);
    return part();
  };
}

/** A secret that gets a new value: what the file keeps of it, and what the cluster has. */
export class Rotation {
  constructor(
    readonly kubernetes: Kubernetes,
    readonly store: SecretStore,
    readonly secret: ListedSecret,
  ) {}

  /** The new values, and those that they replace in a namespace. */
  async values(namespace: string): Promise<{ readonly kept: Kept; readonly now: Values; readonly previous: Values }> {
    const kept = await this.store.read();
    return { kept, now: valuesOf(this.secret, kept), previous: kept.previous[namespace]?.[this.secret.name] ?? {} };
  }

  live(namespace: string): Promise<any> {
    return liveSecret(this.kubernetes, namespace, this.secret.name);
  }

  put(namespace: string, values: Values, more?: Parameters<typeof secretAction>[4]): Action {
    return secretAction(this.kubernetes, this.secret, namespace, values, more);
  }

  /** When the secret of a namespace was last set. Where it is not there, whoever starts will have the new one. */
  async changed(namespace: string, when: (live: any) => number = changedAt): Promise<number> {
    const live = await this.live(namespace);
    return live === undefined ? 0 : when(live);
  }

  /** Pods of a reader that still have the old value. */
  async stale(reader: Reader): Promise<string[]> {
    return stalePods(this.kubernetes, reader, await this.changed(reader.namespace));
  }
}

/** The new value in one namespace. */
export function replacement(of: Rotation, namespace: string): Part {
  return async () => {
    const { kept, now } = await of.values(namespace);
    const found = compare(of.secret, namespace, now, kept, await of.live(namespace));
    if (found.is === 'same') return undefined;
    return { lines: [`${found.keys.join(', ')}: the old value -> the new one`], actions: [of.put(namespace, now)] };
  };
}

/** Jobs that read a secret and that Argo CD, where it runs, has not made. */
export async function absentJobs(kubernetes: Kubernetes, secret: ListedSecret): Promise<string[]> {
  const absent: string[] = [];
  for (const { gets, namespace, name } of readersOf(secret))
    if (gets === 'run-again' && (await kubernetes.get(['job', name, '-n', namespace])) === undefined)
      absent.push(`${namespace}/${name}`);
  return absent.length > 0 && (await new ArgoCd(kubernetes).hasApplications()) ? absent : [];
}

/** Deletes a finished job. Argo CD recreates it, and it reads the new secret. */
export function rerun(of: Rotation, { namespace, name }: Reader): Part {
  const { kubernetes } = of;
  const state = () => jobState(of, namespace, name);
  const remove = kubernetes.delete({ kind: 'job', name, namespace });
  const actions = [
    action(remove.lines, async (progress) => {
      if (['old', 'failed'].includes(await state())) await remove.run(progress);
    }),
    action('wait until Argo CD has recreated it and it has succeeded', (progress) =>
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

async function jobState(of: Rotation, namespace: string, name: string): Promise<keyof typeof WAITS | 'done'> {
  const job = await of.kubernetes.get(['job', name, '-n', namespace]);
  if (job === undefined) return 'absent';
  const since = await of.changed(namespace, touchedAt);
  if (Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp) < since) return 'old';
  if ((job.status?.succeeded ?? 0) > 0) return 'done';
  const isFailed = ({ type, status }: any) => type === 'Failed' && status === 'True';
  return job.status?.conditions?.some(isFailed) ? 'failed' : 'runs';
}

const WAITS = {
  absent: 'Argo CD has not created it yet; if the repository lacks this dist/: git push, or git pull if it is newer',
  old: 'the old Job still exists',
  runs: 'it still runs',
  failed: 'it has failed; read its log, then run this again, which recreates the Job',
} as const;

export function restart(of: Rotation, reader: Reader): Part {
  const { kubernetes } = of;
  const { namespace, name } = reader;
  const workload = `${reader.kind.toLowerCase()}/${name}`;
  const rollout = async (progress: Progress) => {
    await untilNone(`${namespace}/${name} has new pods`, { seconds: ROLLOUT_SECONDS }, progress, async () => {
      const live = await kubernetes.get([workload, '-n', namespace]);
      return live === undefined ? ['it no longer exists'] : [rolloutProblem(live) ?? []].flat();
    });
    const gone = `the old pods of ${namespace}/${name} are gone`;
    await untilNone(gone, { seconds: 300 }, progress, () => of.stale(reader));
  };
  const actions = [
    kubernetes.command(['rollout', 'restart', workload, '-n', namespace]),
    action('wait until only new pods run', rollout),
  ];
  return async () => ((await of.stale(reader)).length === 0 ? undefined : { actions });
}

/** A job that runs with the old value is left to end: it reads the new one when it starts the next time. */
export function ended(of: Rotation, reader: Reader): Part {
  const what = `pods of ${reader.namespace}/${reader.name} with the old value have ended`;
  const wait = (progress: Progress) => untilNone(what, { seconds: JOB_SECONDS }, progress, () => of.stale(reader));
  const actions = [action(`wait until ${what}`, wait)];
  return async () => ((await of.stale(reader)).length === 0 ? undefined : { actions });
}

/** Runs only after all earlier parts, including those that an earlier run planned. */
export function forget({ store, secret }: Rotation, before: readonly Part[]): Part {
  const remove = async () => {
    const kept = await store.read();
    await store.write({ ...kept, previous: withValues(kept.previous, secret, Object.keys(kept.previous), undefined) });
  };
  const actions = [action(`${SECRETS.cluster}: remove the previous value of ${secret.name}`, remove)];
  return after(async () => ({ actions }), `some readers do not have the new value of ${secret.name} yet`, ...before);
}
