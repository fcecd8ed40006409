import { parseQuantity } from '../values/quantity';
import type { Json } from './rendering';

/** What pods of one workload request, from its rendered object. Units: bytes and cores. */
export interface Footprint {
  readonly memory: number;
  /** Sum of the limits of memory. */
  readonly memoryLimit: number;
  readonly cpu: number;
  /** Pods at rest; with an autoscaler as many as it may make. */
  readonly pods: number;
  /** Pods more while it rolls. */
  readonly surge: number;
}

/**
 * Covers every kind that runs pods. The budget does not count pods of a kind that is missing here.
 * @param nodes a DaemonSet counts once for each of them
 * @param others where its HorizontalPodAutoscaler and the LimitRange of its namespace may be
 * @returns undefined for objects that run no pods
 */
export function footprint(object: Json, nodes: number, others: readonly Json[] = []): Footprint | undefined {
  const template = podSpecOf(object);
  if (template === undefined) return undefined;
  const admitted = withDefaults(template, limitRangesOf(object, others));
  const limit = (container: Json) => ({ ...container, resources: { requests: container.resources.limits } });
  const limited = {
    containers: admitted.containers.map(limit),
    initContainers: admitted.initContainers?.map(limit),
  };
  return {
    ...podRequests(admitted),
    memoryLimit: podRequests(limited).memory,
    ...podCount(object, nodes, others),
  };
}

/** The LimitRanges of the namespace of an object. */
export function limitRangesOf({ metadata }: Json, others: readonly Json[]): Json[] {
  return others.filter((other) => other.kind === 'LimitRange' && other.metadata.namespace === metadata?.namespace);
}

/** A pod with the resources that the API server adds: those of LimitRanges, and a limit without a request sets the request. */
export function withDefaults(podSpec: Json, ranges: readonly Json[]): Json {
  const rules = ranges.flatMap(({ spec }) => spec.limits.filter(({ type }: Json) => type === 'Container') as Json[]);
  // The API server uses the maximum as the limit if there is no default.
  const defaultLimits = (rule: Json) => ({ ...rule.max, ...rule.default });
  const merged = (read: (rule: Json) => Json) => Object.assign({}, ...rules.map(read)) as Json;
  const limits = merged(defaultLimits);
  const requests = merged((rule) => ({ ...rule.min, ...defaultLimits(rule), ...rule.defaultRequest }));
  const fill = (container: Json) => {
    const own = container.resources ?? {};
    const limit = { ...limits, ...own.limits };
    return {
      ...container,
      resources: { limits: limit, requests: { ...limit, ...requests, ...own.limits, ...own.requests } },
    };
  };
  return {
    ...podSpec,
    containers: (podSpec.containers ?? []).map(fill),
    ...(podSpec.initContainers && { initContainers: podSpec.initContainers.map(fill) }),
  };
}

/** Kinds of Kubernetes that run pods. */
export const POD_KINDS: ReadonlySet<string> = new Set([
  'CronJob',
  'DaemonSet',
  'Deployment',
  'Job',
  'Pod',
  'ReplicaSet',
  'ReplicationController',
  'StatefulSet',
]);

/** The pods that an object runs, or undefined where it runs none. */
export function podSpecOf({ kind, spec }: Json): Json | undefined {
  const template =
    kind === 'Pod' ? spec : kind === 'CronJob' ? spec?.jobTemplate?.spec?.template?.spec : spec?.template?.spec;
  return Array.isArray(template?.containers) ? template : undefined;
}

/** What a container asks for. With a limit alone, Kubernetes takes that. */
export function containerRequest({ resources = {} }: Json, resource: string): number {
  return parseQuantity(resources.requests?.[resource] ?? resources.limits?.[resource] ?? 0);
}

/**
 * What the scheduler counts for a pod: all containers together, or the largest init container where that is more. An init
 * container with `restartPolicy: Always` goes on beside all that follow.
 */
export function podRequests(podSpec: Json): { memory: number; cpu: number } {
  const of = (resource: string) => {
    let beside = 0;
    let largest = 0;
    for (const container of podSpec.initContainers ?? []) {
      largest = Math.max(largest, beside + containerRequest(container, resource));
      if (container.restartPolicy === 'Always') beside += containerRequest(container, resource);
    }
    const together = podSpec.containers.reduce(
      (sum: number, container: Json) => sum + containerRequest(container, resource),
      beside,
    );
    return Math.max(together, largest);
  };
  return { memory: of('memory'), cpu: of('cpu') };
}

function podCount(object: Json, nodes: number, others: readonly Json[]): { pods: number; surge: number } {
  const { kind, spec } = object;
  if (kind === 'DaemonSet') return { pods: nodes, surge: 0 };
  if (kind === 'Pod') return { pods: 1, surge: 0 };
  if (kind === 'Job') return { pods: spec.parallelism ?? 1, surge: 0 };
  if (kind === 'CronJob') {
    // Without Forbid the next run starts while one is still there.
    const pods = spec.jobTemplate.spec.parallelism ?? 1;
    return { pods, surge: spec.concurrencyPolicy === 'Forbid' ? 0 : pods };
  }
  const pods = Math.max(spec.replicas ?? 1, maximumOf(object, others));
  return { pods, surge: kind === 'Deployment' ? surgeOf(spec, pods) : 0 };
}

/** Kubernetes' own default is a quarter, rounded up. */
function surgeOf({ strategy = {} }: Json, pods: number): number {
  if (strategy.type === 'Recreate') return 0;
  const surge = strategy.rollingUpdate?.maxSurge ?? '25%';
  return typeof surge === 'number' ? surge : Math.ceil((parseInt(surge, 10) / 100) * pods);
}

function maximumOf({ kind, metadata }: Json, others: readonly Json[]): number {
  const scaler = others.find(
    (other) =>
      other.kind === 'HorizontalPodAutoscaler' &&
      other.metadata.namespace === metadata.namespace &&
      other.spec.scaleTargetRef.kind === kind &&
      other.spec.scaleTargetRef.name === metadata.name,
  );
  return scaler?.spec.maxReplicas ?? 0;
}
