import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding, Check } from '../engine/findings';
import { SECRETS } from '../engine/sops';
import { json } from '../engine/json';
import { CommandFailed, LOCALHOST } from '../engine/commands';
import type { Context } from '../clients/context';
import { ROOT } from '../engine/root';
import { DIST } from '../engine/dist';
import { isFault } from '../engine/problem';
import { assertReviewable, filesBelow } from './rendered';
import { ageKeyFile } from '../engine/sops';
import { backupOf } from '../../inventory';
import { machineFiles } from '../../machines';

/** What this machine and the repository must have. */
export function ownChecks(context: Context): Record<string, Check> {
  const { kubernetes, talos } = context.homelab.versions;
  const one = (look: () => Promise<Finding> | Finding) => async () => [await look()];
  return {
    node: one(() => atLeast('node', process.versions.node, [20, 19], 'install Node.js 20.19 or newer')),
    ssh: one(() =>
      tool(context, 'ssh', ['-V'], (said) => good('ssh', /OpenSSH_\S+/.exec(said)?.[0].replace(/,$/, ''))),
    ),
    curl: one(() => tool(context, 'curl', ['--version'], (said) => good('curl', /^curl (\S+)/.exec(said)?.[1]))),
    // 3.10 is the first that encrypts what comes on its standard input.
    sops: one(() =>
      tool(context, 'sops', ['--disable-version-check', '--version'], (said) =>
        atLeast(
          'sops',
          /(\d+\.\d+\.\d+)/.exec(said)?.[1],
          [3, 10],
          'install sops 3.10 or newer: github.com/getsops/sops/releases',
        ),
      ),
    ),
    'age-keygen': one(() =>
      tool(context, 'age-keygen', ['--version'], (said) => good('age-keygen', /v?\d+\.\d+\.\d+/.exec(said)?.[0])),
    ),
    kubectl: one(() =>
      tool(context, 'kubectl', ['version', '--client', '-o', 'json'], (said) => kubectl(said, kubernetes)),
    ),
    talosctl: one(() =>
      tool(context, 'talosctl', ['version', '--client', '--short'], (said) => {
        const seen = /v\d+\.\d+\.\d+\S*/.exec(said)?.[0];
        const fix = `install talosctl ${talos}: github.com/siderolabs/talos/releases; configurations are made by it`;
        return seen === talos ? good('talosctl', seen) : bad('talosctl', seen ?? 'no version', fix);
      }),
    ),
    git: () => git(context),
    'dist/ is what homelab.ts says': one(() => dist(context)),
    'scripts/rendered/ is what homelab.ts says': one(() => rendered(context)),
    'keys in homelab.ts': one(() => sshKeys(context)),
    'git.url in homelab.ts': one(() => gitUrl(context)),
    'keys of the backup target in homelab.ts': one(() => backupKeys(context)),
    'age key': () => ageKey(context),
  };
}

/** Where those come from that no system brings along. */
const FROM: Readonly<Record<string, string>> = {
  sops: 'install sops: github.com/getsops/sops/releases, or brew install sops',
  'age-keygen': 'install age: github.com/FiloSottile/age/releases, or brew install age',
  kubectl: 'install kubectl: kubernetes.io/docs/tasks/tools, or brew install kubectl',
  talosctl: 'install the talosctl that versions.talos of homelab.ts names: github.com/siderolabs/talos/releases',
};

/** A program that should be installed; a failure to say its version is an answer too. */
async function tool(
  { commands }: Context,
  name: string,
  args: readonly string[],
  check: (said: string) => Finding,
): Promise<Finding> {
  try {
    const { stdout, stderr } = await commands.read(LOCALHOST, [name, ...args], { accepts: [0, 1, 2, 255] });
    return check(`${stdout}${stderr}`);
  } catch (error) {
    if (!(error instanceof CommandFailed) || !/must be installed/.test(error.message)) throw error;
    return bad(name, 'it is not installed', FROM[name] ?? `install ${name}`);
  }
}

function atLeast(
  what: string,
  version: string | undefined,
  [major, minor]: readonly [number, number],
  fix: string,
): Finding {
  const [a = 0, b = 0] = (version ?? '').split('.').map(Number);
  return a > major || (a === major && b >= minor) ? good(what, version) : bad(what, version ?? 'no version', fix);
}

/** kubectl and the API server may be one minor apart (Kubernetes' version skew policy). */
function kubectl(said: string, wanted: string): Finding {
  const seen = String(json(said, 'kubectl version')?.clientVersion?.gitVersion ?? '');
  const minor = (version: string) => Number(/^v1\.(\d+)\./.exec(version)?.[1]);
  const fix = `install kubectl ${wanted}, or at most one minor version from it`;
  return Math.abs(minor(seen) - minor(wanted)) <= 1 ? good('kubectl', seen) : bad('kubectl', seen || 'no version', fix);
}

