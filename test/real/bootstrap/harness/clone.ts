import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import homelab from '../../../fixtures/homelab';
import { MODULES } from '../../cluster/binaries';
import type { Json } from '../../cluster/client';
import type { ControlPlane } from '../../cluster/control-plane';
import type { Repository } from '../../gitops/argo-cd';
import { go, pinned } from '../../modules';
import { Workspace } from '../../workspace';
import { sopsBinaries } from '../simulator/binaries';

const ARGO_CD = 'github.com/argoproj/argo-cd/v3';

export interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** The owner's clone, whose homelab.ts names a repository on this machine and the Argo CD that the tests can build. */
export class Clone {
  readonly workspace = new Workspace();
  readonly folder = fs.mkdtempSync(join(tmpdir(), 'clone-'));
  private readonly key = join(this.folder, 'keys.txt');
  private readonly kill = join(this.folder, 'kill');

  constructor(
    private readonly plane: ControlPlane,
    readonly repository: Repository,
  ) {
    const version = pinned(join(MODULES, 'argo-cd'), ARGO_CD);
    const source = go(join(MODULES, 'argo-cd'), ['list', '-m', '-f', '{{.Dir}}', ARGO_CD]).trim();
    const manifest = join(source, 'manifests', 'install.yaml');
    this.replace('homelab.ts', homelab.git.url, repository.url);
    this.replace('homelab.ts', `argoCd: '${homelab.versions.argoCd}'`, `argoCd: '${version}'`);
    const digest = execFileSync('sha256sum', [manifest]).toString().split(' ')[0]!;
    this.replace('machines/pins.ts', /'v[\d.]+': '[0-9a-f]{64}'/, `'${version}': '${digest}'`);
    const bin = join(this.folder, 'bin');
    fs.mkdirSync(bin);
    const { sops, ageKeygen } = sopsBinaries();
    this.wrap(bin, 'sops', sops);
    this.wrap(bin, 'kubectl', programOf('kubectl'));
    fs.symlinkSync(ageKeygen, join(bin, 'age-keygen'));
    // What it is asked for at GitHub it has; no other machine is there but the ways into the cluster.
    const curl = `#!/bin/sh\nfor url; do :; done\ncase $url in https://raw.githubusercontent.com/*) exec cat '${manifest}' ;; esac\nexec '${programOf('curl')}' "$@"\n`;
    fs.writeFileSync(join(bin, 'curl'), curl, { mode: 0o755 });
    for (const program of ['ssh', 'talosctl'])
      fs.writeFileSync(join(bin, program), '#!/bin/sh\necho "no route to host" >&2\nexit 255\n', { mode: 0o755 });
    const key = execFileSync(ageKeygen, { stdio: 'pipe' }).toString();
    fs.writeFileSync(this.key, key, { mode: 0o600 });
    const recipient = /public key: (\S+)/.exec(key)![1]!;
    this.write('.sops.yaml', stringify({ creation_rules: [{ path_regex: '\\.sops\\.yaml$', age: recipient }] }));
    this.keepKubeconfig();
  }

  /** A program that ends the bootstrap at one of its changing calls, when a file says so: before, during or after it. */
  private wrap(bin: string, name: string, program: string): void {
    const script = `#!/bin/sh
case " $* " in
  *" encrypt "* | *" apply "* | *" delete "* | *" patch "* | *" restart "*)
    if [ -f '${this.kill}' ] && read -r left when <'${this.kill}'; then
      left=$((left - 1))
      if [ "$left" -le 0 ]; then
        rm '${this.kill}'
        [ "$when" = after ] && '${program}' "$@" >/dev/null
        kill -9 "$PPID"
        [ "$when" = during ] && exec '${program}' "$@" >/dev/null
        exit 137
      fi
      echo "$left $when" >'${this.kill}'
    fi
    ;;
esac
exec '${program}' "$@"
`;
    fs.writeFileSync(join(bin, name), script, { mode: 0o755 });
  }

