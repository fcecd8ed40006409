import { footprint, podRequests, withDefaults } from '../../../constructs';
import type { Json } from '../../../constructs';
import { parseQuantity } from '../../../values/quantity';
import type { Manifest } from '../objects';

/** The resources of pods that quotas count, by the names of ResourceQuota: bytes, cores, numbers. */
export type Usage = Readonly<Record<string, number>>;

/** The resources of one pod, with the defaults of its namespace. */
export function podUsage(spec: Manifest, ranges: readonly Manifest[]): Usage {
  const filled = withDefaults(spec as Json, ranges as readonly Json[]);
  const limits = (containers: readonly Manifest[] = []) =>
    containers.map((each) => ({ ...each, resources: { requests: each.resources?.limits ?? {} } }));
  const requested = podRequests(filled as Record<string, any>);
  const limited = podRequests({
    ...filled,
    containers: limits(filled.containers),
    initContainers: limits(filled.initContainers),
  });
  return {
    pods: 1,
    'requests.memory': requested.memory,
    'requests.cpu': requested.cpu,
    'limits.memory': limited.memory,
    'limits.cpu': limited.cpu,
  };
}

/** Rules of LimitRanges for containers, pods or claims. */
export function rulesFor(type: string, ranges: readonly Manifest[]): Manifest[] {
  return ranges.flatMap(({ spec }) => spec.limits.filter((each: Manifest) => each.type === type));
}

/** Pods without and with a rollout. */
export function countOf(object: Manifest, nodes: number, others: readonly Manifest[]): { pods: number; surge: number } {
  const { pods = 0, surge = 0 } =
    footprint(object as Record<string, any>, nodes, others as readonly Record<string, any>[]) ?? {};
  return { pods, surge };
}

export function times(usage: Usage, factor: number): Usage {
  return Object.fromEntries(Object.entries(usage).map(([key, value]) => [key, value * factor]));
}

export function sum(all: readonly Usage[]): Usage {
  const total: Record<string, number> = {};
  for (const usage of all) for (const [key, value] of Object.entries(usage)) total[key] = (total[key] ?? 0) + value;
  return total;
}

export function most(one: Usage, other: Usage): Usage {
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return Object.fromEntries(keys.map((key) => [key, Math.max(one[key] ?? 0, other[key] ?? 0)]));
}

/** Text for messages: memory and storage in MiB. */
export function amount(key: string, value: number): string {
  if (/memory|storage/.test(key)) return `${Math.ceil(value / 1024 ** 2)} MiB`;
  return key.includes('cpu') ? `${Math.round(value * 1000)}m` : String(value);
}

/** A quantity of Kubernetes as a number. */
export function quantity(value: unknown): number {
  return parseQuantity(value as string | number);
}
