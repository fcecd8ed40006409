import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backupOf, type Homelab } from '../../inventory';
import { machineFiles } from '../../machines';
import type { Context } from '../clients/context';
import { CommandFailed, LOCALHOST, ProgramMissing, type Commands } from '../engine/commands';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { json } from '../engine/json';
import { isFault } from '../engine/problem';
import { DIST, ROOT } from '../engine/root';
import { ageKeyFile, SECRETS, type Sops } from '../engine/sops';
import { assertReviewable, filesBelow } from './rendered';

/** What this machine and the repository must have. */
export function ownChecks({ homelab, commands, sops }: Context): Record<string, Check> {
  const one = (look: () => Promise<Finding> | Finding) => async () => [await look()];
  const tools = Object.entries(toolsOf(homelab)).map(([name, tool]): [string, Check] => [
    name,
    one(() => toolFinding(commands, name, tool)),
  ]);
  return {
    node: one(() => atLeast('node', process.versions.node, [20, 19], 'install Node.js 20.19 or newer')),
    ...Object.fromEntries(tools),
    git: () => git(commands),
    'dist/ is what homelab.ts says': one(() => dist(commands)),
    'scripts/rendered/ is what homelab.ts says': one(() => rendered(homelab)),
    'keys in homelab.ts': one(() => sshKeys(homelab)),
    'git.url in homelab.ts': one(() => gitUrl(homelab)),
    'keys of the backup target in homelab.ts': one(() => backupKeys(homelab)),
    'age key': () => ageKey(sops),
  };
}

/** A program that must be installed here. */
interface Tool {
  /** What makes it say its version. */
  readonly args: readonly string[];
  /** Where it comes from, where no system brings it along. @default install and its name */
  readonly from?: string;
  readonly check: (said: string, name: string) => Finding;
}

/** Whatever says a version in this form will do. */
const any = (version: RegExp) => (said: string, name: string) => good(name, version.exec(said)?.[0] ?? 'installed');

function toolsOf({ versions: { kubernetes, talos } }: Homelab): Readonly<Record<string, Tool>> {
  const releases = 'github.com/siderolabs/talos/releases';
  const sops = 'github.com/getsops/sops/releases';
  return {
    ssh: { args: ['-V'], check: any(/OpenSSH_[^\s,]+/) },
    curl: { args: ['--version'], check: any(/(?<=^curl )\S+/) },
    sops: {
      args: ['--disable-version-check', '--version'],
      from: `install sops: ${sops}, or brew install sops`,
      // 3.10 is the first that encrypts what comes on its standard input.
      check: (said, name) =>
        atLeast(name, /\d+\.\d+\.\d+/.exec(said)?.[0], [3, 10], `install sops 3.10 or newer: ${sops}`),
    },
    'age-keygen': {
      args: ['--version'],
      from: 'install age: github.com/FiloSottile/age/releases, or brew install age',
      check: any(/v?\d+\.\d+\.\d+/),
    },
    kubectl: {
      args: ['version', '--client', '-o', 'json'],
      from: 'install kubectl: kubernetes.io/docs/tasks/tools, or brew install kubectl',
      check: (said) => kubectl(said, kubernetes),
    },
    talosctl: {
      args: ['version', '--client', '--short'],
      from: `install the talosctl that versions.talos of homelab.ts names: ${releases}`,
      check: (said, name) => {
        const seen = /v\d+\.\d+\.\d+\S*/.exec(said)?.[0] ?? 'no version';
        if (seen === talos) return good(name, seen);
        return bad(name, seen, `install talosctl ${talos}: ${releases}; configurations are made by it`);
      },
    },
  };
}

/** A failure to say its version is an answer too. */
async function toolFinding(commands: Commands, name: string, { args, from, check }: Tool): Promise<Finding> {
  try {
    const { stdout, stderr } = await commands.read(LOCALHOST, [name, ...args], { accepts: [0, 1, 2, 255] });
    return check(`${stdout}${stderr}`, name);
  } catch (error) {
    if (!(error instanceof ProgramMissing)) throw error;
    return bad(name, 'it is not installed', from ?? `install ${name}`);
  }
}

