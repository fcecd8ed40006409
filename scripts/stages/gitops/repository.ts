import type { Homelab } from '../../../inventory';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { gitAddress } from '../../../values/git-address';
import type { ListedSecret } from '../../../values/secrets';
import { ARGO_CD_NAMESPACE } from './manifest';
import { SECRETS, type Sops } from '../../engine/sops';
import { LOCALHOST } from '../../engine/commands';
import type { Kubernetes } from '../../clients/kubernetes';
import { GitRepository } from '../../clients/git';
import type { Context, DistFile } from '../../clients/context';
import { differences } from '../../clients/differences';
import { liveObject } from '../applied-object';
import type { Values } from '../../secrets/declared';
import { compare, liveSecret, secretAction } from '../../secrets/live';
import { action } from '../../engine/actions';
import { memoryFolder } from '../../engine/memory-files';
import { NotReady, Blocked } from '../../engine/problem';
import { step, type Step } from '../../engine/step';
import { hostName } from './git-server';

/** As Argo CD looks for it (https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories). */
const NAME = 'repository';
const LABELS = { 'argocd.argoproj.io/secret-type': 'repository' };

/**
 * Argo CD can read the repository. One that everybody can read needs nothing. Over SSH a key is made here, of which the
 * repository is given the public half; over HTTPS the owner is asked for a token that may only read.
 * @param knownHosts the host keys that Argo CD will believe
 */
export function repositoryAccess(context: Context, repository: GitRepository, knownHosts: string): Step[] {
  const { homelab, kubernetes, sops } = context;
  const { url } = repository;
  const { protocol } = gitAddress(url);
  if (protocol === 'file') return [];
  const isSsh = protocol === 'ssh';
  return [
    {
      title: `${SECRETS.repository} holds what opens ${url}`,
      async plan() {
        if ((await kept(sops, homelab)) !== undefined || (!isSsh && (await repository.isPublic()))) return undefined;
        const what = isSsh
          ? `a new SSH key (ed25519) for ${url}; its public half is for the repository`
          : `the token that you give for ${url}, which is not public`;
        const keep = action(`keep in ${SECRETS.repository}, encrypted: ${what}`, async () =>
          sops.write(SECRETS.repository, isSsh ? await newKey(context) : await token(context), isPlain),
        );
        return { actions: [keep], ...(!isSsh && { secrets: [question(url)] }) };
      },
    },
    accepted(repository, () => kept(sops, homelab), isSsh ? knownHosts : undefined),
    {
      title: 'Argo CD knows it',
      async plan() {
        const values = await kept(sops, homelab);
        if (values === undefined) {
          if (!isSsh && (await repository.isPublic())) return undefined;
          throw new NotReady('it must be stored first');
        }
        const live = await liveSecret(kubernetes, ARGO_CD_NAMESPACE, NAME);
        const secret: ListedSecret = { name: NAME, namespaces: [], type: 'Opaque', keys: {}, readers: [] };
        const wanted = credentials(values);
        const found = compare(secret, ARGO_CD_NAMESPACE, wanted, { previous: {} }, live, SECRETS.repository);
        if (found.is === 'same') return undefined;
        return { actions: [secretAction(kubernetes, secret, ARGO_CD_NAMESPACE, wanted, { labels: LABELS })] };
      },
    },
  ];
}

/**
 * What Argo CD will read is the dist/ that is here. Asked until the root application in the cluster reads from there; what is
 * pushed after that, Argo CD takes by itself.
 */
export function isPushed(kubernetes: Kubernetes, repository: GitRepository, root: DistFile): Step {
  const { url, revision } = repository;
  return step(`${revision} of ${url} has this dist/`, async () => {
    const live = await liveObject(kubernetes, root.text).catch(orNotYet);
    const { source } = root.object.spec;
    if (live !== undefined && differences({ spec: { source } }, live).length === 0) return undefined;
    const problem = await repository.pushProblem();
    if (problem === undefined) return undefined;
    throw new Blocked(`${revision} of ${url} must have this dist/ for Argo CD, but ${problem}`);
  });
}

/** While the kind is not known, there is none of it. */
function orNotYet(error: unknown): undefined {
  if (!(error instanceof NotReady)) throw error;
}

