import { execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import homelab from '../../../homelab';
import { argoCd } from '../gitops/binaries';
import { ArgoCd, Repository } from '../gitops/argo-cd';
import type { Client, Json } from '../cluster/client';
import { ControlPlane } from '../cluster/control-plane';
import { applyNodes, missingReferences } from '../cluster/deploy';
import { until } from '../cluster/processes';
import { go, pinned } from '../modules';
import { MODULES } from '../cluster/binaries';
import { Laps } from '../proofs';
import { Tally } from '../tally';
import { Workspace } from '../workspace';
import { sopsBinaries } from './binaries';

/**
 * Stages 7 and 8 on a real API server with a real Argo CD: namespaces, secrets and Argo CD's own objects are put there, Argo CD
 * takes over what is in dist/, and stage 7 again finds nothing to do and undoes nothing. Then a secret gets a new value.
 */
const full = process.argv.includes('--full');
const tally = new Tally();
const laps = new Laps();
const ARGO_CD = 'github.com/argoproj/argo-cd/v3';

interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** The owner's clone, whose homelab.ts names a repository on this machine and the Argo CD that the tests can build. */
class Clone {
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
    this.replace('scripts/pins.ts', /'v[\d.]+': '[0-9a-f]{64}'/, `'${version}': '${digest}'`);
    const bin = join(this.folder, 'bin');
    fs.mkdirSync(bin);
    const { sops, ageKeygen } = sopsBinaries();
    this.wrap(bin, 'sops', sops);
    this.wrap(bin, 'kubectl', execFileSync('sh', ['-c', 'command -v kubectl']).toString().trim());
    fs.symlinkSync(ageKeygen, join(bin, 'age-keygen'));
    // What it is asked for at GitHub it has; nothing else answers, and no other machine is there.
    const curl = `#!/bin/sh\nfor url; do :; done\ncase $url in https://raw.githubusercontent.com/*) exec cat '${manifest}' ;; esac\nexit 7\n`;
    fs.writeFileSync(join(bin, 'curl'), curl, { mode: 0o755 });
    for (const program of ['ssh', 'talosctl'])
      fs.writeFileSync(join(bin, program), '#!/bin/sh\necho "no route to host" >&2\nexit 255\n', { mode: 0o755 });
    const key = execFileSync(ageKeygen).toString();
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

const done = ({ code, output }: Run) => code === 0 && !output.includes('nothing to do');
const nothing = ({ code, output }: Run) => code === 0 && output.includes('nothing to do');
const at = (kind: string, name: string, namespace?: string, apiVersion = 'v1') => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
});

/** Fields of an object by the manager that owns them, as Argo CD or a person would see. */
function managers({ metadata }: Json): string[] {
  return metadata.managedFields.map(({ manager, operation }: Json) => `${manager} ${operation}`).sort();
}

