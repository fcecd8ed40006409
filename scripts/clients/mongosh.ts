/**
 * A command line of mongosh for the shell of a container, in a home of its own, so that nothing stays of what it writes there.
 * In `line`, `args` are $1 and so on.
 */
export function mongosh(line: string, ...args: readonly string[]): string[] {
  const script = `HOME=$(mktemp -d) && export HOME; ${line}; code=$?; rm -rf "$HOME"; exit "$code"`;
  return ['sh', '-c', script, 'sh', ...args];
}
