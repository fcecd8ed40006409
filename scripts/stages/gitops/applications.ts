import { action } from '../../engine/actions';
import { NotReady, Problem } from '../../engine/problem';
import { step, type Progress, type Step } from '../../engine/step';
import { Final, SECOND, until } from '../../engine/wait';
import { applicationProblem, gaveUp, type ArgoCd } from '../../clients/argo-cd';

/**
 * For all applications together: images of some 3 GB over a slow line, a new Cassandra ring, which waits 10 minutes for a sign
 * of an old one and then starts its racks one after the other, and its schema job, which gives up after 15 minutes.
 */
const SETTLE_SECONDS = 60 * 60;

/**
 * Every application of dist/ is Synced and Healthy; waited for in the order of their waves, each by its name.
 * @param root the name of the application that makes the others
 */
export function applicationsSettled(
  argoCd: ArgoCd,
  wanted: readonly any[],
  root: string,
  pending: () => Promise<boolean>,
): Step {
  const wave = ({ metadata }: any) => Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
  const isRoot = ({ metadata }: any) => metadata.name === root;
  // The root is healthy when all others are.
  const names = [...wanted]
    .sort((a, b) => Number(isRoot(a)) - Number(isRoot(b)) || wave(a) - wave(b))
    .map(({ metadata }) => metadata.name as string);
  return step('every application is Synced and Healthy', async () => {
    if (await pending()) throw new NotReady('Argo CD must exist first');
    const found = await argoCd.applications();
    if (!found.has(root)) throw new NotReady('the root application must exist first');
    if (names.every((name) => applicationProblem(found.get(name)) === undefined)) return undefined;
    const lines = [`wait until these are Synced and Healthy: ${names.join(', ')}`, 'sync failed applications again'];
    return { actions: [action(lines, (progress) => settle(argoCd, names, progress))] };
  });
}

const FIX = 'fix the named problem and push, then run this again to repeat the sync';

async function settle(argoCd: ArgoCd, names: readonly string[], progress: Progress): Promise<void> {
  const begin = Date.now();
  const asked = new Map<string, string>();
  const seen = await argoCd.applications();
  for (const name of names.filter((each) => gaveUp(seen.get(each)) !== undefined)) {
    asked.set(name, seen.get(name).status.operationState.finishedAt);
    await argoCd.syncAgain(name);
  }
  for (const name of names) {
    let last = '';
    const left = Math.max(0, SETTLE_SECONDS - Math.round((Date.now() - begin) / SECOND));
    await until(
      `application ${name}`,
      { seconds: left, every: 5 },
      (text) => progress(`${text} ${last}`),
      async () => {
        const found = await argoCd.applications();
        // Any of them: where the root gave up, the others may never be there.
        for (const each of names) {
          const failed = gaveUp(found.get(each));
          if (failed !== undefined && found.get(each).status.operationState.finishedAt !== asked.get(each))
            throw new Final(new Problem(`${each}: ${failed}\n${FIX}`));
        }
        last = applicationProblem(found.get(name)) ?? '';
        if (last !== '') throw new Problem(`${name}: ${last}`);
        return true;
      },
    );
  }
}
