import { planStep } from '../../../checks/step';
import type { Plan } from '../../../checks/step/plan';
import type { State } from '../../../checks/step/step';
import { identity } from '../../../checks/step/objects';
import type { Json } from '../cluster/client';
import { until } from '../cluster/processes';
import type { Change, Site } from '../gitops/site';
import type { Tally } from '../tally';
import { counted, disagreements, type Result } from './agreement';
import { endedSince, happened } from './happened';
import { look, type Seen } from './seen';
import { stateOf } from './state';

/** A commit that was planned and carried out. */
export interface Taken {
  readonly plan: Plan;
  readonly result: Result;
}

/** Takes a site from commit to commit: each is planned, carried out by Argo CD, and compared. */
export class Walk {
  constructor(
    readonly site: Site,
    private readonly tally: Tally,
  ) {}

  /** Commits a change, waits until it is carried out, and checks that what happened is what the plan says. */
  async commit(what: string, change: Change = () => undefined): Promise<Taken> {
    return this.take(what, () => this.site.commit(what, change));
  }

  /** The same for the commit before the last change. */
  async revert(what: string): Promise<Taken> {
    return this.take(what, () => this.site.revert(what));
  }

  private async take(what: string, push: () => Promise<unknown>): Promise<Taken> {
    const before = stateOf(this.site.dist);
    const seen = await look(this.site.client, [before]);
    await push();
    const after = stateOf(this.site.dist);
    const kubernetes = this.site.plane.version;
    const plan = planStep({ before, after, kubernetes }, 'HEAD');
    await this.carriedOut();
    const result = await this.since(seen, [before, after]);
    const wrong = disagreements(plan, result);
    this.tally.check(`${what}: what happened is what the plan says`, wrong.length === 0, wrong.join('\n'));
    const restarted = [...result.restarted.values()].flat().length;
    const refused = result.refused.size > 0 ? `, ${result.refused.size} refused` : '';
    console.log(
      `  ${what}: planned ${counted(plan)}; ${result.objects.size} objects changed, ${restarted} pods restarted${refused}`,
    );
    return { plan, result };
  }

  /** What an owner does by hand after a commit. @returns what came of it once everything is quiet */
  async byHand(act: () => Promise<unknown>, seconds = 120): Promise<Result> {
    const states = [stateOf(this.site.dist)];
    const seen = await look(this.site.client, states);
    await act();
    await this.site.settled(seconds);
    await this.quiet();
    return this.since(seen, states);
  }

  private async since(seen: Seen, states: readonly State[]): Promise<Result> {
    const { client } = this.site;
    const now = await look(client, states);
    return { ...happened(seen, now, await endedSince(client, seen)), refused: await this.refused() };
  }

  /** Waits until every application has synced the commit or failed to, and pods do not change any more. */
  private async carriedOut(seconds = 180): Promise<void> {
    const { argo, dist } = this.site;
    const names = stateOf(dist)
      .objects.filter(({ object }) => object.kind === 'Application')
      .map(({ object }) => object.metadata.name as string);
    let refreshed = 0;
    await until(
      `${names.length} applications have carried the commit out`,
      seconds,
      async () => {
        if (Date.now() - refreshed > 4_000) {
          await argo.refresh();
          refreshed = Date.now();
        }
        const found = await argo.applications();
        const wanted = found.filter(({ metadata }) => names.includes(metadata.name));
        // One that leaves without being kept takes its objects along, which needs a moment.
        const leaving = found.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
        return wanted.length === names.length && leaving.length === 0 && this.areDone(wanted);
      },
      () => argo.explain(),
    );
    await this.quiet();
  }

  private areDone(applications: readonly Json[]): boolean {
    const open = applications.filter((each) => !this.isDone(each));
    // The root waits for those that fail for as long as they do.
    return (
      open.length === 0 ||
      (open.length < applications.length &&
        applications.some(({ status = {} }) => failures(status).length > 0) &&
        open.every(
          ({ status }) =>
            status?.sync?.revision === this.site.revision &&
            status.sync.status === 'Synced' &&
            /^waiting for healthy state of argoproj/.test(status.operationState?.message ?? ''),
        ))
    );
  }

  private isDone({ status = {} }: Json): boolean {
    if (status.sync?.revision !== this.site.revision) return false;
    const { phase, syncResult } = status.operationState ?? {};
    // What left Git and is to be kept counts as OutOfSync as long as it is there.
    const resources: Json[] = status.resources ?? [];
    const onlyKept = resources.every((each) => each.status === 'Synced' || each.requiresPruning);
    if (status.sync.status === 'Synced' || (onlyKept && syncResult?.revision === this.site.revision))
      return status.health?.status === 'Healthy' && phase !== 'Running';
    return syncResult?.revision === this.site.revision && failures(status).length > 0;
  }

  /** Waits until no pod ends or waits. */
  private async quiet(): Promise<void> {
    let last = '';
    await until('pods are quiet', 60, async () => {
      const pods = await this.site.client.list('v1', 'Pod');
      const seen = pods.map(({ metadata, status }) => `${metadata.uid} ${status.phase} ${metadata.deletionTimestamp}`);
      const same = seen.sort().join() === last;
      last = seen.join();
      if (!same) await new Promise((resolve) => setTimeout(resolve, 800));
      return same && pods.every(({ metadata }) => metadata.deletionTimestamp === undefined);
    });
  }

  /** What was refused in the last sync of each application, and why. */
  private async refused(): Promise<Map<string, string>> {
    const applications = await this.site.argo.applications();
    return new Map(
      applications
        .filter(({ status = {} }) => status.operationState?.syncResult?.revision === this.site.revision)
        .flatMap(({ status }) => failures(status))
        .map(({ group, kind, namespace, name, message }) => [
          identity({ apiVersion: group ? `${group}/v1` : 'v1', kind, metadata: { namespace, name } }),
          message,
        ]),
    );
  }
}

function failures({ operationState }: Json): Json[] {
  if (operationState?.phase === 'Succeeded') return [];
  return (operationState?.syncResult?.resources ?? []).filter(({ status }: Json) => status === 'SyncFailed');
}
