import { createHash } from 'node:crypto';
import type { Placed, State } from '../checks/step/step';
import { SECRETS_FILE, secretsIn, type Manifest } from '../checks/step/objects';
import { blobs, gitText } from './git';
import type { Files } from './publish';

/** The files and the objects of one dist/; with both, a file with the same text need not be parsed. */
export interface Rendered {
  /** Texts by their path below dist/. */
  readonly files: Files;
  readonly objects: readonly Placed[];
  /** The parsed list of secrets. @default the list is parsed, even if it is unchanged */
  readonly secrets?: readonly Manifest[];
}

/** dist/ of a Git ref. */
export interface Committed {
  readonly state: State;
  /** As HEAD (1a2b3c4), for people. */
  readonly base: string;
  /** Files of dist/ that are not YAML, such as one with a merge conflict. */
  readonly unreadable: readonly string[];
}

/** Why there is no base to compare with, as the end of a sentence. */
export interface NotCommitted {
  readonly reason: string;
}

/** What to read besides dist/. */
export interface CommittedOptions {
  /** The present rendering: files with the same text are not read again. @default all files are read */
  readonly rendered?: Rendered;
  /** Whether to parse a text that differs; if not, the rendered objects of its file replace it. @default every text is parsed */
  readonly matters?: (text: string) => boolean;
  /** Whether to read scripts/rendered, too. @default false */
  readonly machines?: boolean;
}

/** Folder of the files for machines, relative to the root. */
const MACHINES = 'scripts/rendered';

/** Reads dist/ of a Git ref in the repository that holds a folder. Never throws: it returns the reason. */
export async function committed(
  root: string,
  ref = 'HEAD',
  options: CommittedOptions = {},
): Promise<Committed | NotCommitted> {
  try {
    return await read(root, ref, options);
  } catch (error) {
    return { reason: why(error as NodeJS.ErrnoException, root) };
  }
}

async function read(
  root: string,
  ref: string,
  { machines, ...now }: CommittedOptions,
): Promise<Committed | NotCommitted> {
  if (ref.startsWith('-') || /[\n\0]/.test(ref))
    return { reason: `${JSON.stringify(ref)} is not the name of a commit` };
  // Paths that start with ./ are relative to the working folder, which may be any folder of the repository.
  const names = [`${ref}^{commit}`, `${ref}:./dist`, `${ref}:./${MACHINES}`];
  const answers = (await gitText(root, ['cat-file', '--batch-check'], `${names.join('\n')}\n`)).trimEnd().split('\n');
  const [commit, dist, scripts] = answers.map((line, at) => hashOf(line, at === 0 ? 'commit' : 'tree'));
  if (!commit) return { reason: ref === 'HEAD' ? 'there is no commit yet' : `Git knows no commit ${ref}` };
  if (!dist) return { reason: `there is no folder dist/ at ${ref}` };
  const { state, unreadable } = await stateOf(root, dist, now);
  const told = machines ? await textsOf(root, scripts) : undefined;
  return {
    state: { ...state, machines: told, tree: dist },
    base: `${ref} (${commit.slice(0, 7)})`,
    unreadable,
  };
}

function hashOf(line: string, wanted: string): string | undefined {
  const [, hash, kind] = /^([0-9a-f]{40,64}) (\w+) \d+$/.exec(line) ?? [];
  return kind === wanted ? hash : undefined;
}

/** Paths of a tree and the hashes of their blobs, including subfolders. */
async function tree(root: string, hash: string): Promise<[path: string, hash: string][]> {
  // Paths end with a zero byte and are not quoted, whatever core.quotePath says.
  const list = await gitText(root, ['ls-tree', '-r', '-z', '--full-tree', hash]);
  return list
    .split('\0')
    .map((line) => /^\d+ blob ([0-9a-f]+)\t([^]*)$/.exec(line))
    .flatMap((match) => (match ? [[match[2]!, match[1]!] as [string, string]] : []));
}

async function textsOf(root: string, hash: string | undefined): Promise<Map<string, string>> {
  const files = hash === undefined ? [] : await tree(root, hash);
  const texts = await blobs(root, [...new Set(files.map(([, each]) => each))]);
  return new Map(files.map(([path, each]) => [path, texts.get(each)!]));
}

async function stateOf(root: string, hash: string, { rendered, matters = () => true }: CommittedOptions) {
  const files = (await tree(root, hash)).filter(([path]) => /\.ya?ml$/.test(path));
  const now = byFile(rendered?.objects ?? []);
  const same = ([path, blob]: [string, string]) => {
    const text = rendered?.files.get(path);
    const known = path !== SECRETS_FILE || rendered?.secrets !== undefined;
    return text !== undefined && known && isBlob(text, blob);
  };
  const kept = new Map(files.filter(same).map(([path]) => [path, now.get(path) ?? []]));
  const others = files.filter(([path]) => !kept.has(path));
  const texts = await blobs(root, [...new Set(others.map(([, blob]) => blob))]);
  const stands = ([path, blob]: [string, string]) =>
    path !== SECRETS_FILE && now.has(path) && !matters(texts.get(blob)!);
  for (const [path] of others.filter(stands)) kept.set(path, now.get(path)!);
  const differ = others.filter(([path]) => !kept.has(path));
  const parsed = await parseAll(differ.map(([path, blob]) => [path, texts.get(blob)!]));
  const unreadable = differ.map(([path]) => path).filter((path) => parsed.get(path) === undefined);
  const secrets = kept.has(SECRETS_FILE) ? rendered!.secrets! : (parsed.get(SECRETS_FILE) ?? []).flatMap(secretsIn);
  const objects = files
    .filter(([path]) => path !== SECRETS_FILE)
    .flatMap(([path]) => kept.get(path) ?? placed(path, parsed.get(path) ?? []));
  return { state: { objects, secrets }, unreadable };
}

function byFile(objects: readonly Placed[]): Map<string, Placed[]> {
  const found = new Map<string, Placed[]>();
  for (const each of objects) found.set(each.file, [...(found.get(each.file) ?? []), each]);
  return found;
}

/** Whether a text has this Git hash: SHA-1, or SHA-256 in a repository of that format. */
function isBlob(text: string, hash: string): boolean {
  const bytes = Buffer.from(text);
  return (
    createHash(hash.length === 40 ? 'sha1' : 'sha256')
      .update(`blob ${bytes.length}\0`)
      .update(bytes)
      .digest('hex') === hash
  );
}

/** Documents of each file, undefined if a file is not YAML. The parser is loaded only if something differs. */
async function parseAll(files: readonly (readonly [path: string, text: string])[]) {
  const parsed = new Map<string, Manifest[] | undefined>();
  if (files.length === 0) return parsed;
  const { documents } = await import('../checks/step/documents');
  for (const [path, text] of files) parsed.set(path, documents(text));
  return parsed;
}

function placed(file: string, objects: readonly Manifest[]): Placed[] {
  const folder = file.includes('/') ? file.slice(0, file.indexOf('/')) : '.';
  return objects.filter(({ kind, metadata }) => kind && metadata?.name).map((object) => ({ folder, file, object }));
}

function why({ code, message }: NodeJS.ErrnoException, root: string): string {
  if (code === 'ENOENT') return 'git is not installed, or cannot be started in this folder';
  if (message.includes('dubious ownership'))
    return `Git does not trust this folder, which belongs to another user: git config --global --add safe.directory ${root}`;
  if (/not a git repository/i.test(message)) return 'this folder is not in a Git repository';
  return `Git could not read dist/: ${message.split('\n')[0]}`;
}
