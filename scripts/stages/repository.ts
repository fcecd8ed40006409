import * as fs from 'node:fs';
import { join } from 'node:path';
import { ARGO_CD_NAMESPACE } from '../engine/argo-cd-manifest';
import { SECRETS } from '../engine/cluster';
import { HERE } from '../engine/commands';
import { ROOT, type Context } from '../engine/context';
import { liveObject, type DistFile } from '../engine/handed-over';
import type { DeclaredSecret, Values } from '../engine/kept-secrets';
import { applySecret, compare, liveSecrets } from '../engine/live-secrets';
import { memoryFile, memoryFolder } from '../engine/memory-files';
import { Later, Stop } from '../engine/problem';
import type { Step } from '../engine/step';

/** As Argo CD looks for it (https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories). */
const NAME = 'repository';
const LABELS = { 'argocd.argoproj.io/secret-type': 'repository' };

/**
 * Argo CD can read the repository. One that everybody can read needs nothing. Over SSH a key is made here, of which the
 * repository is given the public half; over HTTPS the owner is asked for a token that may only read.
 */
export function repositoryAccess(context: Context): Step[] {
  const { url } = context.homelab.git;
  if (url.startsWith('file://')) return [];
  const isSsh = !url.startsWith('https://');
  return [
    {
      title: `${SECRETS.repository} holds what opens ${url}`,
      async look() {
        if ((await kept(context)) !== undefined || (!isSsh && (await isPublic(context)))) return undefined;
        return isSsh
          ? { lines: [`a new key (ed25519) for ${url}; its public half is for the repository`] }
          : { lines: [`a token for ${url}, which not everybody can read`], secrets: [question(url)] };
      },
      async apply() {
        await context.sops.write(SECRETS.repository, isSsh ? await newKey(context) : await token(context), isPlain);
      },
    },
    ...(isSsh ? [accepted(context)] : []),
    {
      title: 'Argo CD knows it',
      async look() {
        const values = await kept(context);
        if (values === undefined) {
          if (!isSsh && (await isPublic(context))) return undefined;
          throw new Later('it must be kept first');
        }
        const live = (await liveSecrets(context, ARGO_CD_NAMESPACE, [NAME])).get(NAME);
        const secret: DeclaredSecret = { name: NAME, namespaces: [], type: 'Opaque', keys: {}, readers: [] };
        const wanted = credentials(values);
        const found = compare(secret, ARGO_CD_NAMESPACE, wanted, { previous: {} }, live, SECRETS.repository);
        return found.is === 'same' ? undefined : { lines: [`${ARGO_CD_NAMESPACE}/${NAME} (${found.keys.join(', ')})`] };
      },
      async apply() {
        const values = (await kept(context))!;
        await applySecret(context, { name: NAME, type: 'Opaque' }, ARGO_CD_NAMESPACE, credentials(values), LABELS);
      },
    },
  ];
}

/**
 * What Argo CD will read is the dist/ that is here. Asked until the root application is in the cluster; what is pushed after
 * that, Argo CD takes by itself.
 */
export function isPushed(context: Context, root: DistFile): Step {
  const { url, revision = 'main' } = context.homelab.git;
  return {
    title: `${revision} of ${url} has the dist/ that is here`,
    async look() {
      if ((await liveObject(context, root.text).catch(orNotYet)) !== undefined) return undefined;
      const problem = await pushProblem(context);
      if (problem === undefined) return undefined;
      throw new Stop(`${revision} of ${url} must have the dist/ that is here, for Argo CD to read, and ${problem}`);
    },
    async apply() {
      throw new Error('only the owner of the repository can bring that about');
    },
  };
}

/** What the repository does not have, with what to do; undefined also where this machine has no login there. */
export async function pushProblem({ commands, homelab }: Pick<Context, 'commands' | 'homelab'>) {
  const { url, revision = 'main' } = homelab.git;
  const git = (args: readonly string[], accepts: readonly number[]) =>
    commands.read(HERE, ['git', '-C', ROOT, ...args], { env: { GIT_TERMINAL_PROMPT: '0' }, accepts });
  const remote = await git(['ls-remote', url, `refs/heads/${revision}`, `refs/tags/${revision}`], [0, 128]);
  if (remote.code !== 0) return undefined;
  const named = /^[0-9a-f]{7,64}$/.test(revision) ? revision : undefined;
  const commit = /^[0-9a-f]{40,64}/.exec(remote.stdout)?.[0] ?? named;
  if (commit === undefined)
    return 'there is no such branch or tag; git push, or name another (git.revision in homelab.ts)';
  const { stdout: uncommitted } = await git(['status', '--porcelain', '--', 'dist'], [0, 128]);
  const { code } = await git(['diff', '--quiet', commit, '--', 'dist'], [0, 1, 128]);
  if (code === 128) return `has ${commit}, which this clone does not know; git pull`;
  return code === 1 || uncommitted !== '' ? 'has another; commit dist/ and git push' : undefined;
}

