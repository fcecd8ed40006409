import { ApiObject, Size, type Chart } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { IsolatedNamespace, PersistentVolumes, type IsolatedNamespaceProps, type NamespaceQuota } from '../constructs';
import { footprint } from '../constructs/footprint';
import { clusterScoped, jsonOf } from '../constructs/rendering';
import { workers, type Homelab } from '../inventory';
import { folder, NAMESPACES, PRIORITY, type Context } from './context';

/**
 * What everything else stands on: namespaces with their limits, priority classes, volumes. Made after the other charts,
 * because volumes and quotas follow from what those declare.
 */
export function platformChart(context: Context): void {
  const { app, homelab } = context;
  const chart = folder(app, 'platform');
  const workloads = app.node
    .findAll()
    .filter((node) => ApiObject.isApiObject(node) && WORKLOADS.has(node.kind)) as ApiObject[];
  const namespace = (name: string, props: IsolatedNamespaceProps = {}) => {
    const inside = workloads.filter(({ metadata }) => metadata.namespace === name);
    // A retired database keeps its quota, which then admits nothing: left out, it would be OutOfSync for ever, as it is never pruned.
    const quota = inside.length > 0 || name in homelab.databases ? () => quotaOf(inside, homelab) : undefined;
    new IsolatedNamespace(chart, name, { ...props, quota });
  };
  for (const name of Object.keys(homelab.databases)) namespace(name, { keep: true });
  namespace(NAMESPACES.services);
  if (Object.keys(homelab.webApps).length > 0) namespace(NAMESPACES.web);
  if (context.ingress)
    namespace(NAMESPACES.ingress, {
      podSecurity: 'privileged',
      podSecurityReason:
        'hostPort 80 and 443 on the workers, which baseline refuses; host network would escape every NetworkPolicy',
    });
  priorityClass(chart, PRIORITY.database, 1_000_000, 'Databases: their pods cannot move to another node.');
  priorityClass(chart, PRIORITY.ingress, 900_000, 'The way in.');
  priorityClass(chart, PRIORITY.service, 100_000, 'Services and web apps: they move, or wait.');
  new PersistentVolumes(chart, 'volumes');
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

/**
 * What is rendered in a namespace, with the surge of every Deployment, and every job twice (a changed job starts before
 * its predecessor is pruned). Nothing more gets in, so a forgotten workload cannot take the room of a database.
 */
function quotaOf(workloads: readonly ApiObject[], homelab: Homelab): NamespaceQuota {
  const sum = { memory: 0, cpu: 0, pods: 0 };
  for (const workload of workloads) {
    const { memory, cpu, pods: atRest, surge } = footprint(jsonOf(workload), workers(homelab).length)!;
    const pods = workload.kind === 'Job' ? 2 : atRest + surge;
    sum.memory += pods * memory;
    sum.cpu += pods * cpu;
    sum.pods += pods;
  }
  return {
    memory: Size.kibibytes(Math.max(1, Math.ceil(sum.memory / 1024))),
    cpu: Cpu.millis(Math.max(1, Math.round(sum.cpu * 1000))),
    pods: sum.pods,
  };
}

const WORKLOADS: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job']);