async function stageSecrets(clone: Clone, client: Client): Promise<void> {
  const { kills, last: first } = await clone.killedAlong(['apply', 'secrets', '--yes'], full ? 1 : 7);
  tally.check(
    'stage secrets is done, however often it is killed on the way',
    kills > 2 && first.code === 0,
    first.output,
  );
  lapped(`stage secrets applied, killed ${kills} times on the way`);
  const second = await clone.run('apply', 'secrets', '--yes');
  tally.check('and finds nothing to do when run again', nothing(second), second.output);
  for (const file of fs.readdirSync(join(clone.path, 'dist'), { recursive: true }).map(String)) {
    if (!/namespace\./.test(file)) continue;
    const sent = parse(clone.read(join('dist', file)));
    const live = (await client.get(sent))!;
    const [{ fieldsV1 }] = live.metadata.managedFields;
    const labels = Object.keys(fieldsV1['f:metadata']['f:labels']).map((key) => key.slice(2));
    tally.check(
      `${file} is there byte for byte: Argo CD's name owns exactly what the file says`,
      managers(live).join() === 'argocd-controller Apply' &&
        labels.sort().join() === Object.keys(sent.metadata.labels).sort().join(),
      JSON.stringify(live.metadata),
    );
  }
  const declared: Json[] = parse(clone.read('dist/secrets.yaml')).secrets;
  const kept = clone.secrets();
  for (const { name, namespaces, keys, type } of declared)
    for (const namespace of namespaces) {
      const live = await client.get(at('Secret', name, namespace));
      const same = Object.keys(keys).every(
        (key) =>
          Buffer.from(live?.data[key] ?? '', 'base64').toString() === kept.secrets[namespace][name][key] &&
          kept.secrets[namespaces[0]][name][key] === kept.secrets[namespace][name][key],
      );
      tally.check(`${namespace}/${name} is in the cluster as it is kept`, same && live?.type === type);
    }
  const text = clone.read('secrets.sops.yaml');
  const values = declared.flatMap(({ name, namespaces, keys }) =>
    Object.entries<Json>(keys).map(([key, source]) => [source, kept.secrets[namespaces[0]][name][key]] as const),
  );
  const log = clone.read('.homelab/bootstrap.log');
  const leaked = values.filter(
    ([source, value]) => !('value' in source) && [text, log, first.output].some((each) => each.includes(value)),
  );
  tally.check(
    'no value is in the encrypted file, the log or what was printed',
    leaked.length === 0 && values.length > 20,
  );
  const leaf = new X509Certificate(kept.secrets.ingress['traefik-certificate']['tls.crt']);
  tally.check(
    'the certificate is from the authority in ca.crt',
    leaf.verify(new X509Certificate(clone.read('ca.crt')).publicKey),
  );
}

/** A secret with another value is never overwritten, and a missing one comes back. */
async function foreign(clone: Clone, client: Client): Promise<void> {
  const secret = at('Secret', 'mongodb-chat', 'mongodb');
  const name = { ...secret, metadata: { ...secret.metadata, name: 'mongodb-search' } };
  const path = await client.pathOf(name);
  const good = (await client.get(name))!.data.password;
  const change = (password: string) =>
    client.ask('PATCH', path, { data: { password } }, 'application/merge-patch+json');
  await change(Buffer.from('somebody-elses').toString('base64'));
  await client.delete(at('Secret', 'mongodb-identity', 'services'));
  const before = clone.read('secrets.sops.yaml');
  const run = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a secret with another value stops the stage, which says which, and both ways out',
    run.code === 4 &&
      /secret mongodb\/mongodb-search holds another password/.test(run.output) &&
      run.output.includes('kubectl -n mongodb delete secret mongodb-search') &&
      !run.output.includes('somebody-elses'),
    run.output,
  );
  tally.check(
    'and nothing was changed',
    Buffer.from((await client.get(name))!.data.password, 'base64').toString() === 'somebody-elses' &&
      before === clone.read('secrets.sops.yaml') &&
      (await client.get(at('Secret', 'mongodb-identity', 'services'))) === undefined,
  );
  await change(good);
  const mended = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a missing one comes back with its value',
    done(mended) && (await client.get(at('Secret', 'mongodb-identity', 'services'))) !== undefined,
    mended.output,
  );
  lapped('a foreign secret was left alone, a missing one came back');
}

/** What no controller does here: nobody serves an Ingress. */
async function serveIngresses(client: Client): Promise<void> {
  for (const { metadata, status } of await client.list('networking.k8s.io/v1', 'Ingress').catch(() => []))
    if (status?.loadBalancer?.ingress === undefined)
      await client.ask(
        'PATCH',
        `/apis/networking.k8s.io/v1/namespaces/${metadata.namespace}/ingresses/${metadata.name}/status`,
        { status: { loadBalancer: { ingress: [{ ip: '192.168.1.22' }] } } },
        'application/merge-patch+json',
      );
}