/** While the kind is not known, there is none of it. */
function orNotYet(error: unknown): undefined {
  if (!(error instanceof Later)) throw error;
}

/** @throws Stop when it is for another repository than homelab.ts names */
async function kept({ sops, homelab }: Context): Promise<Values | undefined> {
  const values = (await sops.read(SECRETS.repository, isPlain)) as Values | undefined;
  if (values !== undefined && values.url !== homelab.git.url)
    throw new Stop(
      `${SECRETS.repository} must be for ${homelab.git.url}, and is for ${values.url}; remove it, and kubectl -n ${ARGO_CD_NAMESPACE} delete secret ${NAME}, and run this again`,
    );
  return values;
}

function isPlain([key]: readonly string[]): boolean {
  return key === 'url' || key === 'username' || key === 'publicKey';
}

function credentials({ publicKey: _, ...values }: Values): Values {
  return { type: 'git', ...values };
}

/** As somebody without any login or setting of this machine: helpers, netrc and addresses that Git would put in its place. */
async function isPublic({ commands, homelab }: Context): Promise<boolean> {
  const { code } = await commands.read(
    HERE,
    ['git', '-C', '/', '-c', 'credential.helper=', 'ls-remote', '--heads', homelab.git.url],
    {
      env: {
        GIT_TERMINAL_PROMPT: '0',
        GIT_ASKPASS: 'true',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_NOSYSTEM: '1',
        HOME: '/var/empty',
      },
      accepts: [0, 128],
    },
  );
  return code === 0;
}

function question(url: string): string {
  return `a token that may only read ${url}, as USER:TOKEN`;
}

async function token({ ask, homelab }: Context): Promise<Values> {
  const { url } = homelab.git;
  const [, username, password] = /^([^\s:]+):(\S+)$/.exec((await ask.secret(question(url))).trim()) ?? [];
  if (username === undefined || password === undefined)
    throw new Stop(`the login for ${url} must be USER:TOKEN, and was something else; run this again`);
  return { url, username, password };
}

/** Made by OpenSSH, which is who reads it in Argo CD too, in a folder in memory. */
async function newKey({ commands, homelab, log }: Context): Promise<Values> {
  const file = join(memoryFolder(), 'repository-key');
  for (const old of [file, `${file}.pub`]) fs.rmSync(old, { force: true });
  await commands.change(HERE, [
    'ssh-keygen',
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    `argocd@${homelab.name}`,
    '-f',
    file,
  ]);
  const sshPrivateKey = fs.readFileSync(file, 'utf8');
  log.hide(sshPrivateKey);
  const publicKey = fs.readFileSync(`${file}.pub`, 'utf8').trim();
  for (const old of [file, `${file}.pub`]) fs.rmSync(old);
  return { url: homelab.git.url, sshPrivateKey, publicKey };
}

/** The repository lets the key in. Only its owner can bring that about. */
function accepted(context: Context): Step {
  const { url } = context.homelab.git;
  return {
    title: `${url} lets that key in`,
    async look() {
      const values = await kept(context);
      if (values === undefined) throw new Later('the key comes first');
      const file = memoryFile('repository-key', values.sshPrivateKey!);
      const ssh = `ssh -i ${file} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes`;
      const { code, stderr } = await context.commands.read(HERE, ['git', 'ls-remote', '--heads', url], {
        env: { GIT_SSH_COMMAND: ssh },
        accepts: [0, 128],
      });
      fs.rmSync(file, { force: true });
      if (code === 0) return undefined;
      throw new Stop(
        `${url} must let in the key of Argo CD, and says: ${stderr.trim().split('\n').slice(-2).join(' ')}\nadd it as a deploy key that may only read (or add the host to ~/.ssh/known_hosts, when it is unknown), and run this again:\n${values.publicKey}`,
      );
    },
    async apply() {
      throw new Error('only the owner of the repository can bring that about');
    },
  };
}
