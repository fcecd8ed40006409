/**
 * The keyfile on its way from one key to another: a mongod believes every key of it and shows the first one, so that at each
 * step those that have started with it and those that have not believe each other.
 */
export function keyfileStages(before: string, after: string): readonly string[] {
  const both = (...keys: readonly string[]) => keys.map((key) => `- ${key}\n`).join('');
  return [both(before, after), both(after, before), after];
}
