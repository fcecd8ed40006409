import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { LOCALHOST, type Commands } from '../../engine/commands';
import type { Context } from '../../clients/context';
import type { Log } from '../../engine/log';
import { ROOT } from '../../engine/root';
import { NotReady, Blocked } from '../../engine/problem';
import { ageKeyFile, encryptedTree, SECRETS, writeWhole } from '../../engine/sops';
import { step, type Action, type Stage, type Step } from '../../engine/step';
import { action } from '../../engine/actions';
import { addRule, coverageOf } from './sops-rules';
import { talosconfig, talosSecrets } from '../talos/secrets';

/** Which age keys open the encrypted files of the repository; sops looks for it there by itself. */
const RULES = join(ROOT, '.sops.yaml');

/** Stage 0: nothing secret exists before it can be encrypted. */
export function keys(context: Context): Stage {
  const { commands, log, talos } = context;
  return {
    name: 'keys',
    title: 'the age key, and the secrets of Talos',
    steps: async () => [
      ageKey(commands, log),
      recipient(commands, log),
      paperCopy(commands, log),
      roundTrip(commands, log),
      talosSecrets(context, talos),
      talosconfig(context, talos),
    ],
  };
}

function ageKey(commands: Commands, log: Log): Step {
  const file = ageKeyFile();
  return step('the age key opens the encrypted files', async () => {
    if (!fs.existsSync(file)) {
      const [locked] = lockedFiles();
      if (locked)
        throw new Blocked(
          `${locked.path} is encrypted for ${locked.keys.join(' and ')}, but ${file} has no key; write the line AGE-SECRET-KEY-... of your paper copy into that file (chmod 0600)`,
        );
      const { foreign } = coverage([]);
      if (foreign)
        throw new Blocked(
          `.sops.yaml encrypts for ${foreign.keys.join(' and ') || 'no age key'}, and no key is in ${file}; write the line AGE-SECRET-KEY-... of your paper copy into that file (chmod 0600), or remove .sops.yaml if it is none of yours`,
        );
      return { actions: [newKey(commands, log, file)] };
    }
    if ((fs.statSync(file).mode & 0o077) !== 0)
      return { actions: [action(`chmod 0600 ${file}`, async () => fs.chmodSync(file, 0o600))] };
    const own = await publicKeys(commands, log);
    for (const { path, keys } of lockedFiles())
      if (!keys.some((key) => own.includes(key)))
        throw new Blocked(
          `${path} is encrypted for ${keys.join(' and ')}, but ${file} only has the key of ${own.join(' and ')}; add the line AGE-SECRET-KEY-... of your paper copy to that file`,
        );
    return undefined;
  });
}

function newKey(commands: Commands, log: Log, file: string): Action {
  return action(`age-keygen: a new key in ${file} (0600)`, async () => {
    const { stdout } = await commands.change(LOCALHOST, ['age-keygen']);
    const secret = /^AGE-SECRET-KEY-[0-9A-Z-]+$/m.exec(stdout)?.[0];
    if (secret === undefined) throw new Blocked('age-keygen must answer with a key, but did not; nothing was written');
    log.hide(secret);
    writeNew(file, stdout);
  });
}

/** The key that encrypts is among those of .sops.yaml; keys of others stay. */
function recipient(commands: Commands, log: Log): Step {
  return step('.sops.yaml says for which key files are encrypted', async () => {
    const own = await ownKeys(commands, log);
    const [key] = own;
    const { uncovered, foreign } = coverage(own);
    if (foreign)
      throw new Blocked(
        `.sops.yaml encrypts ${foreign.path} for ${foreign.keys.join(' and ') || 'no age key'}, and ${ageKeyFile()} holds the key of ${key}; bring back the key of your paper copy, or add ${key} to .sops.yaml and run sops updatekeys on every *.sops.yaml file`,
      );
    if (uncovered.length === 0) return undefined;
    const write = action(`.sops.yaml: encrypt files *.sops.yaml for ${key}`, async () =>
      writeWhole(RULES, addRule(rules(), key!)),
    );
    return { actions: [write] };
  });
}

