import { script, type Commands, type Target } from './commands';
import { sha256 } from './digests';
import { step, type Action, type Step } from './step';

/** A file on a machine, whole. */
export interface RemoteFile {
  readonly path: string;
  readonly content: string | Uint8Array;
  /** @default 0644 */
  readonly mode?: string;
}

/** Brings a file to a machine, in one step. The file holds no secret: it is compared by what it says. */
export function remoteFile(commands: Commands, place: Target, file: RemoteFile): Step {
  const { path, content } = file;
  return step(`${path} on ${place.name}`, async () => {
    const argv = ['sh', '-c', 'cat "$1" 2>/dev/null | sha256sum', 'sh', path];
    const { stdout } = await commands.read(place, argv, { asRoot: true });
    const there = stdout.split(' ')[0];
    if (there === sha256(content)) return undefined;
    return { actions: [fileOn(commands, place, file, there === sha256('') ? 'write' : 'replace')] };
  });
}

/** Writes a file on a machine as a whole. `verb` is for the plan. */
export function fileOn(commands: Commands, target: Target, file: RemoteFile, verb = 'write'): Action {
  const { path, content, mode = '0644' } = file;
  const size = typeof content === 'string' ? `${content.split('\n').length - 1} lines` : `${content.length} bytes`;
  // Standard input is for the file.
  const argv = ['sh', '-c', script('write-file.sh'), 'sh', path, mode, sha256(content)];
  const run = async () => void (await commands.change(target, argv, { stdin: content }));
  return { lines: [`${verb} ${path} (${size}, ${mode})`], run };
}