  /**
   * Runs the same command again and again, each time killed at one of its next changing calls, until it ends by itself.
   * @param most kills; after them it is left alone
   */
  async killedAlong(args: readonly string[], every: number, most = 100): Promise<{ kills: number; last: Run }> {
    const moments = ['before', 'during', 'after'];
    for (let kills = 0; ; kills++) {
      // Now and then one call gets through: a killed sops has done nothing, whenever it was killed.
      const call = every + (kills % 4 === 3 ? 1 : 0);
      if (kills < most) fs.writeFileSync(this.kill, `${call} ${moments[kills % 3]}\n`);
      const last = await this.run(...args);
      if (last.code === null && kills < most) continue;
      fs.rmSync(this.kill, { force: true });
      return { kills, last };
    }
  }

  get path(): string {
    return this.workspace.path;
  }

  read(file: string): string {
    return fs.readFileSync(join(this.path, file), 'utf8');
  }

  write(file: string, text: string): void {
    fs.mkdirSync(join(this.path, file, '..'), { recursive: true });
    fs.writeFileSync(join(this.path, file), text);
  }

  replace(file: string, from: string | RegExp, to: string): void {
    const text = this.read(file);
    const next = text.replace(from, () => to);
    if (next === text) throw new Error(`${file} does not hold ${String(from)}`);
    this.write(file, next);
  }

  /** The values of an encrypted file. */
  secrets(file = 'secrets.sops.yaml'): Json {
    return parse(this.program('sops', ['decrypt', '--output-type', 'yaml', file]));
  }

  keepSecrets(tree: Json, file = 'secrets.sops.yaml'): void {
    const args = ['encrypt', '--input-type', 'yaml', '--output-type', 'yaml', '--filename-override', file];
    this.write(file, this.program('sops', args, stringify(tree, { lineWidth: 0 })));
  }

  program(name: string, args: readonly string[], input = ''): string {
    return execFileSync(name, args, { cwd: this.path, env: this.env(), input, encoding: 'utf8' });
  }

  /** `npm run bootstrap -- ARGS`, while this process goes on to play the rest of the world. */
  run(...args: string[]): Promise<Run> {
    const child = spawn(process.execPath, ['-r', 'ts-node/register', 'scripts/bootstrap.ts', ...args], {
      cwd: this.path,
      env: this.env(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
    const late = setTimeout(() => child.kill('SIGKILL'), 300_000);
    return new Promise((done) =>
      child.once('close', (code) => {
        clearTimeout(late);
        if (process.env.SHOW) console.log(output);
        done({ code, output });
      }),
    );
  }

  /** Renders dist/ and commits it where Argo CD reads. */
  publish(message: string): string {
    this.program(process.execPath, ['node_modules/cdk8s-cli/bin/cdk8s', 'synth', '--check-upgrade=false']);
    this.program(process.execPath, ['-r', 'ts-node/register', 'scripts/bootstrap.ts', 'render']);
    const dist = join(this.repository.folder, 'dist');
    fs.rmSync(dist, { recursive: true, force: true });
    fs.cpSync(join(this.path, 'dist'), dist, { recursive: true });
    const commit = this.repository.commit(message);
    this.program('git', ['init', '-q']);
    this.program('git', ['fetch', '-q', this.repository.url]);
    this.program('git', ['reset', '-q', 'FETCH_HEAD']);
    return commit;
  }

  remove(): void {
    this.workspace.remove();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private env() {
    return {
      ...process.env,
      PATH: `${join(this.folder, 'bin')}:${process.env.PATH}`,
      SOPS_AGE_KEY_FILE: this.key,
      HOMELAB_PACE: '0.2',
      NO_COLOR: '1',
    };
  }

  /** What stage talos would have kept. */
  private keepKubeconfig(): void {
    const { server, caData } = this.plane.client.config.getCurrentCluster()!;
    const { token } = this.plane.client.config.getCurrentUser()!;
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token },
    };
    this.keepSecrets({ server, authority: caData, credential }, 'scripts/secrets/kubeconfig.sops.yaml');
  }
}

function programOf(name: string): string {
  return execFileSync('sh', ['-c', `command -v ${name}`])
    .toString()
    .trim();
}
