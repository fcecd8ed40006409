import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';

/** A wrong call of a command: exit code 2. */
export class Usage extends Error {}

/** The options of a command: with a value, or a flag without one. */
export type Options = Readonly<Record<string, 'value' | 'flag'>>;

/**
 * The options of a command line: `--name VALUE`, `--name=VALUE`, `--flag` and, where a flag may be declined, `--no-flag`.
 * @throws Usage naming the unknown option
 */
export function options(args: readonly string[], known: Options): Map<string, string> {
  const found = new Map<string, string>();
  const all = Object.keys(known).map((name) => `--${name}`);
  for (let at = 0; at < args.length; at++) {
    const [arg, given] = split(args[at]!);
    const kind = arg.startsWith('--') ? known[arg.slice(2)] : undefined;
    if (kind === undefined)
      throw new Usage(
        sentence({
          what: 'the option must be one of this command',
          got: arg,
          allowed: all.join(', '),
          fix: suggested(arg, all, 'leave it out'),
        }),
      );
    if (kind === 'flag' && given !== undefined)
      throw new Usage(sentence({ what: `${arg} takes no value`, got: given, fix: `write ${arg} alone` }));
    const value = kind === 'flag' ? 'yes' : (given ?? args[++at]);
    if (value === undefined || value === '' || (given === undefined && kind === 'value' && value.startsWith('--')))
      throw new Usage(sentence({ what: `${arg} needs a value`, got: value, fix: `write ${arg}=VALUE` }));
    if (found.has(arg.slice(2)))
      throw new Usage(
        sentence({ what: `${arg} may be given only once`, got: `${args.join(' ')}`, fix: 'leave one of them out' }),
      );
    found.set(arg.slice(2), value);
  }
  return found;
}

function split(arg: string): [name: string, value: string | undefined] {
  const at = arg.indexOf('=');
  return at === -1 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}
