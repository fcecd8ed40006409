import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { built, CACHE, go, pinned } from '../modules';

/** Small Go modules, each of which pins one program that the suites build. */
export const MODULES = resolve(__dirname, 'go');

/** Kubernetes versions that can be built: minor to exact, as the go.mod of each says. */
export const KUBERNETES_VERSIONS: readonly string[] = fs
  .readdirSync(MODULES)
  .filter((folder) => folder.startsWith('kubernetes-'))
  .map((folder) => pinned(join(MODULES, folder), 'k8s.io/kubernetes'))
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
      `Kubernetes ${version} must be a version that the tests build, one of ${KUBERNETES_VERSIONS.join(', ')}; add test/real/cluster/go/${folder}, or pin one of these`,
    );
  const kubernetes = (program: string) =>
    built(join(MODULES, folder), 'k8s.io/kubernetes', `k8s.io/kubernetes/cmd/${program}`, program, [
      '-X',
      `k8s.io/component-base/version.gitVersion=${version}`,
      '-X',
      'k8s.io/component-base/version.gitMajor=1',
      '-X',
      `k8s.io/component-base/version.gitMinor=${minor!.split('.')[1]}`,
    ]);
  const kwok = built(join(MODULES, 'kwok'), 'sigs.k8s.io/kwok', 'sigs.k8s.io/kwok/cmd/kwok', 'kwok', []);
  return {
    etcd: built(join(MODULES, 'etcd'), 'go.etcd.io/etcd/server/v3', 'go.etcd.io/etcd/server/v3', 'etcd', []),
    kwok,
    stages: stages(resolve(kwok, '..', 'stages')),
    apiServer: kubernetes('kube-apiserver'),
    controllerManager: kubernetes('kube-controller-manager'),
    scheduler: kubernetes('kube-scheduler'),
  };
}

/** Renders charts of Helm, for owners who have some. */
export function helm(): string {
  return built(join(MODULES, 'helm'), 'helm.sh/helm/v4', 'helm.sh/helm/v4/cmd/helm', 'helm', []);
}

/** Whether a version is in the cache already, so that a caller with little time can leave it out and say so. */
export function isBuilt(version: string): boolean {
  return ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].every((program) =>
    fs.existsSync(join(CACHE, 'kubernetes', version, program)),
  );
}

/** kwok's stages lie in its module: what a fake kubelet does with nodes and pods. */
function stages(folder: string): string {
  if (fs.existsSync(folder)) return folder;
  const source = go(join(MODULES, 'kwok'), ['list', '-m', '-f', '{{.Dir}}', 'sigs.k8s.io/kwok']).trim();
  const part = `${folder}.${process.pid}`;
  fs.mkdirSync(part, { recursive: true });
  for (const stage of ['node/fast', 'node/heartbeat-with-lease', 'pod/fast'])
    for (const file of fs.readdirSync(join(source, 'kustomize', 'stage', stage)))
      if (/^(node|pod)-.*\.yaml$/.test(file))
        fs.writeFileSync(join(part, file), fs.readFileSync(join(source, 'kustomize', 'stage', stage, file)));
  fs.renameSync(part, folder);
  return folder;
}
