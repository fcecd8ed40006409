import { groupOf, isClusterScoped } from '../../constructs';

/** An object in a file or in the cluster. */
export type Manifest = Readonly<Record<string, any>>;

/** The only file of dist/ that is not an object: the list of required secrets. */
export const SECRETS_FILE = 'secrets.yaml';

/** The entries of dist/secrets.yaml, as the Secrets that the bootstrap creates. */
export function secretsIn({ secrets = [] }: Manifest): Manifest[] {
  return secrets.flatMap(({ name, namespaces }: Manifest) =>
    namespaces.map((namespace: string) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } })),
  );
}

/** Whether Argo CD keeps an object that leaves Git. */
export function isKept({ metadata }: Manifest): boolean {
  return String(metadata.annotations?.['argocd.argoproj.io/sync-options'] ?? '').includes('Prune=false');
}

/** The identity of an object: group, kind, namespace and name. */
export function identity({ apiVersion, kind, metadata }: Manifest): string {
  const place = isClusterScoped(kind) ? '' : (metadata.namespace ?? '');
  return `${groupOf(apiVersion)}/${kind} ${place}/${metadata.name}`;
}

/** Whether an AppProject permits an object. Without a list, it permits every namespaced kind and no cluster-scoped kind. */
export function permits({ spec }: Manifest, { apiVersion, kind, metadata }: Manifest): boolean {
  const isListed = (list: readonly Manifest[]) =>
    list.some((each) => matches(each.group, groupOf(apiVersion)) && matches(each.kind, kind));
  // The scope of a custom kind is known only by the list that permits it.
  const clusterWide = isClusterScoped(kind) || isListed(spec.clusterResourceWhitelist ?? []);
  const [white, black] = clusterWide
    ? [spec.clusterResourceWhitelist ?? [], spec.clusterResourceBlacklist]
    : [spec.namespaceResourceWhitelist ?? [{ group: '*', kind: '*' }], spec.namespaceResourceBlacklist];
  return (
    isListed(white) &&
    !isListed(black ?? []) &&
    (clusterWide || (spec.destinations ?? []).some((each: Manifest) => matches(each.namespace, metadata.namespace)))
  );
}

/** Patterns of Argo CD, in which * matches anything. */
function matches(pattern: string, text: string): boolean {
  if (!pattern?.includes('*')) return pattern === text;
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(text ?? '');
}
