import type { Size } from 'cdk8s';
import { k8s, type Cpu } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { bytes, cpuProblem, cpuQuantity, memoryQuantity, millicores, sizeProblem } from '../values/quantity';
import type { Devices } from '../values/privileges';
import { assertValid } from './validation';

/** Resources of one container. */
export interface Resources {
  /** Memory, as request and limit: the kernel first kills pods that use more than they request. */
  readonly memory: Size;
  /** CPU request. */
  readonly cpu: Cpu;
  /** CPU limit. @default none: a limit throttles even when the node is idle */
  readonly cpuLimit?: Cpu;
}

/** @throws when a quantity is a plain number, NaN or negative */
export function resourceRequirements(
  scope: IConstruct,
  { memory, cpu, cpuLimit }: Resources,
): k8s.ResourceRequirements {
  assertValid(
    scope,
    sizeProblem(memory, 'memory'),
    cpuProblem(cpu, 'cpu'),
    cpuLimit === undefined ? undefined : cpuProblem(cpuLimit, 'cpuLimit'),
  );
  const mem = k8s.Quantity.fromString(memoryQuantity(bytes(memory)));
  const cores = (value: Cpu) => k8s.Quantity.fromString(cpuQuantity(millicores(value)));
  return {
    requests: { cpu: cores(cpu), memory: mem },
    limits: cpuLimit === undefined ? { memory: mem } : { cpu: cores(cpuLimit), memory: mem },
  };
}

/** Adds devices of a plugin, which Kubernetes does not overcommit: request and limit are the same. */
export function withDevices(resources: k8s.ResourceRequirements, devices: Devices = {}): k8s.ResourceRequirements {
  const more = Object.fromEntries(
    Object.entries(devices).map(([name, count]) => [name, k8s.Quantity.fromString(String(count))]),
  );
  if (Object.keys(more).length === 0) return resources;
  return { requests: { ...resources.requests, ...more }, limits: { ...resources.limits, ...more } };
}
