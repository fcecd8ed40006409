import { parseQuantity } from '../values/quantity';
import type { Json } from './rendering';

/** What pods of one workload request, from its rendered object. Units: bytes and cores. */
export interface Footprint {
  readonly memory: number;
  readonly cpu: number;
  /** Pods at rest. */
  readonly pods: number;
  /** Pods more while it rolls. */
  readonly surge: number;
}

/** @returns undefined for objects that run no pods. A DaemonSet counts once for each of `nodes`. */
export function footprint(object: Json, nodes: number): Footprint | undefined {
  const template = object.spec?.template?.spec;
  if (!Array.isArray(template?.containers)) return undefined;
  const { pods, surge } = podCount(object, nodes);
  return { ...podRequests(template), pods, surge };
}

/** What the scheduler counts for a pod: all containers together, or the largest init container where that is more. */
export function podRequests(podSpec: Json): { memory: number; cpu: number } {
  const request = (container: Json, resource: string) => parseQuantity(container.resources?.requests?.[resource] ?? 0);
  const of = (resource: string) => {
    const together = podSpec.containers.reduce((sum: number, container: Json) => sum + request(container, resource), 0);
    return Math.max(together, ...(podSpec.initContainers ?? []).map((container: Json) => request(container, resource)));
  };
  return { memory: of('memory'), cpu: of('cpu') };
}

function podCount({ kind, spec }: Json, nodes: number): { pods: number; surge: number } {
  if (kind === 'DaemonSet') return { pods: nodes, surge: 0 };
  const pods = spec.replicas ?? 1;
  const surge = kind === 'Deployment' ? Number(spec.strategy?.rollingUpdate?.maxSurge ?? 1) : 0;
  return { pods, surge };
}
