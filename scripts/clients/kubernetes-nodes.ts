import { CommandFailed } from '../engine/commands';
import { NotReady } from '../engine/problem';
import type { Kubernetes } from './kubernetes';

/** The nodes that the API server knows, or undefined while it does not answer. @throws NotReady without a kubeconfig */
export async function registeredNodes(kubernetes: Kubernetes): Promise<any[] | undefined> {
  try {
    return await kubernetes.list(['nodes']);
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
}

/** One node as the API server knows it. @throws NotReady while it does not answer */
export async function nodeObject(kubernetes: Kubernetes, name: string): Promise<any> {
  const nodes = await registeredNodes(kubernetes);
  if (nodes === undefined) throw new NotReady('the Kubernetes API does not answer yet');
  const node = nodes.find(({ metadata }) => metadata.name === name);
  if (node === undefined) throw new NotReady(`${name} is not a node of the cluster yet`);
  return node;
}

/** Whether a node is ready. With a boot id: since that boot, because the API server notices a lost node only after 40 s. */
export function isReady(node: any, boot?: string): boolean {
  const known = node?.status?.nodeInfo?.bootID;
  if (boot !== undefined && known && known !== boot) return false;
  return (node?.status?.conditions ?? []).some(({ type, status }: any) => type === 'Ready' && status === 'True');
}

/** Whether the running flannel enforces network policies. Talos creates flannel only once. */
export async function enforcesPolicies(kubernetes: Kubernetes): Promise<boolean | undefined> {
  const flannel = await kubernetes.get(['daemonset', 'kube-flannel', '-n', 'kube-system']);
  const containers = flannel?.spec?.template?.spec?.containers;
  if (!Array.isArray(containers)) return undefined;
  return containers.some(({ name }) => name === 'kube-network-policies');
}
