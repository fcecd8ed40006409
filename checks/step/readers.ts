import type { Manifest } from './objects';
import type { State } from './step';
import { workloads, type Workload } from './workloads';

/** How a workload reads a ConfigMap or Secret. */
export interface Reader {
  readonly workload: Workload;
  /**
   *   file      a mounted volume: the kubelet writes the new content within about a minute
   *   sub-path  one file of it, mounted by subPath: it does not change until the pod is replaced
   *   env       a variable: it does not change until the pod is replaced
   */
  readonly how: 'file' | 'sub-path' | 'env';
}

const known = new WeakMap<State, Map<string, Reader[]>>();

/** The workloads that read a ConfigMap or Secret, and how. */
export function readersOf(state: State, { kind, metadata }: Manifest): readonly Reader[] {
  const found = known.get(state) ?? index(state);
  known.set(state, found);
  return found.get(`${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`) ?? [];
}

function index(state: State): Map<string, Reader[]> {
  const found = new Map<string, Reader[]>();
  for (const workload of workloads(state).all)
    for (const [key, hows] of reads(workload)) {
      const list = found.get(key) ?? [];
      for (const how of hows) list.push({ workload, how });
      found.set(key, list);
    }
  return found;
}

function reads({ namespace, podSpec }: Workload): Map<string, Set<Reader['how']>> {
  const found = new Map<string, Set<Reader['how']>>();
  const read = (kind: string, name: string | undefined, how: Reader['how']) => {
    if (name === undefined) return;
    const key = `${kind} ${namespace}/${name}`;
    found.set(key, (found.get(key) ?? new Set<Reader['how']>()).add(how));
  };
  const containers: Manifest[] = [...(podSpec.initContainers ?? []), ...(podSpec.containers ?? [])];
  const mounts = new Map<string, Set<Reader['how']>>();
  for (const { volumeMounts = [] } of containers)
    for (const { name, subPath, subPathExpr } of volumeMounts)
      mounts.set(
        name,
        (mounts.get(name) ?? new Set<Reader['how']>()).add(subPath || subPathExpr ? 'sub-path' : 'file'),
      );
  for (const { name, configMap, secret, projected } of podSpec.volumes ?? [])
    for (const how of mounts.get(name) ?? []) {
      read('ConfigMap', configMap?.name, how);
      read('Secret', secret?.secretName, how);
      for (const source of projected?.sources ?? []) {
        read('ConfigMap', source.configMap?.name, how);
        read('Secret', source.secret?.name, how);
      }
    }
  for (const { env = [], envFrom = [] } of containers) {
    for (const { valueFrom } of env) {
      read('ConfigMap', valueFrom?.configMapKeyRef?.name, 'env');
      read('Secret', valueFrom?.secretKeyRef?.name, 'env');
    }
    for (const { configMapRef, secretRef } of envFrom) {
      read('ConfigMap', configMapRef?.name, 'env');
      read('Secret', secretRef?.name, 'env');
    }
  }
  return found;
}
