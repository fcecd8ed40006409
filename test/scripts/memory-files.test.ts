import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';

const SHARED = '/dev/shm';
/** Above the largest process ID of Linux (PID_MAX_LIMIT). */
const DEAD = 4194305;
const made: string[] = [];

function folder(namespace: string, pid: number): string {
  const path = join(SHARED, `collab-homelab-${namespace}.${pid}.test`);
  fs.mkdirSync(path);
  made.push(path);
  return path;
}

afterEach(() => made.splice(0).forEach((path) => fs.rmSync(path, { recursive: true, force: true })));

(process.platform === 'linux' ? test : test.skip)(
  'a process removes the folders of dead processes, but only of its own PID namespace (Linux: /dev/shm)',
  () => {
    const ours = fs.readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    const [dead, alive, foreign] = [folder(ours, DEAD), folder(ours, process.pid), folder('1', DEAD)];
    const program = `console.log(require(${JSON.stringify(resolve('scripts/engine/memory-files'))}).memoryFolder())`;
    const own = execFileSync('node', ['-r', 'ts-node/register', '-e', program], { encoding: 'utf8' }).trim();
    expect(own.startsWith(`${SHARED}/collab-homelab-${ours}.`)).toBe(true);
    expect([dead, alive, foreign, own].map((path) => fs.existsSync(path))).toEqual([false, true, true, false]);
  },
);
