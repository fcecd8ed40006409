import type { Manifest } from './objects';

/** Seconds: the least that is possible, and the most that is allowed. */
export interface Seconds {
  readonly least: number;
  readonly most: number;
}

/** Kubernetes' own defaults. */
const GRACE = 30;
const PERIOD = 10;
const PROGRESS_DEADLINE = 600;

/** How long a pod takes to end: preStop and what its grace allows for both. */
export function stopSeconds({ spec = {} }: Manifest): Seconds {
  const most = spec.terminationGracePeriodSeconds ?? GRACE;
  const sleeps = containers(spec).map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds ?? 0);
  return { least: Math.min(most, Math.max(0, ...sleeps)), most };
}

/**
 * How long a pod takes until it counts as available. At least what its probes wait before they can succeed; at most what they
 * allow for the start before the kubelet starts the container again. Pulling an image and init containers are not in it.
 */
export function startSeconds({ spec = {} }: Manifest, minReadySeconds = 0): Seconds {
  const each = containers(spec).map(containerStart);
  return {
    least: Math.max(0, ...each.map(({ least }) => least)) + minReadySeconds,
    most: Math.max(0, ...each.map(({ most }) => most)) + minReadySeconds,
  };
}

function containerStart({ startupProbe, livenessProbe, readinessProbe }: Manifest): Seconds {
  const least = Math.max(delay(startupProbe), firstSuccess(readinessProbe));
  const allowed = startupProbe ?? livenessProbe;
  const toStart = allowed
    ? delay(allowed) + (allowed.periodSeconds ?? PERIOD) * (allowed.failureThreshold ?? 3)
    : // Without a probe that ends it, a container may take as long as its Deployment waits.
      readinessProbe
      ? PROGRESS_DEADLINE
      : 0;
  const toBeReady = readinessProbe ? firstSuccess(readinessProbe) + (readinessProbe.periodSeconds ?? PERIOD) : 0;
  // A readiness probe that waits longer than the start takes begins when it has waited.
  return { least, most: Math.max(least, toStart + toBeReady) };
}

function delay(probe: Manifest | undefined): number {
  return probe?.initialDelaySeconds ?? 0;
}

function firstSuccess(probe: Manifest | undefined): number {
  return delay(probe) + ((probe?.successThreshold ?? 1) - 1) * (probe?.periodSeconds ?? PERIOD);
}

/** Sidecars among the init containers run as long as the pod does. */
function containers(spec: Manifest): Manifest[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }: Manifest) => restartPolicy === 'Always');
  return [...(spec.containers ?? []), ...sidecars];
}