function atLeast(
  what: string,
  version: string | undefined,
  [major, minor]: readonly [number, number],
  fix: string,
): Finding {
  const [a = 0, b = 0] = (version ?? '').split('.').map(Number);
  const isNew = a > major || (a === major && b >= minor);
  return isNew ? good(what, version!) : bad(what, version ?? 'no version', fix);
}

/** kubectl and the API server may be one minor apart (Kubernetes' version skew policy). */
function kubectl(said: string, wanted: string): Finding {
  const seen = String(json(said, 'kubectl version')?.clientVersion?.gitVersion ?? '');
  const minor = (version: string) => Number(/^v1\.(\d+)\./.exec(version)?.[1]);
  const fix = `install kubectl ${wanted}, or at most one minor version from it`;
  return Math.abs(minor(seen) - minor(wanted)) <= 1 ? good('kubectl', seen) : bad('kubectl', seen || 'no version', fix);
}

async function git(commands: Commands): Promise<Finding[]> {
  const what = 'everything is committed';
  const argv = ['git', '-C', ROOT, 'status', '--porcelain', '--branch'];
  const { stdout, code, stderr } = await commands.read(LOCALHOST, argv, { accepts: [0, 128] });
  if (code !== 0)
    return [bad(what, stderr.trim().split('\n')[0]!, 'git init, commit, and push it to git.url of homelab.ts')];
  const [branch = '', ...changes] = stdout.trimEnd().split('\n');
  const some = changes.slice(0, 5).map((line) => line.slice(3));
  const fix = 'review and commit them; Argo CD only sees what is committed';
  const committed =
    changes.length === 0
      ? good(what, branch.replace(/^## /, ''))
      : bad(what, `${changes.length} files are not: ${some.join(', ')}`, fix);
  const ahead = /\[ahead (\d+)/.exec(branch)?.[1];
  if (ahead === undefined) return [committed];
  const push = 'git push; Argo CD reads the remote repository';
  return [committed, warning('everything is pushed', `${ahead} commits are not`, push)];
}

async function dist(commands: Commands): Promise<Finding> {
  const what = 'dist/ is what homelab.ts says';
  const fix = 'npm run synth, review the difference, commit it';
  if (!fs.existsSync(DIST)) return bad(what, 'there is no dist/', fix);
  const folder = fs.mkdtempSync(join(tmpdir(), 'collab-homelab-'));
  try {
    await commands.read(LOCALHOST, [process.execPath, '-r', 'ts-node/register', join(ROOT, 'main.ts')], {
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

function rendered(homelab: Homelab): Finding {
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

function sshKeys({ access, machines }: Homelab): Finding {
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
export function backupKeys(homelab: Homelab): Finding {
  const what = 'backup.target.hostKeys of homelab.ts are those of the target';
  const targets = Object.values(homelab.databases).map((database) => backupOf(homelab, database)?.target);
  const keys = targets.flatMap((target) => (target?.kind === 'sftp' ? target.hostKeys : []));
  if (keys.length === 0) return good(what, 'no database is stored by SSH');
  return keys.some((key) => key.includes('EXAMPLE'))
    ? bad(what, 'the key of the example is still there', 'on the target: cat /etc/ssh/ssh_host_ed25519_key.pub')
    : good(what, [...new Set(keys.map((key) => key.split(' ')[0]!))].join(', '));
}

function gitUrl({ git: { url } }: Homelab): Finding {
  const what = 'git.url of homelab.ts is yours';
  return /[/:]owner\/collab-homelab(\.git)?$/.test(url)
    ? bad(what, `${url}, which is the example`, 'write the address of your own repository, which Argo CD reads')
    : good(what, url);
}

/** The key must be there as soon as something is encrypted, and open it. */
async function ageKey(sops: Sops): Promise<Finding[]> {
  const file = ageKeyFile();
  const what = 'the age key opens the encrypted files';
  const encrypted = Object.values(SECRETS).filter((path) => sops.exists(path));
  if (!fs.existsSync(file)) {
    if (encrypted.length === 0) return [warning(what, `there is no ${file} yet`, 'npm run bootstrap -- apply keys')];
    const fix = 'write the line AGE-SECRET-KEY-... of the paper copy into that file (chmod 0600)';
    return [bad(what, `there is no ${file}`, fix)];
  }
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
          ? bad(what, error.message, `${path} is encrypted for another key: restore the key from the paper copy`)
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
