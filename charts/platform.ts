import { ApiObject, Size, type Chart } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import {
  clusterScoped,
  footprint,
  IsolatedNamespace,
  type IsolatedNamespaceProps,
  type Json,
  jsonOf,
  type NamespaceQuota,
  PersistentVolumes,
  POD_KINDS,
  type TraefikIngress,
} from '../constructs';
import { FOLDERS, NAMESPACES, podSecurityOf, volumeOwners, volumesOf, workers, type Homelab } from '../inventory';
import { folder, PRIORITY, type Context } from './context';

/**
 * What all other charts need: namespaces with their limits, priority classes, volumes. Created after the other charts, because
 * volumes and quotas are derived from what they declare.
 */
export function platformChart(context: Context): void {
  const { app, homelab } = context;
  const chart = folder(app, FOLDERS.platform);
  const workloadsIn = (name: string) =>
    app.node
      .findAll()
      .filter(ApiObject.isApiObject)
      .filter(({ kind, metadata }) => COUNTED.has(kind) && metadata.namespace === name);
  const namespace = (name: string, props: IsolatedNamespaceProps = {}) => {
    // A retired database keeps its quota, which then admits no pod. Argo CD never prunes it, so without it the app would stay OutOfSync.
    const limited = name in homelab.databases || workloadsIn(name).length > 0;
    // Counted at rendering, so that the quota includes workloads that your own charts add later.
    const counted = (): Json[] => [...workloadsIn(name), ...(made.limitRange ? [made.limitRange] : [])].map(jsonOf);
    const quota = limited ? () => quotaOf(counted(), homelab) : undefined;
    const made: IsolatedNamespace = new IsolatedNamespace(chart, name, { ...props, quota });
  };
  for (const name of Object.keys(homelab.databases)) namespace(name, { keep: true });
  // Kept with its claims, as the namespace of a database is.
  const keep = (name: string) =>
    volumeOwners(homelab).some((owner) => owner.namespace === name && volumesOf(owner).length > 0) || undefined;
  namespace(NAMESPACES.services, { keep: keep(NAMESPACES.services), ...exceptionOf(homelab.services) });
  // The ingress controller has rights there, also before the first web app.
  if (Object.keys(homelab.webApps).length > 0 || context.ingress)
    namespace(NAMESPACES.web, { keep: keep(NAMESPACES.web), ...exceptionOf(homelab.webApps) });
  for (const { name, podSecurity, podSecurityReason, keep } of context.own)
    namespace(name, { podSecurity, podSecurityReason, keep });
  if (context.ingress)
    namespace(NAMESPACES.ingress, {
      podSecurity: 'privileged',
      podSecurityReason: `hostPort ${openPorts(context.ingress)} on the workers, which baseline refuses; host network would escape every NetworkPolicy`,
    });
  priorityClass(chart, PRIORITY.database, 1_000_000, 'Databases: their pods cannot move to another node.');
  priorityClass(chart, PRIORITY.ingress, 900_000, 'The way in.');
  priorityClass(chart, PRIORITY.service, 100_000, 'Services and web apps: they move, or wait.');
  new PersistentVolumes(chart, 'volumes');
}

/** Ports of the nodes that the ingress controller opens: those of HTTP, and the published ones. */
function openPorts({ extensions }: TraefikIngress): string {
  const published = extensions.containerPorts.map(({ hostPort, protocol }) =>
    protocol === 'UDP' ? `${hostPort} (UDP)` : String(hostPort),
  );
  const all = ['80', '443', ...published];
  return `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

/** The Pod Security level that the services of a namespace need, with their reasons. It holds for all pods of the namespace. */
function exceptionOf(services: Homelab['services']): IsolatedNamespaceProps {
  const needs = Object.entries(services).map(([name, service]) => ({ name, service, level: podSecurityOf(service) }));
  const level = (['privileged', 'baseline'] as const).find((each) => needs.some((need) => need.level === each));
  if (level === undefined) return {};
  const reasons = needs.flatMap(({ name, service: { allow, capabilities = {} } }) => [
    ...(allow?.root === undefined ? [] : [`${name} runs as root: ${allow.root}`]),
    ...Object.entries(capabilities).map(([capability, reason]) => `${name} has ${capability}: ${reason}`),
  ]);
  return { podSecurity: level, podSecurityReason: reasons.join('; ') };
}

function priorityClass(chart: Chart, name: string, value: number, description: string): void {
  clusterScoped(
    new k8s.KubePriorityClass(chart, `priority-${name}`, {
      metadata: { name },
      value,
      description,
    }),
  );
}

const COUNTED: ReadonlySet<string> = new Set([...POD_KINDS, 'HorizontalPodAutoscaler']);

/**
 * The sum of what is rendered in a namespace, with the surge of every Deployment, and every job twice (a changed job starts
 * before its predecessor is pruned). Nothing more is admitted, so a forgotten workload cannot take resources of a database.
 */
function quotaOf(objects: readonly Json[], homelab: Homelab): NamespaceQuota {
  const sum = { memory: 0, cpu: 0, pods: 0 };
  for (const object of objects) {
    const counted = footprint(object, workers(homelab).length, objects);
    if (counted === undefined) continue;
    const { memory, memoryLimit, cpu, pods: atRest, surge } = counted;
    const pods = object.kind === 'Job' ? 2 * atRest : atRest + surge;
    // One figure bounds the requests and the limits.
    sum.memory += pods * Math.max(memory, memoryLimit);
    sum.cpu += pods * cpu;
    sum.pods += pods;
  }
  return {
    memory: Size.kibibytes(Math.max(1, Math.ceil(sum.memory / 1024))),
    cpu: Cpu.millis(Math.max(1, Math.round(sum.cpu * 1000))),
    pods: sum.pods,
  };
}
