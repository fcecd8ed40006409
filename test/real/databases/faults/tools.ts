import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import { logs } from '../clients';
import type { Container } from '../../node/container';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import { pause } from '../../node/processes';
import type { Rendered } from '../../node/rendering';

type Json = any;

/** A pod of a StatefulSet that can be recreated. */
export interface Member {
  readonly node: TestNode;
  readonly rendered: Rendered;
  readonly set: Json;
  readonly ordinal: number;
  pod: Pod;
}

const MIB = 1024 ** 2;
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
/** FS_IOC_SHUTDOWN without writing the journal: from then on the file system writes nothing, as if its disk had no power. */
const CUT = `
import fcntl, os, struct, sys
for folder in sys.argv[1:]:
    fcntl.ioctl(os.open(folder, os.O_RDONLY), 0x8004587D, struct.pack('I', 2))
`;

/** SIGKILL of a container's process 1; the kubelet starts it again, at once the first time. */
export function kill(pod: Pod, container: string): void {
  pod.container(container).signal('SIGKILL');
}

/** SIGTERM of a container's process 1, without the hook of its pod. */
export function terminate(pod: Pod, container: string): void {
  pod.container(container).signal('SIGTERM');
}

/** Stops every process of some pods with SIGSTOP. Their kubelet continues. */
export function freeze(...pods: readonly Pod[]): void {
  // Twice: a process may have made another one meanwhile.
  for (let turn = 0; turn < 2; turn++) signalAll(pods, 'SIGSTOP');
}

export function thaw(...pods: readonly Pod[]): void {
  signalAll(pods, 'SIGCONT');
}

function signalAll(pods: readonly Pod[], signal: NodeJS.Signals): void {
  for (const pid of pods.flatMap((pod) => pod.processes())) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended since it was listed.
    }
  }
}

/**
 * Deletes a pod and makes it again, as its StatefulSet does.
 * @param how `disk: 'lose'` gives it an empty volume, `address: 'keep'` the address that it had; `grace` in seconds, 0 for no
 * SIGTERM at all
 */
export async function replace(
  member: Member,
  { disk, address, grace }: { disk?: 'keep' | 'lose'; address?: 'new' | 'keep'; grace?: number } = {},
): Promise<Pod> {
  const { node, rendered, set, ordinal, pod } = member;
  await pod.stop(grace);
  if (disk === 'lose') fs.rmSync(node.claims.disk(pod.namespace, `data-${pod.name}`));
  member.pod = rendered.runMember(node, set, ordinal, address === 'keep' ? pod.address : undefined);
  return member.pod;
}

/** Stops all members at the same instant. Their disks keep the written data. Then starts new pods on these disks. */
export async function powerCut(members: readonly Member[]): Promise<Pod[]> {
  const pods = members.map(({ pod }) => pod);
  freeze(...pods);
  execFileSync('python3', ['-c', CUT, ...pods.map((pod) => pod.volume('data'))]);
  return Promise.all(members.map((member) => replace(member, { grace: 0 })));
}

let partitions = 0;

/** Drops every packet between two sides, in silence. The name server and the kubelet still reach both. @returns what heals it */
export function partition(ones: readonly Pod[], others: readonly Pod[]): () => void {
  const table = `partition${++partitions}`;
  const list = (pods: readonly Pod[]) => `{ ${pods.map(({ address }) => address).join(', ')} }`;
  const drop = (from: readonly Pod[], to: readonly Pod[]) => `ip saddr ${list(from)} ip daddr ${list(to)} drop`;
  execFileSync('nft', ['-f', '-'], {
    input: `table bridge ${table} {
  chain between {
    type filter hook forward priority 0;
    ${drop(ones, others)}
    ${drop(others, ones)}
  }
}`,
  });
  return () => execFileSync('nft', ['delete', 'table', 'bridge', table]);
}

/** Fills a volume. @returns a function that frees the space */
export function fillDisk(pod: Pod, volume = 'data'): () => void {
  const folder = pod.volume(volume);
  const part = (index: number) => join(folder, `.full-${index}`);
  let parts = 0;
  for (let left = free(folder); left > 0; left = free(folder))
    execFileSync('fallocate', ['-l', String(left), part(parts++)]);
  return () => {
    for (let index = 0; index < parts; index++) fs.rmSync(part(index));
  };
}

function free(folder: string): number {
  const { bavail, bsize } = fs.statfsSync(folder);
  return bavail * bsize;
}

/**
 * A copy of a StatefulSet whose containers have a clock that is wrong by some seconds; time that only counts up is right.
 * @param java also moves that time, by the same number for as long as a process lives: beside a right one, libfaketime ends each
 * timed wait of Java, and each sleep of Python, at once
 */
export function withClock(set: Json, seconds: number, { java = false } = {}): Json {
  const copy = structuredClone(set);
  for (const container of copy.spec.template.spec.containers)
    container.env = [
      ...(container.env ?? []),
      { name: 'LD_PRELOAD', value: FAKETIME },
      { name: 'FAKETIME', value: `${seconds >= 0 ? '+' : ''}${seconds}s` },
      ...(java ? [] : [{ name: 'FAKETIME_DONT_FAKE_MONOTONIC', value: '1' }]),
    ];
  return copy;
}

/** Limits a running container to its current memory plus an amount. @returns a function that restores the limit */
export function squeeze({ memory, limit }: Container, mebibytes: number): () => void {
  memory.limit(memory.used + mebibytes * MIB);
  return () => memory.limit(limit);
}

/** Waits for what lasts a moment alone, such as a step that a log has just named. */
export async function caught<T>(what: string, seconds: number, look: () => T | undefined | false): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(0.005)) {
    const found = look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

const HOG = 'import time\nkept = []\nwhile True:\n  kept.append(bytearray(2 ** 24))\n  time.sleep(0.05)';

/** Uses up the memory of a container's limit, including caches, until the kernel kills its largest process. */
export async function crowd(container: Container): Promise<void> {
  const before = container.restarts;
  const hog = spawn('sh', ['-c', `echo $$ >'${container.memory.procs}'; exec python3 -c "$0"`, HOG], {
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => hog.once('exit', resolve));
  try {
    await until('the kernel kills a process of the container', 120, async () => container.restarts > before);
  } finally {
    hog.kill('SIGKILL');
    await gone;
  }
}

/** Waits until every member is ready. */
export async function whole(members: readonly Member[], seconds: number, what: string): Promise<void> {
  await until(
    what,
    seconds,
    async () => members.every(({ pod }) => pod.ready),
    () => logs(members.map(({ pod }) => pod)),
  );
}
