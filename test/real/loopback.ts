import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';

const MARK = 'ON_LOOPBACK';

/**
 * Runs the calling program again in a network namespace of its own, where only loopback is and what the suite puts there, and
 * ends with its code. In there it returns at once.
 * @param build what needs the network, before
 * @param more namespaces of its own, as flags of unshare
 */
export function onLoopback(build: () => void, more: readonly string[] = []): void {
  if (process.env[MARK] === '1') return;
  build();
  const unshare = process.getuid?.() === 0 ? ['-n'] : ['-rn'];
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status, error } = spawnSync(
    'setpriv',
    // unshare waits through SIGTERM: without this, a suite that is killed goes on.
    [
      ...['--pdeathsig', 'KILL', 'unshare'],
      ...unshare,
      ...more,
      'sh',
      '-c',
      'ip link set lo up && exec "$@"',
      'sh',
      ...program,
    ],
    {
      stdio: 'inherit',
      env: { ...process.env, [MARK]: '1', TMPDIR: tmpdir() },
    },
  );
  if (error)
    throw new Error(
      `this suite needs network namespaces (setpriv, unshare and ip of Linux), got: ${error.message}; run it on Linux`,
    );
  process.exit(status ?? 1);
}
