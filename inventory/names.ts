/** Namespaces that are not a database's: a database has one of its own name. */
export const NAMESPACES = { services: 'services', web: 'web', ingress: 'ingress', argoCd: 'argocd' } as const;

/** Namespaces that every Kubernetes cluster has. */
const OF_KUBERNETES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Namespaces that exist whatever homelab.ts says. */
export const FIXED_NAMESPACES: readonly string[] = [...Object.values(NAMESPACES), ...OF_KUBERNETES];

/** Folders of dist/, each an Argo CD application, that have no namespace of their name. */
export const FOLDERS = { platform: 'platform', llm: 'llm', llmProof: 'llm-proof' } as const;
