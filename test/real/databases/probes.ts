import { get } from 'node:http';
import { connect } from 'node:net';
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

export async function tryOnce(container: Container, wanted: Json): Promise<boolean> {
  const seconds = wanted.timeoutSeconds ?? 1;
  if (wanted.exec) return (await container.exec(wanted.exec.command, seconds)).code === 0;
  const { port, path } = wanted.tcpSocket ?? wanted.httpGet;
  const number =
    typeof port === 'number' ? port : container.spec.ports.find((each: Json) => each.name === port).containerPort;
  const { address } = container.pod;
  return wanted.tcpSocket ? opens(address, number, seconds) : serves(address, number, path, seconds);
}

function opens(host: string, port: number, seconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: seconds * 1000 });
    const end = (good: boolean) => {
      socket.destroy();
      resolve(good);
    };
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(false))
      .once('error', () => end(false));
  });
}

function serves(host: string, port: number, path: string, seconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, timeout: seconds * 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode! >= 200 && response.statusCode! < 400);
    });
    request.once('timeout', () => request.destroy()).once('error', () => resolve(false));
  });
}

async function whileOn(running: Running, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; running.on && Date.now() < end;) await pause(0.2);
}
