import type { Client } from '../cluster/client';

/**
 * Writes the address of every Ingress into its status, as an ingress controller would: Argo CD waits for it. The real one runs
 * in the suite gitops.
 * @returns how to end it
 */
export function playIngressController(client: Client): () => void {
  const status = { status: { loadBalancer: { ingress: [{ ip: '127.0.0.1' }] } } };
  const write = async () => {
    for (const { metadata, status: now } of await client.list('networking.k8s.io/v1', 'Ingress'))
      if (!now?.loadBalancer?.ingress) {
        const path = `/apis/networking.k8s.io/v1/namespaces/${metadata.namespace}/ingresses/${metadata.name}/status`;
        await client.request('PATCH', path, status, 'application/merge-patch+json');
      }
  };
  const timer = setInterval(() => void write().catch(() => undefined), 1_000);
  return () => clearInterval(timer);
}
