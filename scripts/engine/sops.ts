import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { ENCRYPTED_SECRETS } from '../../values/secrets';
import { LOCALHOST, type Commands } from './commands';
import type { Log } from './log';
import { Blocked } from './problem';

/** Values by key, nested as in the file. */
export type SecretTree = { readonly [key: string]: string | SecretTree };

type IsPlain = (keys: readonly string[]) => boolean;

/** Where sops looks for age keys by itself, on Linux and macOS. */
export function ageKeyFile(): string {
  const { SOPS_AGE_KEY_FILE, XDG_CONFIG_HOME } = process.env;
  if (SOPS_AGE_KEY_FILE) return SOPS_AGE_KEY_FILE;
  const mac = join(homedir(), 'Library', 'Application Support');
  const config = XDG_CONFIG_HOME ?? (process.platform === 'darwin' ? mac : join(homedir(), '.config'));
  return join(config, 'sops', 'age', 'keys.txt');
}

/** How sops ends when a value or the MAC does not fit the rest of the file (its cmd/sops/codes/codes.go). */
const NOT_WHOLE: readonly number[] = [24, 25, 51];
const ONE_SIDE = (path: string) =>
  `never merge it by hand; take one side completely: git checkout --ours ${path}, or --theirs (once that is committed: git checkout COMMIT -- ${path})`;

/** An encrypted file as it is. @throws Blocked when a merge left its marks in it, or what is no YAML */
export function encryptedTree(path: string, text: string): any {
  const bad = (what: string) =>
    new Blocked(`${path} must be unchanged since sops wrote it, but ${what}; ${ONE_SIDE(path)}`);
  if (/^(<<<<<<<|>>>>>>>) /m.test(text)) throw bad('it has a merge conflict of Git (<<<<<<<)');
  try {
    return parse(text);
  } catch {
    throw bad('it is not YAML');
  }
}

/** Files that sops encrypts with the age keys of .sops.yaml. Their values pass through pipes; no clear text is written. */
export class Sops {
  constructor(
    private readonly commands: Commands,
    private readonly log: Log,
    private readonly root: string,
  ) {}

  exists(path: string): boolean {
    return fs.existsSync(join(this.root, path));
  }

  /**
   * @param isPlain by the keys of a value, whether it is no secret, and may stand in messages. @default none is plain
   * @returns the values, or undefined where there is no such file. @throws when no key here opens it
   */
  async read(path: string, isPlain: IsPlain = () => false): Promise<SecretTree | undefined> {
    if (!this.exists(path)) return undefined;
    encryptedTree(path, fs.readFileSync(join(this.root, path), 'utf8'));
    const { stdout, stderr, code } = await this.commands.read(
      LOCALHOST,
      ['sops', 'decrypt', '--output-type', 'yaml', join(this.root, path)],
      { env: { SOPS_AGE_KEY_FILE: ageKeyFile() }, accepts: [0, ...NOT_WHOLE] },
    );
    if (NOT_WHOLE.includes(code))
      throw new Blocked(
        `${path} must be unchanged since sops wrote it, but differs: ${stderr.trim().split('\n')[0]}; ${ONE_SIDE(path)}`,
      );
    const tree = secretTree(stdout, `sops decrypt ${path}`);
    this.log.hide(...leaves(tree, isPlain));
    return tree;
  }

  /** Replaces the file as a whole, in one step; a killed run leaves the old one. */
  async write(path: string, tree: SecretTree, isPlain: IsPlain = () => false): Promise<void> {
    this.log.hide(...leaves(tree, isPlain));
    const file = join(this.root, path);
    // change(): it is refused while planning, as is the file that follows.
    const types = ['--input-type', 'yaml', '--output-type', 'yaml'];
    const { stdout } = await this.commands.change(
      LOCALHOST,
      ['sops', '--config', join(this.root, '.sops.yaml'), 'encrypt', ...types, '--filename-override', file],
      { stdin: secretText(tree), env: { SOPS_AGE_KEY_FILE: ageKeyFile() } },
    );
    const { sops, ...encrypted } = secretTree(stdout, `sops encrypt ${path}`);
    // A rule of .sops.yaml may leave some keys in clear; sops leaves an empty value as it is.
    const isClear = leaves(encrypted, isPlain).some((value) => value !== '' && !value.startsWith('ENC[AES256_GCM,'));
    if (sops === undefined || isClear)
      throw new Blocked(
        `sops must encrypt every secret of ${path}, but left some in plain text. The file is unchanged. Its rule in .sops.yaml must have no encrypted_regex, encrypted_suffix or the like`,
      );
    writeWhole(file, stdout);
  }
}

/** Writes a file so that it is wholly old or wholly new. */
export function writeWhole(file: string, text: string, mode = 0o644): void {
  fs.mkdirSync(join(file, '..'), { recursive: true });
  const next = `${file}.next`;
  fs.writeFileSync(next, text, { mode, flush: true });
  fs.renameSync(next, file);
}

/** A YAML file of secrets as a tree. @throws Blocked when it is none, without showing what it holds */
export function secretTree(text: string, from: string): SecretTree {
  let tree: unknown;
  try {
    tree = parse(text);
  } catch {
    // What the parser says shows a line of the file.
  }
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree))
    throw new Blocked(`${from} must answer with keys and values in YAML, but did not`);
  return tree as SecretTree;
}

/**
 * The same file again, with every string in quotes: YAML readers differ in what else they take for a date or a number, and
 * sops would give it back in that type.
 */
export function secretText(tree: SecretTree): string {
  return stringify(tree, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

/** A file that others write may hold numbers, lists and nulls beside strings; only strings are secret. */
function leaves(value: unknown, isPlain: IsPlain, above: readonly string[] = []): string[] {
  if (typeof value === 'string') return isPlain(above) ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => leaves(each, isPlain, [...above, key]));
}

/** The encrypted files of the repository. */
export const SECRETS = {
  talos: 'scripts/secrets/talos.sops.yaml',
  talosconfig: 'scripts/secrets/talosconfig.sops.yaml',
  kubeconfig: 'scripts/secrets/kubeconfig.sops.yaml',
  cluster: ENCRYPTED_SECRETS,
  authority: 'scripts/secrets/authority.sops.yaml',
  repository: 'scripts/secrets/repository.sops.yaml',
} as const;
