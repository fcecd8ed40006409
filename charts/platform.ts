import { ApiObject, Size, type Chart } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import {
  clusterScoped,
  footprint,
  IsolatedNamespace,
  PersistentVolumes,
  type IsolatedNamespaceProps,
  type NamespaceQuota,
} from '../constructs';
import { nodes } from '../inventory';
import { folder, NAMESPACES, PRIORITY, type Context } from './context';

/**
 * What everything else stands on: namespaces with their limits, priority classes, volumes. Made after the other charts,
 * because quotas and volumes follow from what those declare.
 */
export function platformChart(context: Context): void {
  const { app, homelab } = context;
  const chart = folder(app, 'platform');
  const quotas = quotasOf(context);
  const namespace = (name: string, props: IsolatedNamespaceProps = {}) =>
    new IsolatedNamespace(chart, name, { ...props, quota: quotas.get(name) });
  for (const name of Object.keys(homelab.databases)) namespace(name, { keep: true });
  namespace(NAMESPACES.services);
  namespace(NAMESPACES.web);
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
      globalDefault: false,
    }),
  );
}

/**
 * For each namespace what is rendered there, with the surge of every Deployment, and every job twice (a changed job
 * starts before its predecessor is pruned). Nothing more gets in, so a forgotten workload cannot take the room of a database.
 */
function quotasOf({ app, homelab }: Context): Map<string, NamespaceQuota> {
  const workers = nodes(homelab).filter(([, machine]) => machine.role === 'worker').length;
  const sums = new Map<string, { memory: number; cpu: number; pods: number }>();
  for (const object of app.node.findAll().filter(ApiObject.isApiObject)) {
    if (!WORKLOADS.has(object.kind)) continue;
    const json = object.toJson();
    const print = footprint(json, workers)!;
    const pods = object.kind === 'Job' ? 2 : print.pods + print.surge;
    const sum = sums.get(json.metadata.namespace) ?? { memory: 0, cpu: 0, pods: 0 };
    sums.set(json.metadata.namespace, {
      memory: sum.memory + pods * print.memory,
      cpu: sum.cpu + pods * print.cpu,
      pods: sum.pods + pods,
    });
  }
  return new Map(
    [...sums].map(([name, { memory, cpu, pods }]) => [
      name,
      { memory: Size.kibibytes(Math.ceil(memory / 1024)), cpu: Cpu.millis(Math.round(cpu * 1000)), pods },
    ]),
  );
}

const WORKLOADS: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job']);