/** @throws Blocked when it is for another repository than homelab.ts names */
async function kept(sops: Sops, homelab: Homelab): Promise<Values | undefined> {
  const values = (await sops.read(SECRETS.repository, isPlain)) as Values | undefined;
  if (values !== undefined && values.url !== homelab.git.url)
    throw new Blocked(
      `${SECRETS.repository} must be for ${homelab.git.url}, but is for ${values.url}; remove it, and kubectl -n ${ARGO_CD_NAMESPACE} delete secret ${NAME}, and run this again`,
    );
  return values;
}

function isPlain([key]: readonly string[]): boolean {
  return key === 'url' || key === 'username' || key === 'publicKey';
}

function credentials({ publicKey: _, ...values }: Values): Values {
  return { type: 'git', ...values };
}

function question(url: string): string {
  return `a token that may only read ${url}, as USER:TOKEN`;
}

async function token({ ask, homelab }: Context): Promise<Values> {
  const { url } = homelab.git;
  const [, username, password] = /^([^\s:]+):(\S+)$/.exec((await ask.secret(question(url))).trim()) ?? [];
  if (username === undefined || password === undefined)
    throw new Blocked(`the login for ${url} must be USER:TOKEN; run this again`);
  return { url, username, password };
}

/** Made by OpenSSH, which is who reads it in Argo CD too, in a folder in memory. */
async function newKey({ commands, homelab, log }: Context): Promise<Values> {
  const file = join(memoryFolder(), 'repository-key');
  for (const old of [file, `${file}.pub`]) fs.rmSync(old, { force: true });
  const kind = ['-q', '-t', 'ed25519', '-N', '', '-C', `argocd@${homelab.name}`];
  await commands.change(LOCALHOST, ['ssh-keygen', ...kind, '-f', file]);
  const sshPrivateKey = fs.readFileSync(file, 'utf8');
  log.hide(sshPrivateKey);
  const publicKey = fs.readFileSync(`${file}.pub`, 'utf8').trim();
  for (const old of [file, `${file}.pub`]) fs.rmSync(old);
  return { url: homelab.git.url, sshPrivateKey, publicKey };
}

/** The repository lets in what is kept for it. Only its owner can bring that about; Argo CD would wait for it in vain. */
function accepted(
  repository: GitRepository,
  login: () => Promise<Values | undefined>,
  knownHosts: string | undefined,
): Step {
  const { url } = repository;
  const isSsh = knownHosts !== undefined;
  const what = isSsh ? 'key' : 'login';
  return step(`${url} accepts that ${what}`, async () => {
    const values = await login();
    if (values === undefined) {
      if (!isSsh && (await repository.isPublic())) return undefined;
      throw new NotReady(`the ${what} comes first`);
    }
    const { code, stderr } = await (isSsh
      ? repository.askedWithKey(values.sshPrivateKey!, knownHosts)
      : repository.askedWithLogin(values.username!, values.password!));
    if (code === 0) return undefined;
    const says = `${url} must accept the ${what} of Argo CD, but answers: ${stderr.trim().split('\n').slice(-2).join(' ')}`;
    if (isSsh && /host key verification failed/i.test(stderr)) throw new Blocked(`${says}\n${unknownHost(url)}`);
    throw new Blocked(
      isSsh
        ? `${says}\nadd it as a read-only deploy key, and run this again:\n${values.publicKey}`
        : `${says}\nif its token is wrong or has expired: remove ${SECRETS.repository}, and kubectl -n ${ARGO_CD_NAMESPACE} delete secret ${NAME} --ignore-not-found, and run this again, which asks for another one`,
    );
  });
}

/** What the owner does about a host key that this machine, and so Argo CD, does not know or knows another one for. */
function unknownHost(url: string): string {
  const name = hostName(url)!;
  const { host, port } = gitAddress(url) as { host: string; port: number };
  return [
    `this machine must know the host key of ${name}; Argo CD is given what this machine knows. Compare the fingerprint with the one that the server shows, answer yes, and run this again:`,
    `  ssh-keygen -R '${name}'`,
    `  ssh -p ${port} ${/^(?:ssh:\/\/)?([^@/]+)@/.exec(url)![1]}@${host}`,
  ].join('\n');
}
