import type { Client } from '../../cluster/client';

/**
 * The kubelet of a node that shuts down lets every ordinary pod end, and says so before the machine is off. kwok, which plays
 * the kubelets, does not hear of it. @param exitCode 137 for a pod that was not let end
 */
export async function endPods(client: Client, node: string, exitCode = 0): Promise<void> {
  const { items = [] } = (await client.request('GET', `/api/v1/pods?fieldSelector=spec.nodeName%3D${node}`)).body;
  for (const pod of items) {
    if (pod.status.phase !== 'Running') continue;
    const finishedAt = `${new Date().toISOString().slice(0, 19)}Z`;
    const containerStatuses = (pod.status.containerStatuses ?? []).map((status: any) => ({
      ...status,
      ready: false,
      state: { terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', finishedAt } },
    }));
    const conditions = (pod.status.conditions ?? []).map((condition: any) =>
      /Ready$/.test(condition.type) ? { ...condition, status: 'False' } : condition,
    );
    // As the kubelet's shutdown manager writes it.
    const status = { ...pod.status, phase: 'Failed', reason: 'Terminated', conditions, containerStatuses };
    const { namespace, name } = pod.metadata;
    await client.request('PUT', `/api/v1/namespaces/${namespace}/pods/${name}/status`, { ...pod, status });
  }
}
