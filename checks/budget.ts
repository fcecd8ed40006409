import { containerRequest, footprint, limitRangesOf, podRequests, podSpecOf, withDefaults } from '../constructs';
import {
  allocatableCpu,
  allocatableMemory,
  nodes,
  SYSTEM_MILLICORES,
  systemNodes,
  workers,
  type Homelab,
  type TalosMachine,
} from '../inventory';
import { bytes, millicores } from '../values/quantity';
import type { Check, Finding } from './finding';
import type { RenderedObject, Rendering } from './rendering';

/** The requests of one container on one node. */
export interface BudgetRow {
  /** Name of the machine. */
  readonly node: string;
  /** NAMESPACE/NAME of a rendered workload; the inventory's name of a system workload. */
  readonly workload: string;
  /** Its name; if an init container requests more than all containers together, an extra row holds the difference. */
  readonly container: string;
  /** Pods on this node without and with a rollout. */
  readonly pods: number;
  /** Additional pods during a rollout, all counted on the first of its nodes. */
  readonly surge: number;
  /** Request of the container in one pod, in bytes. */
  readonly memory: number;
  /** Request of the container in one pod, in millicores. */
  readonly cpu: number;
}

/** The pods of each node must fit, even if every Deployment rolls at once. */
export const budget: Check = {
  name: 'budget',
  needs: ['homelab'],
  find: ({ rendering, homelab }) => {
    const rows = budgetRows(rendering, homelab!);
    return nodes(homelab!).flatMap(([node, machine]) =>
      overspent(
        node,
        rows.filter((row) => row.node === node),
        { memory: allocatableMemory(homelab!, machine), cpu: allocatableCpu(machine) },
      ),
    );
  },
};

function overspent(
  node: string,
  rows: readonly BudgetRow[],
  room: { readonly memory: number; readonly cpu: number },
): Finding[] {
  const { memory, cpu } = budgetSum(rows);
  const findings: Finding[] = [];
  if (memory > room.memory)
    findings.push(
      tooMuch(
        `the pods of ${node} request ${mib(memory)} MiB of memory, surge included, and it has ${mib(room.memory)} MiB (98 % of the machine, minus the kubelet's reserve and 100 MiB)`,
        `${mib(memory - room.memory)} MiB too much; lower a request, move a workload or give the machine more memory: npm run homelab -- budget`,
      ),
    );
  if (cpu > room.cpu)
    findings.push(
      tooMuch(
        `the pods of ${node} request ${cpu} millicores, surge included, and it has ${room.cpu} (its cores, minus ${SYSTEM_MILLICORES} for the system)`,
        'lower a request or give the machine more cores: npm run homelab -- budget',
      ),
    );
  return findings;
}

/** The sum of rows while everything rolls, in bytes and millicores. */
export function budgetSum(rows: readonly BudgetRow[]): { memory: number; cpu: number } {
  const sum = (cost: (row: BudgetRow) => number) =>
    rows.reduce((total, row) => total + cost(row) * (row.pods + row.surge), 0);
  return { memory: sum((row) => row.memory), cpu: sum((row) => row.cpu) };
}

function tooMuch(what: string, fix: string): Finding {
  return { severity: 'error', message: `${what}; ${fix}` };
}

const mib = (byteCount: number) => Math.ceil(byteCount / 1024 ** 2);

/** Every container on every node: rendered ones, and those that the inventory lists. */
export function budgetRows(rendering: Rendering, homelab: Homelab): BudgetRow[] {
  return [...systemRows(homelab), ...rendering.flatMap((rendered) => workloadRows(rendered, rendering, homelab))];
}

function systemRows(homelab: Homelab): BudgetRow[] {
  return Object.entries(homelab.system).flatMap(([workload, { on, pods, containers }]) =>
    systemNodes(homelab, on).flatMap((node) =>
      Object.entries(containers).map(([container, { memory, cpu }]) => ({
        node,
        workload,
        container,
        // With any-node the scheduler may place all pods on this node.
        pods: pods ?? 1,
        surge: 0,
        memory: bytes(memory),
        cpu: millicores(cpu),
      })),
    ),
  );
}

