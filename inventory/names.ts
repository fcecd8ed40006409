import type { Homelab } from './homelab';

/** Namespaces other than those of databases, which are named like the database. */
export const NAMESPACES = { services: 'services', web: 'web', ingress: 'ingress', argoCd: 'argocd' } as const;

/** Namespaces that every Kubernetes cluster has. */
const OF_KUBERNETES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Namespaces that exist in every homelab. */
export const FIXED_NAMESPACES: readonly string[] = [...Object.values(NAMESPACES), ...OF_KUBERNETES];

/** Folders of dist/, each an Argo CD Application, without a namespace of the same name. */
export const FOLDERS = { platform: 'platform', llm: 'llm', llmProof: 'llm-proof' } as const;

/** Names of namespaces, folders and applications that a homelab has, or may have after a change of homelab.ts. */
export function reservedNames({ name, databases }: Homelab): string[] {
  return [...new Set([...FIXED_NAMESPACES, ...Object.values(FOLDERS), name, ...Object.keys(databases)])];
}
