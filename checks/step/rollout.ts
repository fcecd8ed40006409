import { nodes as machines } from '../../inventory';
import type { ApiChange } from './api-server';
import { clientsOf } from './clients';
import type { Manifest } from './objects';
import type { Rollout } from './plan';
import { startSeconds, stopSeconds, type Seconds } from './pod-times';
import { daemonLimits, replacedPods, rollingLimits, type Around, type PodsEffect } from './replaced-pods';
import { servingMeanwhile } from './serving';
import type { Pair, Placed, State, Step } from './step';
import { jobsBefore, waveOf } from './waves';
import { selects, templateOf, workloads } from './workloads';

/** What controllers do to pods after the API server accepted a change; undefined if no pod is replaced. */
export function rolloutOf(pair: Pair, change: Pick<ApiChange, 'live' | 'next'>, step: Step): Rollout | undefined {
  const effect = effectOnPods(pair, change, step);
  return effect && (effect.does === 'replace' || effect.does === 'perhaps')
    ? details(pair.after!, change.next, effect, step)
    : undefined;
}

/** What a controller does to the pods of a workload. Undefined without a workload before or after. */
export function effectOnPods(
  { before, after }: Pair,
  { live, next }: Pick<ApiChange, 'live' | 'next'>,
  step: Step,
): PodsEffect | undefined {
  return before && after ? replacedPods(live, next, around(next, step)) : undefined;
}

/** All pods of a workload that is deleted and recreated. */
export function remadeAtOnce({ after }: Pair, next: Manifest, step: Step): Rollout | undefined {
  const template = templateOf(next);
  if (!after || !template || next.kind === 'CronJob') return undefined;
  const count = countOf(next, around(next, step));
  const gap = both(stopSeconds(template), startSeconds(template, next.spec.minReadySeconds));
  return {
    ...common(after, next, step),
    pods: [next.metadata.name],
    count,
    order: 'all at once',
    seconds: gap,
    available:
      next.kind === 'Job' ? 'It runs once more; nothing waits for it.' : 'Nothing serves until the new pods are ready.',
  };
}

function details(after: Placed, next: Manifest, effect: PodsEffect, step: Step): Rollout {
  const { nodes = 1 } = around(next, step);
  const template = templateOf(next) ?? {};
  const stop = stopSeconds(template);
  const start = startSeconds(template, next.spec.minReadySeconds);
  return {
    ...common(after, next, step),
    pods: effect.names ?? [next.metadata.name],
    count: effect.count,
    order: effect.order,
    seconds: duration(next, effect, stop, start, nodes),
    available: servingMeanwhile(step.after, next, effect, both(stop, start), countOf(next, around(next, step))),
  };
}

function common(placed: Placed, next: Manifest, step: Step): Pick<Rollout, 'wave' | 'after' | 'clients'> {
  const { after } = step;
  const workload = workloads(after).byName.get(nameOf(placed.object));
  const jobs = jobsBefore(placed, step);
  return {
    wave: waveOf(after, placed.folder, next),
    ...(jobs.length > 0 && { after: jobs }),
    clients: workload ? clientsOf(after, workload) : [],
  };
}

/** How long it takes until the last old pod has ended and the last new one serves. */
function duration(next: Manifest, effect: PodsEffect, stop: Seconds, start: Seconds, nodes: number): Seconds {
  const gap = both(stop, start);
  switch (next.kind) {
    case 'Deployment': {
      if (next.spec.strategy?.type === 'Recreate') return gap;
      const { surge, unavailable } = rollingLimits(next, effect.count);
      const rounds = Math.ceil(effect.count / Math.max(1, surge + unavailable));
      return { least: rounds * start.least + stop.least, most: rounds * start.most + stop.most };
    }
    case 'DaemonSet': {
      const { surge, unavailable } = daemonLimits(next, nodes);
      return times(gap, Math.ceil(effect.count / (surge || unavailable)));
    }
    default:
      return times(gap, effect.count);
  }
}

function both(a: Seconds, b: Seconds): Seconds {
  return { least: a.least + b.least, most: a.most + b.most };
}

function times({ least, most }: Seconds, count: number): Seconds {
  return { least: least * count, most: most * count };
}

function countOf(object: Manifest, { autoscaled, nodes = 1 }: Around): number {
  if (object.kind === 'DaemonSet') return nodes;
  if (object.kind === 'Job') return object.spec.parallelism ?? 1;
  return autoscaled ?? object.spec.replicas ?? 1;
}

/** The context of a workload: its autoscaler, and the machines that would run a pod of a DaemonSet. */
function around(next: Manifest, step: Step): Around {
  if (next.kind === 'DaemonSet') return { nodes: Math.max(1, nodesOf(next, step)) };
  return next.kind === 'Deployment' ? { autoscaled: autoscalers(step.after).get(nameOf(next)) } : {};
}

function nodesOf(next: Manifest, { homelab }: Step): number {
  if (!homelab) return 1;
  const { nodeSelector, tolerations = [] } = next.spec.template.spec ?? {};
  const everywhere = tolerations.some(({ key, operator }: Manifest) => !key && operator === 'Exists');
  return [...machines(homelab)].filter(([name, machine]) => {
    const controls = machine.role === 'control-plane';
    const tolerated =
      everywhere || tolerations.some(({ key }: Manifest) => key === 'node-role.kubernetes.io/control-plane');
    if (controls && homelab.talos.scheduleOnControlPlanes !== true && !tolerated) return false;
    const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...machine.labels };
    return selects({ matchLabels: nodeSelector }, labels);
  }).length;
}

const scalers = new WeakMap<State, Map<string, number>>();

/** Least number of pods of each autoscaler, by its target. */
function autoscalers(state: State): Map<string, number> {
  const known = scalers.get(state);
  if (known) return known;
  const found = new Map<string, number>();
  for (const { object } of state.objects)
    if (object.kind === 'HorizontalPodAutoscaler') {
      const { kind, name } = object.spec.scaleTargetRef;
      found.set(
        nameOf({ kind, metadata: { name, namespace: object.metadata.namespace } }),
        object.spec.minReplicas ?? 1,
      );
    }
  scalers.set(state, found);
  return found;
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`;
}
