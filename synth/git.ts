import { spawn } from 'node:child_process';

/** The result of a Git command. */
export interface Answer {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

/** Variables that bind Git to a repository or an index. A Git hook sets them, and they may name another repository. */
const BINDING = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_COMMON_DIR',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
];

/** Runs Git in the repository that holds a folder. @throws without git or without the folder */
export function git(folder: string, args: readonly string[], input = ''): Promise<Answer> {
  const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0' };
  for (const name of BINDING) env[name] = undefined;
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: folder, env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code: code ?? 1, out: Buffer.concat(out), err: Buffer.concat(err).toString('utf8') }),
    );
    child.stdin.on('error', () => undefined); // it ended before it read all input; its exit code says why
    child.stdin.end(input);
  });
}

/** Output of Git as text. @throws with the error of Git */
export async function gitText(folder: string, args: readonly string[], input?: string): Promise<string> {
  return (await succeeded(folder, args, input)).toString('utf8');
}

/** Texts of blobs by their hashes, read by one process. */
export async function blobs(folder: string, hashes: readonly string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  if (hashes.length === 0) return texts;
  const out = await succeeded(folder, ['cat-file', '--batch'], `${hashes.join('\n')}\n`);
  for (let at = 0; at < out.length;) {
    const end = out.indexOf(10, at);
    const [hash = '', kind, size] = out.toString('utf8', at, end).split(' ');
    if (kind !== 'blob') throw new Error(`${hash} ${kind}`);
    texts.set(hash, out.toString('utf8', end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size) + 1;
  }
  return texts;
}

async function succeeded(folder: string, args: readonly string[], input?: string): Promise<Buffer> {
  const { code, out, err } = await git(folder, args, input);
  if (code !== 0) throw new Error(err.trim() || `git ${args[0]} ended with ${code}`);
  return out;
}
