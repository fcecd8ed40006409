import { parseAllDocuments } from 'yaml';
import { NAMESPACES, nodes, type Homelab, type SystemWorkload } from '../../../inventory';
import { bytes, cpuQuantity, memoryQuantity, millicores } from '../../../values/quantity';
import { Blocked } from '../../engine/problem';

export const ARGO_CD_NAMESPACE = NAMESPACES.argoCd;

/** On each object of the install manifest, so that one which a later version lacks is found, and nothing else is. */
export const INSTALLED = { 'collab-homelab/installed-with': 'argo-cd' } as const;

/** Since 3.0 an Application does not show which of its objects is unhealthy, and why, unless this setting is on. */
export const PARAMETERS = { 'controller.resource.health.persist': 'true' } as const;

/**
 * Argo CD's install manifest as it is applied here. Left out are its argocd-cm, for there is one in dist/, and its network
 * policies: policies add up, and its own would let in from everywhere what those of dist/ keep closed. Every container
 * requests what homelab.ts says in `system`, so that the budget is true, and no limit: a pod above its request is the
 * first that the kubelet evicts, while a limit that was guessed too low would end Argo CD at its work.
 */
export function argoCdObjects(text: string, homelab: Homelab): any[] {
  const objects = parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((object) => object !== null && object !== undefined);
  if (objects.length === 0 || objects.some(({ kind, metadata }) => kind === undefined || metadata?.name === undefined))
    throw new Blocked("Argo CD's install manifest must hold Kubernetes objects, and holds something else");
  return objects
    .filter(({ kind, metadata }) => kind !== 'Namespace' && kind !== 'NetworkPolicy' && metadata.name !== 'argocd-cm')
    .map((object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { ...object.metadata.labels, ...INSTALLED },
        ...(!isClusterScoped(object) && { namespace: ARGO_CD_NAMESPACE }),
      },
      ...(isWorkload(object) && { spec: placed(object, homelab) }),
      ...(object.kind === 'ConfigMap' &&
        object.metadata.name === 'argocd-cmd-params-cm' && { data: { ...object.data, ...PARAMETERS } }),
    }));
}

export function isDefinition({ kind }: any): boolean {
  return kind === 'CustomResourceDefinition';
}

export function isWorkload({ kind }: any): boolean {
  return kind === 'Deployment' || kind === 'StatefulSet';
}

export function isClusterScoped({ kind }: any): boolean {
  return isDefinition({ kind }) || kind === 'ClusterRole' || kind === 'ClusterRoleBinding';
}

/** The version in an image of argocd-server. */
export function versionOf(server: any): string | undefined {
  return /:([^:@]+)(@|$)/.exec(server?.spec?.template?.spec?.containers?.[0]?.image ?? '')?.[1];
}

/** Of the whole, where homelab.ts states only that, as `all`: MiB and millicores that each part is given by default. */
const SHARES: Readonly<Record<string, readonly [memory: number, cpu: number]>> = {
  'application-controller': [768, 250],
  'repo-server': [512, 100],
  server: [256, 50],
  'applicationset-controller': [128, 25],
  'notifications-controller': [128, 25],
  'dex-server': [128, 25],
  redis: [128, 50],
};

function requestsOf(part: string, containers: SystemWorkload['containers']) {
  const own = containers[part];
  if (own) return { memory: memoryQuantity(bytes(own.memory)), cpu: cpuQuantity(millicores(own.cpu)) };
  const { all } = containers;
  const share = SHARES[part];
  if (all === undefined || share === undefined) return undefined;
  const whole = (index: 0 | 1) => Object.values(SHARES).reduce((sum, each) => sum + each[index], 0);
  const kib = Math.floor((bytes(all.memory) * share[0]) / whole(0) / 1024);
  return {
    memory: memoryQuantity(kib * 1024),
    cpu: cpuQuantity(Math.floor((millicores(all.cpu) * share[1]) / whole(1))),
  };
}

function placed({ metadata, spec }: any, homelab: Homelab): any {
  const stated = homelab.system['argo-cd'];
  const part = metadata.name.replace(/^argocd-/, '');
  const requests = stated && requestsOf(part, stated.containers);
  if (stated === undefined || requests === undefined)
    throw new Blocked(
      `homelab.ts must state in system.argo-cd.containers what ${part} of Argo CD requests, or the budget would not be true; add '${part}': { memory: Size.mebibytes(128), cpu: Cpu.millis(25) }`,
    );
  const pod = spec.template.spec;
  if (pod.containers.length !== 1)
    throw new Blocked(
      `${metadata.name} of Argo CD must have one container, and has ${pod.containers.map(({ name }: any) => name).join(', ')}; this version needs a look at scripts/stages/gitops/manifest.ts`,
    );
  const requesting = (container: any) => ({
    ...container,
    resources: { ...container.resources, requests: { ...container.resources?.requests, ...requests } },
  });
  return {
    ...spec,
    template: {
      ...spec.template,
      // Read at the start alone: others mean other pods.
      metadata: {
        ...spec.template.metadata,
        annotations: {
          ...spec.template.metadata?.annotations,
          'collab-homelab/parameters': JSON.stringify(PARAMETERS),
        },
      },
      spec: {
        ...pod,
        containers: pod.containers.map(requesting),
        // What a pod asks for is the larger of its init containers and the rest: the same for both is no more.
        ...(pod.initContainers && { initContainers: pod.initContainers.map(requesting) }),
        affinity: { ...pod.affinity, ...nodeAffinity(stated.on, homelab) },
        ...(stated.on === 'control-plane' && { tolerations: [...(pod.tolerations ?? []), CONTROL_PLANE] }),
      },
    },
  };
}

const CONTROL_PLANE = { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' };

/** Where the budget counts it, as long as there is room: any other worker after that, so that a node may be drained. */
function nodeAffinity(on: string, homelab: Homelab): object {
  const machine = nodes(homelab).some(([name]) => name === on);
  const expression = machine
    ? { key: 'kubernetes.io/hostname', operator: 'In', values: [on] }
    : on === 'control-plane'
      ? { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }
      : undefined;
  if (expression === undefined) return {};
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions: [expression] } },
      ],
    },
  };
}
