import { revisionOf, type Homelab } from '../../inventory';
import { LOCALHOST, type Commands, type Output } from '../engine/commands';
import { withMemoryFile } from '../engine/memory-files';
import { ROOT } from '../engine/root';

type Environment = Readonly<Record<string, string>>;

/** The repository that Argo CD reads, through git on this machine. */
export class GitRepository {
  readonly url: string;
  readonly revision: string;

  constructor(
    private readonly commands: Commands,
    private readonly homelab: Homelab,
  ) {
    this.url = homelab.git.url;
    this.revision = revisionOf(homelab);
  }

  /** How dist/ of the repository differs from this one, with the fix. Undefined if equal, or if this machine has no login. */
  async pushProblem(): Promise<string | undefined> {
    const { url, revision } = this;
    const git = (args: readonly string[], accepts: readonly number[]) =>
      this.git(['-C', ROOT, ...args], { GIT_TERMINAL_PROMPT: '0' }, accepts);
    const remote = await git(['ls-remote', url, `refs/heads/${revision}`, `refs/tags/${revision}`], [0, 128]);
    if (remote.code !== 0) return undefined;
    const named = /^[0-9a-f]{7,64}$/.test(revision) ? revision : undefined;
    const commit = /^[0-9a-f]{40,64}/.exec(remote.stdout)?.[0] ?? named;
    if (commit === undefined)
      return 'the repository has no such branch or tag; git push, or correct git.revision in homelab.ts';
    const { stdout: uncommitted } = await git(['status', '--porcelain', '--', 'dist'], [0, 128]);
    const { code } = await git(['diff', '--quiet', commit, '--', 'dist'], [0, 1, 128]);
    if (code === 128) return `has ${commit}, which this clone does not know; git pull`;
    return code === 1 || uncommitted !== ''
      ? 'its dist/ differs; commit dist/ and git push, or git pull if the repository is newer'
      : undefined;
  }

  async isPublic(): Promise<boolean> {
    return (await this.asked()).code === 0;
  }

  /** Asks with a login. Passes it in a file, because other processes can read arguments and environment. */
  askedWithLogin(username: string, password: string): Promise<Output> {
    const [user, token] = [username, password].map(encodeURIComponent);
    const login = `https://${user}:${token}@${this.url.replace(/^https:\/\/([^/@]*@)?/, '')}\n`;
    return withMemoryFile('repository-login', login, (file) => this.asked(file));
  }

  /** Asks as Argo CD does: with its list of host keys, and without any setting of this machine. */
  askedWithKey(privateKey: string, knownHosts: string): Promise<Output> {
    return withMemoryFile('repository-key', privateKey, (key) =>
      withMemoryFile('known-hosts', knownHosts, (list) => {
        const options = {
          IdentitiesOnly: 'yes',
          BatchMode: 'yes',
          StrictHostKeyChecking: 'yes',
          UserKnownHostsFile: list,
          GlobalKnownHostsFile: '/dev/null',
        };
        const words = Object.entries(options).map(([name, value]) => `-o ${name}=${value}`);
        const ssh = ['ssh', '-F', '/dev/null', '-i', key, ...words].join(' ');
        return this.git(['ls-remote', '--heads', this.url], { GIT_SSH_COMMAND: ssh });
      }),
    );
  }

  /**
   * Git's answer without any login or setting of this machine (helpers, netrc and rewritten
   * addresses), but with the login in `file`, if given.
   */
  private asked(file?: string): Promise<Output> {
    const { ca } = this.homelab.git;
    if (ca === undefined) return this.askedBelieving({}, file);
    return withMemoryFile('authority', ca, (path) => this.askedBelieving({ GIT_SSL_CAINFO: path }, file));
  }

  private askedBelieving(believing: Environment, file: string | undefined): Promise<Output> {
    // Tried also where nobody is asked for one: Argo CD sends it at once (Git 2.46 or newer; older ones do not know the setting).
    const login =
      file === undefined ? [] : ['-c', `credential.helper=store --file=${file}`, '-c', 'http.proactiveAuth=basic'];
    return this.git(['-C', '/', '-c', 'credential.helper=', ...login, 'ls-remote', '--heads', this.url], {
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: 'true',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      HOME: '/var/empty',
      ...believing,
    });
  }

  private git(args: readonly string[], env: Environment, accepts: readonly number[] = [0, 128]): Promise<Output> {
    return this.commands.read(LOCALHOST, ['git', ...args], { env, accepts });
  }
}
