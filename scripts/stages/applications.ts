import { json, kubectl, kubectlChange } from '../engine/cluster';
import { CommandFailed } from '../engine/commands';
import type { Context } from '../engine/context';
import { Later, Problem } from '../engine/problem';
import type { Step } from '../engine/step';
import { SECOND, until } from '../engine/wait';

/**
 * For all applications together: images of some 3 GB over a slow line, a new Cassandra ring, which waits 10 minutes for a sign
 * of an old one and then starts its racks one after the other, and its schema job, which gives up after 15 minutes.
 */
const SETTLE_SECONDS = 60 * 60;

/** Argo CD's applications by name. @throws Later while their kind is not known */
export async function applications(context: Context): Promise<ReadonlyMap<string, any>> {
  const args = ['get', 'applications.argoproj.io', '-n', 'argocd', '-o', 'json'];
  try {
    const { stdout } = await kubectl(context, args);
    const items: any[] = json(stdout, `kubectl ${args.slice(0, 2).join(' ')}`).items ?? [];
    return new Map(items.map((each) => [each.metadata?.name, each]));
  } catch (error) {
    if (error instanceof CommandFailed && /doesn't have a resource type/.test(error.output.stderr))
      throw new Later('Argo CD must be installed first');
    throw error;
  }
}

/** Why an application is not as it should be, or undefined when it is Synced and Healthy. */
export function applicationProblem(application: any): string | undefined {
  if (application === undefined) return 'it is not there yet; Argo CD makes it once dist/ is pushed (git push)';
  const { sync, health, operationState, conditions = [], resources = [] } = application.status ?? {};
  if (sync?.status === 'Synced' && health?.status === 'Healthy' && operationState?.phase !== 'Running')
    return undefined;
  const waiting = resources
    .filter((each: any) => each.status === 'OutOfSync' || (each.health && each.health.status !== 'Healthy'))
    .slice(0, 3)
    .map(
      ({ kind, name, health: own, status }: any) =>
        `${kind} ${name} ${own?.status ?? status}${own?.message ? ` (${own.message})` : ''}`,
    );
  return [
    `${sync?.status ?? 'not compared yet'}, ${health?.status ?? 'not judged yet'}`,
    ...waiting,
    ...conditions.map(({ type, message }: any) => `${type}: ${message}`),
    ...(operationState?.phase === 'Failed' || operationState?.phase === 'Error' ? [operationState.message] : []),
  ].join('; ');
}

/** Why Argo CD gave up what it read: it tries for half an hour, ten times, and never again by itself. */
export function gaveUp(application: any): string | undefined {
  const { conditions = [], operationState } = application?.status ?? {};
  if (operationState?.phase !== 'Failed' && operationState?.phase !== 'Error') return undefined;
  return (conditions as any[]).find(
    ({ type, message }) => type === 'SyncError' && /^Failed last sync attempt/.test(message),
  )?.message;
}

/** Argo CD forgets that it tried, and tries as it does by itself: as often, and with the same options. */
export const TRY_AGAIN = {
  metadata: { annotations: { 'argocd.argoproj.io/refresh': 'normal' } },
  status: { operationState: null },
} as const;

async function tryAgain(context: Context, name: string): Promise<void> {
  const patch = ['--type=merge', `--patch=${JSON.stringify(TRY_AGAIN)}`];
  await kubectlChange(context, ['patch', `applications.argoproj.io/${name}`, '-n', 'argocd', ...patch]);
}

/** Every application of dist/ is Synced and Healthy; waited for in the order of their waves, each by its name. */
export function applicationsSettled(context: Context, wanted: readonly any[], pending: () => Promise<boolean>): Step {
  const wave = ({ metadata }: any) => Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
  const isRoot = ({ metadata }: any) => metadata.name === context.homelab.name;
  // The root is healthy when all others are.
  const names = [...wanted]
    .sort((a, b) => Number(isRoot(a)) - Number(isRoot(b)) || wave(a) - wave(b))
    .map(({ metadata }) => metadata.name as string);
  return {
    title: 'every application is Synced and Healthy',
    async look() {
      if (await pending()) throw new Later('Argo CD comes first');
      const found = await applications(context);
      if (!found.has(context.homelab.name)) throw new Later('the root application comes first');
      if (names.every((name) => applicationProblem(found.get(name)) === undefined)) return undefined;
      return { lines: [`wait for ${names.join(', ')}`] };
    },
    async apply(_change, say) {
      const begin = Date.now();
      const asked = new Map<string, string>();
      const seen = await applications(context);
      for (const name of names.filter((each) => gaveUp(seen.get(each)) !== undefined)) {
        asked.set(name, seen.get(name).status.operationState.finishedAt);
        await tryAgain(context, name);
      }
      for (const name of names) {
        let last = '';
        const left = Math.max(0, SETTLE_SECONDS - Math.round((Date.now() - begin) / SECOND));
        const failure = await until(
          `application ${name}`,
          { seconds: left, every: 5 },
          (text) => say(`${text} ${last}`),
          async () => {
            const found = await applications(context);
            // Any of them: where the root gave up, the others may never be there.
            for (const each of names) {
              const failed = gaveUp(found.get(each));
              if (failed !== undefined && found.get(each).status.operationState.finishedAt !== asked.get(each))
                return `${each}: ${failed}`;
            }
            last = applicationProblem(found.get(name)) ?? '';
            if (last !== '') throw new Problem(`${name}: ${last}`);
            return '';
          },
        );
        if (failure !== '')
          throw new Problem(`${failure}; mend and push what it names, then run this again: it has Argo CD try anew`);
      }
    },
  };
}