/** Asked once for each key: the answer is kept as a comment in .sops.yaml. */
function paperCopy(commands: Commands, log: Log): Step {
  const used = async () => {
    const { uncovered, keys } = coverage(await ownKeys(commands, log));
    if (uncovered.length > 0) throw new NotReady('.sops.yaml must exist first');
    return keys;
  };
  const mark = (key: string) => `# Its owner has a copy on paper: ${key}`;
  return step('the age key is copied to paper', async () => {
    const keys = await used();
    if (keys.some((key) => rules()!.includes(mark(key)))) return undefined;
    const note = action(`.sops.yaml: + ${mark(keys[0]!)}`, async () =>
      writeWhole(RULES, `${rules()!.replace(/\n*$/, '\n')}${mark(keys[0]!)}\n`),
    );
    return {
      actions: [note],
      asks: [
        `without the key in ${ageKeyFile()} every secret, every backup and the cluster are lost with this machine. Is its line AGE-SECRET-KEY-... on paper, away from this machine?`,
      ],
    };
  });
}

/** Nothing is kept that cannot be read again. Both ways go through pipes; no file is written. */
function roundTrip(commands: Commands, log: Log): Step {
  const value = 'what sops encrypts it must decrypt';
  const sops = async (verb: string, stdin: string) => {
    const types = ['--input-type', 'yaml', '--output-type', 'yaml'];
    const { stdout } = await commands.read(
      LOCALHOST,
      // Without --config: as the owner calls it, sops finds .sops.yaml by itself.
      ['sops', verb, ...types, '--filename-override', join(ROOT, SECRETS.cluster)],
      { stdin, env: { SOPS_AGE_KEY_FILE: ageKeyFile() } },
    );
    return stdout;
  };
  return step('sops encrypts and decrypts', async () => {
    if (coverage(await ownKeys(commands, log)).uncovered.length > 0) throw new NotReady('.sops.yaml must exist first');
    const encrypted = await sops('encrypt', `proof: ${value}\n`);
    if (!/^proof: ENC\[AES256_GCM,/m.test(encrypted) || encrypted.includes(value))
      throw new Blocked('sops must encrypt a value, and its answer holds none that is encrypted; check sops --version');
    if ((await sops('decrypt', encrypted)) !== `proof: ${value}\n`)
      throw new Blocked(`sops must decrypt what it encrypted, but did not; check the key in ${ageKeyFile()}`);
    return undefined;
  });
}

/** Public keys of the key file, in its order. @throws NotReady while there is none */
async function ownKeys(commands: Commands, log: Log): Promise<string[]> {
  if (!fs.existsSync(ageKeyFile())) throw new NotReady('the age key must exist first');
  return publicKeys(commands, log);
}

async function publicKeys(commands: Commands, log: Log): Promise<string[]> {
  const file = ageKeyFile();
  for (const secret of fs.readFileSync(file, 'utf8').match(/^AGE-SECRET-KEY-\S+$/gm) ?? []) log.hide(secret);
  const { stdout } = await commands.read(LOCALHOST, ['age-keygen', '-y', file]);
  const keys = stdout.split('\n').filter((line) => line !== '');
  if (keys.length === 0 || keys.some((key) => !/^age1[0-9a-z]+$/.test(key)))
    throw new Blocked(`age-keygen -y must name the public keys of ${file}, but did not; is that file an age key?`);
  return keys;
}

function rules(): string | undefined {
  return fs.existsSync(RULES) ? fs.readFileSync(RULES, 'utf8') : undefined;
}

function coverage(own: readonly string[]) {
  return coverageOf(rules(), Object.values(SECRETS), own);
}

/** The encrypted files that are there, with the public keys that open them. */
function lockedFiles(): { path: string; keys: string[] }[] {
  return Object.values(SECRETS)
    .filter((path) => fs.existsSync(join(ROOT, path)))
    .map((path) => {
      const tree = encryptedTree(path, fs.readFileSync(join(ROOT, path), 'utf8'));
      const keys = (tree?.sops?.age ?? []).map(({ recipient }: { recipient: string }) => recipient);
      if (keys.length === 0)
        throw new Blocked(`${path} must be encrypted by sops for an age key, but is not; bring it back from Git`);
      return { path, keys };
    });
}

/** Makes a file that no one else can read, whole or not at all, and never in place of another. */
function writeNew(file: string, text: string): void {
  fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.next`;
  fs.rmSync(next, { force: true });
  fs.writeFileSync(next, text, { mode: 0o600, flag: 'wx', flush: true });
  try {
    fs.linkSync(next, file);
  } finally {
    fs.rmSync(next);
  }
}