function workloadRows({ object }: RenderedObject, rendering: Rendering, homelab: Homelab): BudgetRow[] {
  const machines = workers(homelab);
  const rendered = podSpecOf(object);
  if (rendered === undefined) return [];
  const others = rendering.map((each) => each.object);
  const template = withDefaults(rendered, limitRangesOf(object, others));
  const homes = homesOf(template, machines);
  const { pods, surge } = footprint(object, homes.length, others)!;
  const perNode =
    object.kind === 'DaemonSet'
      ? homes.map((node) => [node, 1] as const)
      : (byDisk(object, pods, rendering) ?? shareOut(pods, homes));
  const workload = `${object.metadata.namespace}/${object.metadata.name}`;
  return perNode.flatMap(([node, count], index) => {
    const common = { node, workload, pods: count, surge: index === 0 ? surge : 0 };
    const rows = template.containers.map((container: any) => ({
      ...common,
      container: container.name,
      ...requests(container),
    }));
    const { memory, cpu } = podRequests(template);
    const total = rows.reduce(
      (sum: { memory: number; cpu: number }, row: BudgetRow) => ({
        memory: sum.memory + row.memory,
        cpu: sum.cpu + row.cpu,
      }),
      { memory: 0, cpu: 0 },
    );
    const init = { memory: Math.max(0, memory - total.memory), cpu: Math.max(0, Math.round(cpu * 1000) - total.cpu) };
    return init.memory + init.cpu > 0
      ? [...rows, { ...common, container: '(more for its init containers)', ...init }]
      : rows;
  });
}

function requests(container: any): { memory: number; cpu: number } {
  return {
    memory: containerRequest(container, 'memory'),
    cpu: Math.round(containerRequest(container, 'cpu') * 1000),
  };
}

/** The nodes of pods: those of a selector or a required affinity, else preferred ones, else any worker. */
function homesOf(template: any, machines: readonly (readonly [string, TalosMachine])[]): string[] {
  const affinity = template.affinity?.nodeAffinity;
  const terms =
    affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ??
    affinity?.preferredDuringSchedulingIgnoredDuringExecution?.map((term: any) => term.preference);
  const named = machines
    .filter(([name, machine]) => {
      const labels: Readonly<Record<string, string>> = { 'kubernetes.io/hostname': name, ...machine.labels };
      const selected = Object.entries(template.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
      return selected && (terms === undefined || terms.some((term: any) => meets(labels, term)));
    })
    .map(([name]) => name);
  return named.length > 0 ? named : machines.map(([name]) => name);
}

function meets(labels: Readonly<Record<string, string>>, { matchExpressions = [] }: any): boolean {
  return matchExpressions.every(({ key, operator, values = [] }: any) => {
    if (operator === 'NotIn') return !values.includes(labels[key]);
    if (operator === 'Exists') return key in labels;
    return operator === 'DoesNotExist' ? !(key in labels) : values.includes(labels[key]);
  });
}

/** Pods whose claims have volumes on one node run only there. */
function byDisk(object: any, pods: number, rendering: Rendering): (readonly [string, number])[] | undefined {
  const { name, namespace } = object.metadata;
  const [template] = object.spec.volumeClaimTemplates ?? [];
  const [single] = (podSpecOf(object)?.volumes ?? []).filter((volume: any) => volume.persistentVolumeClaim);
  if (template === undefined && single === undefined) return undefined;
  const claimOf = (ordinal: number): string =>
    template ? `${template.metadata.name}-${name}-${ordinal}` : single.persistentVolumeClaim.claimName;
  const counts = new Map<string, number>();
  for (let ordinal = 0; ordinal < pods; ordinal++) {
    const volume = rendering.find(
      ({ object: { kind, spec } }) =>
        kind === 'PersistentVolume' &&
        spec.claimRef?.namespace === namespace &&
        spec.claimRef.name === claimOf(ordinal),
    );
    const [node] = volume?.object.spec.nodeAffinity?.required?.nodeSelectorTerms[0].matchExpressions[0].values ?? [];
    if (node === undefined) return undefined;
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return [...counts];
}

function shareOut(pods: number, homes: readonly string[]): (readonly [string, number])[] {
  return homes
    .map((node, index) => [node, Math.floor(pods / homes.length) + (index < pods % homes.length ? 1 : 0)] as const)
    .filter(([, count]) => count > 0);
}
