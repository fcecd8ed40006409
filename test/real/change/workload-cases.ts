import type { Json } from '../cluster/client';
import type { Random } from './random';
import { choose, mutations, type Mutation } from './workload-changes';
import type { Sample } from './workload-samples';

/** A workload, what happened to it before, and the change whose effect is looked at. */
export interface Case {
  readonly sample: Sample;
  /** Changes that came first, a sync each. */
  readonly history: readonly (readonly Mutation[])[];
  readonly change: readonly Mutation[];
  /** Whether the history left pods behind that an earlier change has not reached. */
  readonly behind: boolean;
}

/** One case, by chance: plain, under another strategy, or with a rollout that was held back before. */
export function chosen(all: readonly Sample[], random: Random): Case {
  const sample = random.pick(all);
  const { object } = sample;
  const holds = mutations(object).filter(({ what }) => HOLDS.some((hold) => what.startsWith(hold)));
  const kind = random.below(10);
  const plain = { sample, history: [], change: choose(object, random), behind: false };
  if (holds.length === 0 || kind < 5) return plain;
  const hold = random.pick(holds);
  if (kind < 8)
    return { ...plain, history: [[hold]], change: [templateChange(object, random), ...extra(object, random)] };
  const release = random.pick(mutations(object).filter(({ what }) => releases(hold.what, what)));
  const behind = kind === 8;
  return {
    sample,
    history: behind ? [[hold], [templateChange(object, random)]] : [[hold]],
    change: [release],
    behind,
  };
}

/** Kind or file of a sample, what came first, and the change: each by how its `what` ends. */
const DIRECTED: readonly (readonly [sample: RegExp, history: readonly RegExp[], change: RegExp])[] = [
  [/deployment\.chat/, [], /containers\[0\]\.env: another order/],
  [/deployment\.chat/, [], /template\.metadata\.labels\.added/],
  [/statefulset\.mongodb/, [], /template\.metadata\.annotations\.added/],
  [/deployment\.web/, [], /containers\[0\]\.env: one added in front/],
  [/statefulset\.mongodb/, [], /initContainers\[0\]\.image: another/],
  [/deployment\.gateway/, [], /spec\.volumes: one added/],
  [/daemonset\.traefik/, [], /livenessProbe\.periodSeconds: another/],
  [/deployment\.search/, [], /limits\.memory: another/],
  [/rich|a Deployment with/, [], /automountServiceAccountToken: the default/],
  [/deployment\.gateway/, [], /containers\[0\]\.terminationMessagePath: the default/],
  [/statefulset\.mongodb/, [], /template\.spec\.schedulerName: the default/],
  [/deployment\.chat/, [], /requests\.cpu: written/],
  [/statefulset\.cassandra/, [], /sizeLimit: written/],
  [/deployment\.chat/, [], /^metadata\.labels\.added/],
  [/a Deployment with/, [], /^metadata\.annotations\.added/],
  [/statefulset\.mongodb/, [], /minReadySeconds/],
  [/deployment\.gateway/, [], /"Recreate"/],
  [/deployment\.search/, [], /revisionHistoryLimit: set/],
  [/a Deployment with/, [], /replicas: set to 3/],
  [/statefulset\.mongodb/, [], /replicas: set to 1/],
  [/a StatefulSet with/, [], /replicas: set to 4/],
  [/statefulset\.mongodb/, [/"OnDelete"/], /template\.metadata\.labels\.added/],
  [/daemonset/, [/"OnDelete"/], /template\.metadata\.labels\.added/],
  [/a StatefulSet with/, [/"partition":1/], /template\.metadata\.labels\.added/],
  [/a StatefulSet with/, [/"start":2/, /"partition":1/], /template\.metadata\.labels\.added/],
  [/deployment\.chat/, [/paused: set to true/], /template\.metadata\.labels\.added/],
  [/deployment\.chat/, [/paused: set to true/, /template\.metadata\.labels\.added/], /paused: set to false/],
  [/statefulset\.mongodb/, [/"partition":2/, /template\.metadata\.labels\.added/], /"partition":1/],
  [/daemonset/, [], /template\.metadata\.labels\.added/],
  [/a ReplicaSet/, [], /template\.metadata\.labels\.added/],
  [/a CronJob/, [], /template\.metadata\.labels\.added/],
  [/job\.mongodb/, [], /suspend/],
  [/job\.mongodb/, [], /parallelism/],
];

/** One case for each rule, so that a sample that ends early has shown all of them. */
export function directed(all: readonly Sample[]): Case[] {
  return DIRECTED.map(([name, history, change]) => {
    const sample = all.find(({ what }) => name.test(what))!;
    const find = (pattern: RegExp) => {
      const found = mutations(sample.object).find(({ what }) => pattern.test(what));
      if (!found) throw new Error(`no change of ${sample.what} is called ${pattern}`);
      return found;
    };
    return {
      sample,
      history: history.map((each) => [find(each)]),
      change: [find(change)],
      behind: history.some(isTemplate),
    };
  });
}

function isTemplate({ source }: RegExp): boolean {
  return source.startsWith('template');
}

/** What holds rollouts back. */
const HOLDS = [
  'spec.paused: set to true',
  'spec.updateStrategy: set to {"type":"OnDelete"}',
  'spec.updateStrategy: set to {"type":"RollingUpdate","rollingUpdate":{"partition"',
];

function releases(hold: string, change: string): boolean {
  if (hold.startsWith('spec.paused')) return change === 'spec.paused: set to false';
  return change.startsWith('spec.updateStrategy: ') && change !== hold;
}

function templateChange(object: Json, random: Random): Mutation {
  const certain = mutations(object).filter(({ what }) =>
    /(labels|annotations)\.added: added$|containers\[0\]\.(env: one|image: )/.test(what),
  );
  return random.pick(certain.filter(({ what }) => what.startsWith('spec.template')));
}

function extra(object: Json, random: Random): Mutation[] {
  return random.below(3) === 0 ? choose(object, random).slice(0, 1) : [];
}

/** A case as a person reads it. */
export function told({ sample, history, change }: Case): string {
  const step = (list: readonly Mutation[]) => list.map(({ what }) => what).join(' and ');
  return `${sample.what}: ${[...history.map((each) => `first ${step(each)}`), step(change)].join('; then ')}`;
}
