import type { Manifest } from './objects';

/** Seconds: the least that is possible, and the most that is allowed. */
export interface Seconds {
  readonly least: number;
  readonly most: number;
}

/** Defaults of Kubernetes. */
const GRACE = 30;
const PERIOD = 10;
const PROGRESS_DEADLINE = 600;

/** How long a pod takes to end: preStop and termination, within its grace period. */
export function stopSeconds({ spec = {} }: Manifest): Seconds {
  const most = spec.terminationGracePeriodSeconds ?? GRACE;
  const sleeps = containers(spec).map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds ?? 0);
  return { least: Math.min(most, Math.max(0, ...sleeps)), most };
}

/**
 * How long a pod takes until it is available. The least is when its probes can first succeed; the most is what they
 * allow before the kubelet restarts the container. Does not include the image pull and init containers.
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
    : // Without a liveness or startup probe, a container may take as long as its Deployment waits.
      readinessProbe
      ? PROGRESS_DEADLINE
      : 0;
  const toBeReady = readinessProbe ? firstSuccess(readinessProbe) + (readinessProbe.periodSeconds ?? PERIOD) : 0;
  // A readiness probe starts after its own delay, if that is longer than the start.
  return { least, most: Math.max(least, toStart + toBeReady) };
}

function delay(probe: Manifest | undefined): number {
  return probe?.initialDelaySeconds ?? 0;
}

function firstSuccess(probe: Manifest | undefined): number {
  return delay(probe) + ((probe?.successThreshold ?? 1) - 1) * (probe?.periodSeconds ?? PERIOD);
}

/** Sidecars among the init containers run as long as the pod. */
function containers(spec: Manifest): Manifest[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }: Manifest) => restartPolicy === 'Always');
  return [...(spec.containers ?? []), ...sidecars];
}