async function stageGitops(clone: Clone, plane: ControlPlane): Promise<ArgoCd> {
  const { client } = plane;
  const refused = clone.read('scripts/pins.ts');
  clone.replace('scripts/pins.ts', /(?<='v3\.\d+\.\d+': ')[0-9a-f]{64}/, 'f'.repeat(64));
  const other = await clone.run('apply', 'gitops', '--yes');
  tally.check(
    'a manifest that is not the pinned one is refused, and nothing of it used',
    other.code === 4 && /must have SHA-256/.test(other.output) && (await crds(client)) === 0,
    other.output,
  );
  clone.write('scripts/pins.ts', refused);
  const { kills } = await clone.killedAlong(['plan', 'gitops'], 1, 0);
  tally.check('a plan changes nothing', kills === 0 && (await crds(client)) === 0);
  // Three kills at the definitions, the settings and the manifest; then it is left alone.
  const killed = clone.killedAlong(['apply', 'gitops', '--yes'], 1, 4);
  const running = killed.then(({ last }) => last);
  let ended = false;
  void running.then(() => (ended = true));
  // The pods that the manifest brings run nothing here; the same programs run beside the cluster from now on.
  await until('the root application', 180, async () => ended || (await rootOf(client)) !== undefined);
  const argo = await ArgoCd.start(plane);
  while (!ended) {
    await serveIngresses(client);
    await argo.refresh().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  const run = await running;
  tally.check(
    'stage gitops is done, killed four times on the way',
    (await killed).kills === 4 && done(run),
    `${run.output}\n${await argo.explain()}`,
  );
  lapped('stage gitops applied: Argo CD installed, every application Synced and Healthy');
  const pods = await client.list('v1', 'Pod', 'argocd');
  tally.check(
    'Argo CD runs under the restricted level of its namespace, every container with its request',
    pods.length >= 7 &&
      pods.every(({ status }) => status.phase === 'Running') &&
      pods.every(({ spec }) =>
        [...spec.containers, ...(spec.initContainers ?? [])].every(
          ({ resources }: Json) => resources.requests?.memory !== undefined && resources.requests.cpu !== undefined,
        ),
      ),
    JSON.stringify(pods.map(({ metadata, status }) => [metadata.name, status.phase])),
  );
  const stated = Object.values(homelab.system['argo-cd']!.containers).length;
  tally.check(
    `as many pods as homelab.ts states, all on ${homelab.system['argo-cd']!.on}`,
    pods.length === stated && pods.every(({ spec }) => spec.nodeName === homelab.system['argo-cd']!.on),
    pods.map(({ metadata, spec }) => `${metadata.name} on ${spec.nodeName}`).join('\n'),
  );
  const policies = (await client.list('networking.k8s.io/v1', 'NetworkPolicy', 'argocd')).map(
    ({ metadata }) => metadata.name,
  );
  tally.check(
    'no network policies but those of dist/',
    policies.sort().join() === 'argocd,default-deny',
    policies.join(),
  );
  const settings = (await client.get(at('ConfigMap', 'argocd-cm', 'argocd')))!;
  tally.check(
    'the one argocd-cm is that of dist/, and Argo CD alone owns it',
    settings.data['resource.exclusions'] !== undefined && managers(settings).every((each) => /argocd/.test(each)),
    managers(settings).join(),
  );
  // Made by an init container, which does not run here.
  const missing = (await missingReferences(client)).filter((each) => !each.includes('Secret argocd-redis,'));
  tally.check('every Secret, ConfigMap, claim and account is there', missing.length === 0, missing.join('\n'));
  const again = await clone.run('apply', 'gitops', '--yes');
  tally.check('stage gitops again finds nothing to do', nothing(again), again.output);
  lapped('stage gitops again: nothing to do');
  return argo;
}

async function crds(client: Client): Promise<number> {
  return (await client.list('apiextensions.k8s.io/v1', 'CustomResourceDefinition')).length;
}

async function rootOf(client: Client): Promise<Json | undefined> {
  return client.get(at('Application', homelab.name, 'argocd', 'argoproj.io/v1alpha1')).catch(() => undefined);
}

/** Stage 7 again, after Argo CD has taken over: nothing to do, and Argo CD sees no difference either. */
async function takenOver(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
  const namespaces = async () => {
    const all = await client.list('v1', 'Namespace');
    return new Map(all.map(({ metadata }) => [metadata.name as string, metadata.resourceVersion as string]));
  };
  const before = await namespaces();
  const seven = await clone.run('apply', 'secrets', '--yes');
  tally.check('stage secrets again, after Argo CD has taken over, finds nothing to do', nothing(seven), seven.output);
  await argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const wrong = (await argo.applications()).filter(({ status }) => status.sync.status !== 'Synced');
  tally.check('and Argo CD stays Synced', wrong.length === 0, await argo.explain());
  const after = await namespaces();
  tally.check(
    'no namespace was written again by either',
    [...before].every(([name, version]) => after.get(name) === version),
    JSON.stringify([[...before], [...after]]),
  );
  for (const name of ['cassandra', 'argocd']) {
    const live = (await client.get(at('Namespace', name)))!;
    tally.check(
      `namespace ${name} is Argo CD's alone`,
      managers(live).join() === 'argocd-controller Apply' &&
        live.metadata.annotations['argocd.argoproj.io/tracking-id'] !== undefined,
      JSON.stringify(live.metadata),
    );
  }
  lapped('stage secrets again: nothing to do, Argo CD Synced');
}

/** What leaves Git leaves the cluster too, because nobody else owns the field. */
async function leavesGit(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
  const file = join(clone.repository.folder, 'dist', 'argocd', 'configmap.argocd-cm.yaml');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(
    file,
    text.replace(
      / {2}application\.resourceTrackingMethod: annotation\n/,
      '  application.resourceTrackingMethod: annotation\n  timeout.hard.reconciliation: "0s"\n',
    ),
  );
  clone.repository.commit('a setting more');
  await argo.refresh('hard');
  const data = async () => (await client.get(at('ConfigMap', 'argocd-cm', 'argocd')))!.data;
  await until(
    'the setting comes',
    60,
    async () => 'timeout.hard.reconciliation' in (await data()),
    () => argo.explain(),
  );
  fs.writeFileSync(file, text.replace(/ {2}application\.resourceTrackingMethod: annotation\n/, ''));
  clone.repository.commit('two settings less, one of them put there by the bootstrap');
  await argo.refresh('hard');
  const left = await until(
    'both go',
    60,
    async () => {
      const now = await data();
      return 'timeout.hard.reconciliation' in now || 'application.resourceTrackingMethod' in now ? undefined : now;
    },
    () => argo.explain(),
  );
  tally.check('what the bootstrap applied and Git no longer holds goes from the cluster', Object.keys(left).length > 0);
  fs.writeFileSync(file, text);
  clone.repository.commit('as before');
  await argo.refresh('hard');
  await until('it is as before', 60, async () => 'application.resourceTrackingMethod' in (await data()));
  lapped('what left Git left the cluster');
}

/** The password of a client, through its database's job and its deployment. */
async function rotates(clone: Clone, client: Client, argo: ArgoCd): Promise<void> {
  const old = clone.secrets().secrets.mongodb['mongodb-search'].password;
  const job = (await client.list('batch/v1', 'Job', 'mongodb'))[0]!.metadata;
  const podOf = async (name: string) =>
    (await client.list('v1', 'Pod', 'services')).filter(
      ({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === name && !metadata.deletionTimestamp,
    );
  const before = (await podOf('search'))[0]!.metadata.uid;
  const others = (await podOf('documents'))[0]!.metadata.uid;
  const manual = await clone.run('rotate', 'mongodb-root', '--yes');
  tally.check(
    'root of a database is not changed by a command, which says how instead',
    manual.code === 4 && /changeUserPassword/.test(manual.output),
    manual.output,
  );
  const [{ kills, last: run }] = await Promise.all([
    clone.killedAlong(['rotate', 'mongodb-search', '--yes'], full ? 1 : 2),
    pump(argo, client, 60),
  ]);
  tally.check('rotate is done, however often it is killed on the way', kills > 1 && run.code === 0, run.output);
  const kept = clone.secrets();
  const now = kept.secrets.mongodb['mongodb-search'].password;
  const live = await Promise.all(
    ['mongodb', 'services'].map((namespace) => client.get(at('Secret', 'mongodb-search', namespace))),
  );
  tally.check(
    'both namespaces and the file have one new value, and the old one is forgotten',
    now !== old &&
      kept.secrets.services['mongodb-search'].password === now &&
      kept.previous === undefined &&
      live.every((each) => Buffer.from(each!.data.password, 'base64').toString() === now),
  );
  const again = (await client.get(at('Job', job.name, 'mongodb', 'batch/v1')))!;
  tally.check('the job ran again', again.metadata.uid !== job.uid && again.status.succeeded === 1);
  const pods = await podOf('search');
  tally.check(
    'who reads it has started anew, and nobody else',
    pods.every(({ metadata }) => metadata.uid !== before) && (await podOf('documents'))[0]!.metadata.uid === others,
  );
  await argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  tally.check(
    'Argo CD undoes none of it and stays Synced',
    (await argo.applications()).every(({ status }) => status.sync.status === 'Synced') &&
      (await podOf('search')).map(({ metadata }) => metadata.uid).join() ===
        pods.map(({ metadata }) => metadata.uid).join(),
    await argo.explain(),
  );
  tally.check(
    'neither value was printed or logged',
    ![run.output, clone.read('.homelab/bootstrap.log')].some((text) => text.includes(old) || text.includes(now)),
  );
  lapped(`a password was rotated, killed ${kills} times on the way`);
}

async function pump(argo: ArgoCd, client: Client, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 2) {
    await argo.refresh().catch(() => undefined);
    await serveIngresses(client);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

/** Another version of Argo CD than the pinned one is replaced, and what only that one had goes. */
async function changesVersion(clone: Clone, client: Client): Promise<void> {
  const path = '/apis/apps/v1/namespaces/argocd/deployments/argocd-server';
  const server = await client.ask('GET', path);
  const image = server.spec.template.spec.containers[0].image as string;
  const old = image.replace(/:v.*/, ':v3.2.5');
  await client.ask(
    'PATCH',
    path,
    { spec: { template: { spec: { containers: [{ name: 'argocd-server', image: old }] } } } },
    'application/strategic-merge-patch+json',
  );
  const left = { ...at('ConfigMap', 'argocd-of-before', 'argocd'), data: {} };
  await client.apply({
    ...left,
    metadata: { ...left.metadata, labels: { 'collab-homelab/installed-with': 'argo-cd' } },
  });
  const plan = await clone.run('plan', 'gitops');
  tally.check(
    'a plan shows from which version to which, and what goes',
    plan.output.includes(`Argo CD: v3.2.5 -> ${image.split(':')[1]}`) &&
      /ConfigMap argocd-of-before: there -> nothing/.test(plan.output),
    plan.output,
  );
  const run = await clone.run('apply', 'gitops', '--yes');
  const now = await client.ask('GET', path);
  tally.check(
    'and the stage brings it about, and waits until it runs',
    done(run) &&
      now.spec.template.spec.containers[0].image === image &&
      now.status.updatedReplicas === 1 &&
      (await client.get(left)) === undefined,
    run.output,
  );
  lapped('a changed version of Argo CD was applied');
}

/** A certificate that ends soon is renewed by the stage, and the ingress controller restarts to read it. */
async function renews(clone: Clone, client: Client): Promise<void> {
  const authority = clone.secrets('scripts/secrets/authority.sops.yaml');
  const { issue } = await import('../../../scripts/engine/certificates');
  const soon = await issue(authority as any, [`*.${homelab.network.domain}`], new Date(Date.now() - 380 * 86_400_000));
  const kept = clone.secrets();
  const values = { 'tls.crt': soon.certificate, 'tls.key': soon.key };
  kept.secrets.ingress['traefik-certificate'] = values;
  clone.keepSecrets(kept);
  await client.ask(
    'PATCH',
    '/api/v1/namespaces/ingress/secrets/traefik-certificate',
    { stringData: values },
    'application/merge-patch+json',
  );
  const uids = async () =>
    (await client.list('v1', 'Pod', 'ingress'))
      .map(({ metadata }) => metadata.uid)
      .sort()
      .join();
  const before = await uids();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const run = await clone.run('apply', 'secrets', '--yes');
  const leaf = clone.secrets().secrets.ingress['traefik-certificate']['tls.crt'];
  const live = (await client.get(at('Secret', 'traefik-certificate', 'ingress')))!;
  tally.check(
    'a certificate that ends in 17 days is renewed, in the file and in the cluster',
    done(run) &&
      leaf !== soon.certificate &&
      Buffer.from(live.data['tls.crt'], 'base64').toString() === leaf &&
      new Date(new X509Certificate(leaf).validTo).getTime() > Date.now() + 390 * 86_400_000,
    run.output,
  );
  tally.check('the ingress controller has started anew to read it', (await uids()) !== before, run.output);
  const again = await clone.run('apply', 'secrets', '--yes');
  tally.check('and nothing is left to do', nothing(again), again.output);
  lapped('a certificate was renewed');
}

/** What verify sees of the API; what it would ask inside of pods and machines is not there, and is said one by one. */
async function verifies(clone: Clone): Promise<void> {
  const { code, output } = await clone.run('verify', '--json');
  const found: Json[] = JSON.parse(output.slice(output.indexOf('[')));
  const isGood = (what: RegExp) => found.some((each) => what.test(each.what) && each.state === 'good');
  const wanted = [
    /^talos-worker-01 is ready/,
    /^claims of cassandra/,
    /^application services/,
    /^certificate traefik-certificate/,
    /^own authority/,
    /^secrets/,
  ];
  tally.check(
    'verify sees nodes, claims, applications, secrets and certificates as they are',
    wanted.every(isGood),
    output,
  );
  tally.check(
    'and says of each machine and pod that cannot be asked that it cannot, and ends with 1',
    code === 1 &&
      ['storages of proxmox', 'ring cassandra', 'replica set mongodb', 'models'].every((what) =>
        found.some((each) => each.what === what && each.state === 'bad'),
      ),
    output,
  );
  const { output: read } = await clone.run('verify');
  tally.check(
    'for people it names the addresses to open, and how to log in',
    [`https://app.${homelab.network.domain}`, 'port-forward', 'argocd-initial-admin-secret'].every((text) =>
      read.includes(text),
    ),
    read,
  );
  lapped('verify');
}

function lapped(what: string): void {
  laps.lap(what);
}

async function main(): Promise<void> {
  argoCd();
  const plane = await ControlPlane.start(homelab.versions.kubernetes);
  let clone: Clone | undefined;
  try {
    clone = new Clone(plane, new Repository(join(plane.folder, 'repository')));
    const { 'argo-cd': _, ...system } = homelab.system;
    await applyNodes(plane.client, { ...homelab, system });
    clone.publish('first');
    lapped('control plane and clone are ready');
    await stageSecrets(clone, plane.client);
    await foreign(clone, plane.client);
    const argo = await stageGitops(clone, plane);
    await takenOver(clone, plane.client, argo);
    await rotates(clone, plane.client, argo);
    await renews(clone, plane.client);
    await changesVersion(clone, plane.client);
    await verifies(clone);
    await leavesGit(clone, plane.client, argo);
  } finally {
    clone?.remove();
    await plane.stop();
  }
}

main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => tally.close());
