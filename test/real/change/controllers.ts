import type { Json } from '../cluster/client';
import type { ControlPlane } from '../cluster/control-plane';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { planDisagreement } from './controller-plan';
import { disagreement, NODES, rule, WRONG } from './controller-rules';
import { Random } from './random';
import { chosen, directed, told, type Case } from './workload-cases';
import { samples } from './workload-samples';
import { Trial, type Seen } from './workload-trial';

/** How much is tried, and from where. */
export interface Amount {
  /** Ends after this many cases, */
  readonly cases: number;
  /** or after this many seconds. */
  readonly seconds: number;
  readonly seed: number;
}

/** Each has its own namespace, and tries one case after the other. */
const SIDE_BY_SIDE = 10;

/**
 * What real controllers do to the pods of changed workloads, on nodes that kwok plays, and what the rules of checks/step say of
 * the same changes. @returns a line for the proofs
 */
export async function controllers(plane: ControlPlane, tally: Tally, amount: Amount): Promise<string[]> {
  const all = samples();
  const trials = await prepared(
    plane,
    all.map(({ object }) => object),
  );
  const random = new Random(amount.seed);
  const first = directed(all);
  const begin = Date.now();
  const seen: Seen[] = [];
  let [tried, invalid] = [0, 0];
  const goesOn = () => tried < first.length || (tried < amount.cases && Date.now() - begin < amount.seconds * 1000);
  // A CronJob runs at the full minute, which a sample does not wait for.
  const waits = amount.seconds > 75 ? nextRun(plane, tally) : Promise.resolve();
  await Promise.all(
    trials.map(async (trial) => {
      while (goesOn()) {
        const each = first[tried++] ?? chosen(all, random);
        const found = await looked(trial, each, tally);
        if (found) seen.push(found);
        else invalid++;
        const judge = (one: Seen) =>
          planDisagreement(one, plane.version) ??
          (one.refused === undefined ? disagreement(one, rule(one)) : undefined);
        const wrong = found && judge(found);
        if (wrong) await report(trial, each, wrong, judge, tally);
      }
    }),
  );
  await waits;
  const judged = seen.filter(({ refused }) => refused === undefined);
  const replaced = judged.filter(({ pods }) => (pods?.replaced ?? 0) > 0).length;
  tally.check('the cases replace pods in some and leave them in others', replaced > 0 && replaced < judged.length);
  const remade = await recreated(
    trials[0]!,
    all.map((sample) => ({ sample, history: [], change: [], behind: false })),
    tally,
  );
  const caught = broken(judged, tally);
  const withPods = judged.filter(({ pods }) => pods).length;
  return [
    `Kubernetes ${plane.version}, controllers: seed ${amount.seed}, ${judged.length} changes of workloads (${tally.good ? 'all' : 'not all'} as the rules say), pods compared in ${withPods}, replaced in ${replaced}, ${remade} objects recreated; ${seen.length - judged.length} changes were refused and ${invalid} objects were invalid before the change`,
    `Kubernetes ${plane.version}, controllers: ${caught} of ${Object.keys(WRONG).length} broken rules found by the same cases`,
  ];
}

async function prepared(plane: ControlPlane, objects: readonly Json[]): Promise<Trial[]> {
  const { client } = plane;
  for (let index = 0; index < NODES; index++) await node(plane, `node-${index}`, index === 0 ? 'cassandra' : 'mongodb');
  for (const name of ['database', 'ingress', 'service'])
    await client.apply({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value: 1000 });
  return Promise.all(
    Array.from({ length: SIDE_BY_SIDE }, async (_, index) => {
      const trial = new Trial(client, `trial-${index}`);
      await trial.prepare(objects);
      return trial;
    }),
  );
}

/** A node with room for everything. */
async function node({ client }: ControlPlane, name: string, storage: string): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'storage-type': storage };
  await client.ask('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
  const capacity = { cpu: '10000', memory: '100Ti', pods: '10000', 'ephemeral-storage': '100Ti' };
  const status = { capacity, allocatable: capacity };
  await client.ask('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json');
}

async function looked(trial: Trial, each: Case, tally: Tally): Promise<Seen | undefined> {
  try {
    return await trial.run(each);
  } catch (error) {
    tally.check(`${told(each)}: is looked at`, false, (error as Error).message);
    return undefined;
  }
}

/** The smallest part of a case that still disagrees. */
async function report(
  trial: Trial,
  each: Case,
  wrong: string,
  judge: (seen: Seen) => string | undefined,
  tally: Tally,
): Promise<void> {
  let [smallest, why] = [each, wrong];
  for (const mutation of each.change.length > 1 ? each.change : []) {
    const alone = { ...each, change: [mutation] };
    const found = await trial.run(alone).catch(() => undefined);
    const still = found && judge(found);
    if (still) [smallest, why] = [alone, still];
  }
  tally.check(told(smallest), false, why);
}

/** What Argo CD makes anew is another object with other pods, even where nothing but that happens. */
async function recreated(trial: Trial, cases: readonly Case[], tally: Tally): Promise<number> {
  let count = 0;
  for (const each of cases
    .filter(({ sample }) => ['Deployment', 'Job', 'StatefulSet'].includes(sample.object.kind))
    .slice(0, 6)) {
    const seen = await trial.run(each, true);
    const all = seen?.next.kind === 'Job' ? 1 : seen?.next.spec.replicas;
    tally.check(
      `${told(each)}made anew`,
      seen !== undefined && seen.anew && (!seen.pods || seen.pods.replaced === all),
    );
    count++;
  }
  return count;
}

/** A CronJob that changes: its next run has the new template. */
async function nextRun({ client }: ControlPlane, tally: Tally): Promise<void> {
  const sent = (image: string) => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'every-minute', namespace: 'default' },
    spec: {
      schedule: '* * * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image }] } } },
      },
    },
  });
  await client.apply(sent('a:1'));
  await client.apply(sent('a:2'));
  const runs = await until('a CronJob runs', 75, async () => {
    const found = await client.list('batch/v1', 'Job', 'default');
    return found.length > 0 && found;
  }).catch((): Json[] => []);
  const images = runs.map(({ spec }) => spec.template.spec.containers[0].image).join();
  tally.check('the next run of a CronJob has the new template', images === 'a:2', images);
  await client.delete(sent('a:2'));
}

/** How many wrong copies of the rules the cases show. */
function broken(seen: readonly Seen[], tally: Tally): number {
  const caught = Object.entries(WRONG).filter(([name, wrong]) => {
    const shown = seen.some((each) => disagreement(each, wrong(each)) !== undefined);
    tally.check(`the wrong copy is caught: ${name}`, shown);
    return shown;
  });
  return caught.length;
}
