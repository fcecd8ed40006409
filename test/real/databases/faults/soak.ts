/** Random names of faults for some minutes. Leaves out controls, because their losses would count in all other faults. */
export function* drawn(faults: readonly string[], minutes: number): Generator<string> {
  const known = faults.filter((name) => !name.includes('control'));
  for (const end = Date.now() + minutes * 60_000; Date.now() < end;)
    yield known[Math.floor(Math.random() * known.length)]!;
}

/** The minutes of --soak. @throws when the value is not a number */
export function soakMinutes(args: readonly string[]): number | undefined {
  const at = args.indexOf('--soak');
  if (at < 0) return undefined;
  const minutes = Number(args[at + 1]);
  if (!(minutes > 0)) throw new Error(`--soak must be a number of minutes above 0, got ${args[at + 1] ?? 'nothing'}`);
  return minutes;
}
