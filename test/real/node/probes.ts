import type { Container } from './container';
import { pause } from './processes';

type Json = any;

/** Of a container that runs; `on` until its process has ended. */
export interface Running {
  on: boolean;
}

/** The probes of one run of a container: startup, then readiness and liveness side by side, each at its own pace. */
export async function probe(container: Container, running: Running): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = container.spec;
  if (startupProbe && !(await succeeds(container, startupProbe, running))) {
    if (running.on) container.endByProbe('startup');
    return;
  }
  container.started = running.on;
  if (!readinessProbe) container.ready = running.on;
  await Promise.all([
    readinessProbe && watch(container, readinessProbe, running, (good) => (container.ready = good)),
    livenessProbe && watch(container, livenessProbe, running, (good) => good || container.endByProbe('liveness')),
  ]);
}

/** Tries until it succeeds once or has failed too often. */
async function succeeds(container: Container, wanted: Json, running: Running): Promise<boolean> {
  for (let failed = 0; running.on && failed < (wanted.failureThreshold ?? 3); failed++) {
    if (await tryOnce(container, wanted)) return true;
    await whileOn(running, wanted.periodSeconds ?? 10);
  }
  return false;
}

async function watch(
  container: Container,
  wanted: Json,
  running: Running,
  tell: (good: boolean) => unknown,
): Promise<void> {
  for (let failed = 0; running.on;) {
    failed = (await tryOnce(container, wanted)) ? 0 : failed + 1;
    if (running.on && failed === 0) tell(true);
    if (running.on && failed === (wanted.failureThreshold ?? 3)) tell(false);
    await whileOn(running, wanted.periodSeconds ?? 10);
  }
}

/** Tries a probe once: a command in the container, everything else by the kubelet's own prober. */
export async function tryOnce(container: Container, wanted: Json): Promise<boolean> {
  if (wanted.exec) return (await container.exec(wanted.exec.command, wanted.timeoutSeconds ?? 1)).code === 0;
  const { pod, spec } = container;
  const { good, output } = await pod.node.prober.ask(pod.address, wanted, spec);
  if (!good) container.lastProbe = output;
  return good;
}

async function whileOn(running: Running, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; running.on && Date.now() < end;) await pause(0.2);
}
