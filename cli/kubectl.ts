import { spawnSync } from 'node:child_process';

/** Runs kubectl with a kubeconfig or its default. @throws with the error of kubectl, or after the timeout */
export function runKubectl(
  who: string,
  kubeconfig: string | undefined,
  command: readonly string[],
  seconds = 60,
): string {
  const args = [...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]), ...command];
  const { status, stdout, stderr, error } = spawnSync('kubectl', args, {
    encoding: 'utf8',
    env: process.env,
    maxBuffer: 256 * 1024 ** 2,
    timeout: seconds * 1000,
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new Error(`${who} needs kubectl on the PATH, got none; install it (https://kubernetes.io/docs/tasks/tools)`);
  const words = command.filter((word) => !word.startsWith('-'));
  if (status !== 0)
    throw new Error(`kubectl ${words.slice(0, 2).join(' ')} failed: ${(stderr || error?.message || '').trim()}`);
  return stdout;
}

/** The value of --NAME=VALUE. */
export function flag(args: readonly string[], name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}
