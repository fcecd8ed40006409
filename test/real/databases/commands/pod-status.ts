import type { Container } from '../../node/container';
import type { Pod } from '../../node/pod';

type Json = any;

/**
 * The status that a kubelet writes for a pod.
 * @param code of a pod that has ended
 * @param before the conditions that others have set
 */
export function podStatus(pod: Pod, code: number | undefined, since: Date, before: readonly Json[] = []): Json {
  const own = ['Initialized', 'ContainersReady', 'Ready'];
  const phase =
    code !== undefined ? (code === 0 ? 'Succeeded' : 'Failed') : pod.containers.length > 0 ? 'Running' : 'Pending';
  const initialized = pod.containers.length > 0 || code === 0;
  const ready = code === undefined && pod.ready;
  const condition = (type: string, good: boolean) => {
    const known = before.find((each) => each.type === type);
    const status = good ? 'True' : 'False';
    const changed = known?.status === status ? known.lastTransitionTime : time(new Date());
    return { type, status, lastTransitionTime: changed };
  };
  return {
    phase,
    hostIP: '127.0.0.1',
    podIP: pod.address,
    podIPs: [{ ip: pod.address }],
    startTime: time(since),
    conditions: [
      ...before.filter(({ type }) => !own.includes(type)),
      condition('Initialized', initialized),
      condition('ContainersReady', ready),
      condition('Ready', ready),
    ],
    initContainerStatuses: (pod.spec.initContainers ?? []).map((spec: Json) =>
      containerStatus(spec, [...pod.initContainers, ...pod.sidecars], code !== undefined),
    ),
    containerStatuses: pod.spec.containers.map((spec: Json) =>
      containerStatus(spec, pod.containers, code !== undefined),
    ),
  };
}

/** @param runs one for each time that an init container was tried */
function containerStatus({ name, image }: Json, runs: readonly Container[], podEnded: boolean): Json {
  const found = runs.filter((each) => each.name === name);
  const last = found.at(-1);
  const terminated = last?.endedAt !== undefined && ended(last);
  const over = podEnded || (last !== undefined && last.lastCode === 0);
  return {
    name,
    image,
    imageID: image,
    ready: last?.ready ?? false,
    started: last?.started ?? false,
    restartCount: found.reduce((sum, { restarts }) => sum + restarts, Math.max(0, found.length - 1)),
    state: last?.running
      ? { running: { startedAt: time(last.startedAt!) } }
      : terminated && over
        ? { terminated }
        : { waiting: { reason: last ? 'CrashLoopBackOff' : 'PodInitializing' } },
    lastState: terminated && (last.running || !over) ? { terminated } : {},
  };
}

function ended({ lastCode, startedAt, endedAt }: Container): Json {
  return {
    exitCode: lastCode,
    reason: lastCode === 0 ? 'Completed' : 'Error',
    startedAt: time(startedAt!),
    finishedAt: time(endedAt!),
  };
}

/** As Kubernetes writes a time. */
export function time(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z');
}