async function git(context: Context): Promise<Finding[]> {
  const what = 'everything is committed';
  const ask = (...args: readonly string[]) =>
    context.commands.read(LOCALHOST, ['git', '-C', ROOT, ...args], { accepts: [0, 128] });
  const { stdout, code, stderr } = await ask('status', '--porcelain', '--branch');
  if (code !== 0)
    return [bad(what, stderr.trim().split('\n')[0]!, 'git init, commit, and push it to git.url of homelab.ts')];
  const [branch = '', ...changes] = stdout.trimEnd().split('\n');
  const files = changes.map((line) => line.slice(3));
  const ahead = /\[ahead (\d+)/.exec(branch)?.[1];
  return [
    files.length === 0
      ? good(what, branch.replace(/^## /, ''))
      : bad(
          what,
          `${files.length} files are not: ${files.slice(0, 5).join(', ')}`,
          'review and commit them; Argo CD only sees what is committed',
        ),
    ...(ahead
      ? [warning('everything is pushed', `${ahead} commits are not`, 'git push; Argo CD reads the remote repository')]
      : []),
  ];
}

async function dist(context: Context): Promise<Finding> {
  const what = 'dist/ is what homelab.ts says';
  const fix = 'npm run synth, review the difference, commit it';
  if (!fs.existsSync(DIST)) return bad(what, 'there is no dist/', fix);
  const folder = fs.mkdtempSync(join(tmpdir(), 'collab-homelab-'));
  try {
    await context.commands.read(LOCALHOST, [process.execPath, '-r', 'ts-node/register', join(ROOT, 'main.ts')], {
      env: { CDK8S_OUTDIR: folder },
      seconds: 180,
    });
    const [now, wanted] = [textsBelow(DIST), textsBelow(folder)];
    const other = [...new Set([...now.keys(), ...wanted.keys()])].filter((path) => now.get(path) !== wanted.get(path));
    return other.length === 0
      ? good(what, `${now.size} files`)
      : bad(what, `${other.length} files differ: ${other.sort().slice(0, 5).join(', ')}`, fix);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function textsBelow(folder: string): ReadonlyMap<string, string> {
  return new Map(filesBelow(folder).map((path) => [path, fs.readFileSync(join(folder, path), 'utf8')]));
}

function rendered({ homelab }: Context): Finding {
  const what = 'scripts/rendered/ is what homelab.ts says';
  try {
    const files = machineFiles(homelab);
    assertReviewable(files);
    return good(what, `${files.size} files`);
  } catch (error) {
    if (!isFault(error)) throw error;
    return bad(what, short(error.message.split(';')[0]!), 'npm run synth, review the difference, commit it');
  }
}

function sshKeys({ homelab: { access, machines } }: Context): Finding {
  const what = 'access.sshKeys of homelab.ts are yours';
  const fix = "access: { sshKeys: ['...'] } with the line of ~/.ssh/id_ed25519.pub";
  if (access === undefined)
    return Object.values(machines).some(({ kind }) => kind === 'ubuntu')
      ? bad(what, 'there are none', fix)
      : good(what, 'none are needed');
  const example = access.sshKeys.find((key) => key.includes('EXAMPLE'));
  return example === undefined
    ? good(what, access.sshKeys.map((key) => key.split(' ').slice(2).join(' ') || key.split(' ')[0]).join(', '))
    : bad(what, 'the key of the example is still there', fix);
}

/** Another machine's key at the target is refused by every backup, night after night. */
export function backupKeys({ homelab }: Pick<Context, 'homelab'>): Finding {
  const what = 'backup.target.hostKeys of homelab.ts are those of the target';
  const targets = Object.values(homelab.databases).map((database) => backupOf(homelab, database)?.target);
  const keys = targets.flatMap((target) => (target?.kind === 'sftp' ? target.hostKeys : []));
  if (keys.length === 0) return good(what, 'no database is stored by SSH');
  return keys.some((key) => key.includes('EXAMPLE'))
    ? bad(what, 'the key of the example is still there', 'on the target: cat /etc/ssh/ssh_host_ed25519_key.pub')
    : good(what, [...new Set(keys.map((key) => key.split(' ')[0]!))].join(', '));
}

function gitUrl({ homelab }: Context): Finding {
  const what = 'git.url of homelab.ts is yours';
  const { url } = homelab.git;
  return /[/:]owner\/collab-homelab(\.git)?$/.test(url)
    ? bad(what, `${url}, which is the example`, 'write the address of your own repository, which Argo CD reads')
    : good(what, url);
}

/** The key must be there as soon as something is encrypted, and open it. */
async function ageKey({ sops }: Context): Promise<Finding[]> {
  const file = ageKeyFile();
  const what = 'the age key opens the encrypted files';
  const encrypted = Object.values(SECRETS).filter((path) => sops.exists(path));
  if (!fs.existsSync(file))
    return [
      encrypted.length > 0
        ? bad(
            what,
            `there is no ${file}`,
            'write the line AGE-SECRET-KEY-... of the paper copy into that file (chmod 0600)',
          )
        : warning(what, `there is no ${file} yet`, 'npm run bootstrap -- apply keys'),
    ];
  const found =
    (fs.statSync(file).mode & 0o077) === 0
      ? []
      : [bad('only you can read the age key', `${file} is open to others`, `chmod 0600 ${file}`)];
  for (const path of encrypted) {
    try {
      await sops.read(path);
    } catch (error) {
      if (!isFault(error)) throw error;
      found.push(
        error instanceof CommandFailed
          ? bad(what, error.message, `${path} is encrypted for another key: bring back the one of the paper copy`)
          : { what, state: 'bad', saw: error.message },
      );
    }
  }
  return found.length > 0
    ? found
    : [good(what, encrypted.length > 0 ? `${encrypted.length} files` : 'nothing is encrypted yet')];
}

function short(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
}

function good(what: string, saw = 'installed'): Finding {
  return { what, state: 'good', saw };
}

function warning(what: string, saw: string, fix: string): Finding {
  return { what, state: 'warning', saw, fix };
}

function bad(what: string, saw: string, fix: string): Finding {
  return { what, state: 'bad', saw, fix };
}
