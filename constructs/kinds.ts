/** A kind of object, as in an AppProject. */
export interface Kind {
  /** API group; empty for the core. */
  readonly group: string;
  /** As `Deployment`. */
  readonly kind: string;
}

/**
 * Every kind that this library can render, whether a homelab uses it or not. Argo CD neither creates nor deletes an object whose
 * kind its project does not permit. If the project permitted only the kinds rendered now, the last object of a kind would stay in
 * the cluster. test/charts/argo-cd.test.ts compares this list with the sources.
 */
export const RENDERED_KINDS: readonly Kind[] = [
  ...of('', [
    'ConfigMap',
    'LimitRange',
    'Namespace',
    'PersistentVolume',
    'PersistentVolumeClaim',
    'ResourceQuota',
    'Service',
    'ServiceAccount',
  ]),
  ...of('apps', ['DaemonSet', 'Deployment', 'StatefulSet']),
  ...of('argoproj.io', ['AppProject', 'Application']),
  ...of('autoscaling', ['HorizontalPodAutoscaler']),
  ...of('batch', ['CronJob', 'Job']),
  ...of('cert-manager.io', ['Certificate']),
  ...of('discovery.k8s.io', ['EndpointSlice']),
  ...of('gateway.networking.k8s.io', ['HTTPRoute']),
  ...of('networking.k8s.io', ['Ingress', 'IngressClass', 'NetworkPolicy']),
  ...of('policy', ['PodDisruptionBudget']),
  ...of('rbac.authorization.k8s.io', ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']),
  ...of('scheduling.k8s.io', ['PriorityClass']),
  ...of('storage.k8s.io', ['StorageClass']),
];

function of(group: string, kinds: readonly string[]): Kind[] {
  return kinds.map((kind) => ({ group, kind }));
}

/** The group of an apiVersion: `apps` of apps/v1, empty for v1. */
export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
}
