import { createHash } from 'node:crypto';
import type { Commands, Place } from './commands';
import type { Step } from './step';

/** A file on a machine, whole. */
export interface RemoteFile {
  readonly path: string;
  readonly content: string;
  /** @default 0644 */
  readonly mode?: string;
}

/** A connection that breaks in the middle ends the input: half a file is never put in place. */
const WRITE = [
  'umask 077; mkdir -p "$(dirname "$1")" && cat >"$1.next"',
  '[ "$(sha256sum <"$1.next" | cut -d" " -f1)" = "$3" ] || { echo "$1: not all of it arrived" >&2; rm -f "$1.next"; exit 1; }',
  'chmod "$2" "$1.next" && mv "$1.next" "$1"',
].join('\n');

/** Brings a file to a machine, in one step. The file holds no secret: it is compared by what it says. */
export function remoteFile(commands: Commands, place: Place, file: RemoteFile): Step {
  const { path, content, mode = '0644' } = file;
  return {
    title: `${path} on ${place.name}`,
    async look() {
      const { stdout } = await commands.read(place, ['sh', '-c', 'cat "$1" 2>/dev/null | sha256sum', 'sh', path], {
        asRoot: true,
      });
      const there = stdout.split(' ')[0];
      if (there === digest(content)) return undefined;
      const verb = there === digest('') ? 'write' : 'replace';
      return { lines: [`${verb} ${path} (${content.split('\n').length - 1} lines, ${mode})`] };
    },
    apply: () => writeRemote(commands, place, file),
  };
}

export async function writeRemote(
  commands: Commands,
  place: Place,
  { path, content, mode = '0644' }: RemoteFile,
): Promise<void> {
  await commands.change(place, ['sh', '-c', WRITE, 'sh', path, mode, digest(content)], { stdin: content });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
