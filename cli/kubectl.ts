import { spawnSync } from 'node:child_process';

/** Asks kubectl, with a kubeconfig or its own default. @throws with what it says when it fails */
export function runKubectl(who: string, kubeconfig: string | undefined, command: readonly string[]): string {
  const args = [...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]), ...command];
  const { status, stdout, stderr, error } = spawnSync('kubectl', args, {
    encoding: 'utf8',
    env: process.env,
    maxBuffer: 256 * 1024 ** 2,
    timeout: 60_000,
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new Error(`${who} needs kubectl on the PATH, got none; install it (https://kubernetes.io/docs/tasks/tools)`);
  if (status !== 0)
    throw new Error(`kubectl ${command[0]} ${command[1]} failed: ${(stderr || error?.message || '').trim()}`);
  return stdout;
}

/** The value of --NAME=VALUE. */
export function flag(args: readonly string[], name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}
