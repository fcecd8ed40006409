import { Blocked } from '../engine/problem';

/**
 * What a script of scripts/remote/ printed as `name=value`, one a line.
 * @throws Stop when a name is missing, so that nothing is concluded from half an answer
 */
export function facts<Name extends string>(
  text: string,
  from: string,
  names: readonly Name[],
): Readonly<Record<Name, string>> {
  const found = new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0)
    throw new Blocked(`${from} must tell ${missing.join(', ')}, and said ${JSON.stringify(text.slice(0, 120))}`);
  return Object.fromEntries(names.map((name) => [name, found.get(name)!])) as Record<Name, string>;
}
