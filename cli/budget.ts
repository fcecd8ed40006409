import { homelabApp } from '../charts';
import { budgetRows, budgetSum, type BudgetRow, type Rendering } from '../checks';
import {
  allocatableCpu,
  allocatableMemory,
  diskSize,
  machineOfDisk,
  modelBudget,
  neededDisks,
  nodes,
  type Homelab,
  type ModelBudget,
} from '../inventory';
import { ownCharts } from '../own-charts';
import { render } from '../synth';
import { bytes, GIB, sum } from '../values/quantity';

/**
 * Prints every container of every node with its requests, what is free when every Deployment rolls at once, and the data disks of
 * the node. Then the models that
 * are loaded at once, with their memory.
 */
export async function budget(): Promise<void> {
  const { default: homelab } = await import('../homelab');
  console.log(budgetTable(render(homelabApp(homelab, { charts: ownCharts })), homelab));
}

export function budgetTable(rendering: Rendering, homelab: Homelab): string {
  const rows = budgetRows(rendering, homelab);
  const models = modelBudget(homelab);
  const tables = nodes(homelab).map(([node, machine]) => {
    const here = rows.filter((row) => row.node === node);
    const room = { memory: allocatableMemory(homelab, machine), cpu: allocatableCpu(machine) };
    return [node, ...table(here, room), ...diskTable(homelab, node)];
  });
  return [...tables, ...(models === undefined ? [] : [[models.machine, ...modelTable(models)]])]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** The data disks of a node, and whose data they hold. */
function diskTable(homelab: Homelab, node: string): string[] {
  const here = neededDisks(homelab).filter(({ disk }) => machineOfDisk(homelab, disk)[0] === node);
  if (here.length === 0) return [];
  return [
    '',
    line('disk', 'of', '', '', '', 'GiB'),
    ...here.map(({ disk, place }) => line(disk, place, '', '', '', String(bytes(diskSize(homelab, disk)!) / GIB))),
  ];
}

/** The largest set of models that is loaded at once. */
function modelTable({ models, room, system }: ModelBudget): string[] {
  const together = sum(models.map(({ memory }) => memory.total));
  return [
    line('model', 'loaded', 'weights', 'KV cache', 'buffers', 'MiB'),
    ...models.map(({ served, resident, memory: { weights, cache, compute, total } }) =>
      line(served, resident ? 'always' : 'on request, the largest', mib(weights), mib(cache), mib(compute), mib(total)),
    ),
    line('models together', '', '', '', '', mib(together)),
    line('may take', '', '', '', '', mib(room)),
    line('free', '', '', '', '', mib(room - together)),
    line('kept for the system and Ollama', '', '', '', '', mib(system)),
  ];
}

function table(rows: readonly BudgetRow[], room: { readonly memory: number; readonly cpu: number }): string[] {
  const used = budgetSum(rows);
  return [
    line('workload', 'container', 'pods', 'MiB each', 'MiB', 'millicores'),
    ...rows.map(({ workload, container, pods, surge, memory, cpu }) =>
      line(
        workload,
        container,
        `${pods}${surge ? `+${surge}` : ''}`,
        mib(memory),
        mib(memory * (pods + surge)),
        `${cpu * (pods + surge)}`,
      ),
    ),
    line('asked for', '', '', '', mib(used.memory), `${used.cpu}`),
    line('allocatable', '', '', '', mib(room.memory), `${room.cpu}`),
    line('free', '', '', '', mib(room.memory - used.memory), `${room.cpu - used.cpu}`),
  ];
}

function mib(bytes: number): string {
  return String(Math.round(bytes / 1024 ** 2));
}

function line(workload: string, container: string, ...numbers: readonly string[]): string {
  return `  ${workload.padEnd(38)} ${container.padEnd(26)}${numbers.map((number) => number.padStart(11)).join('')}`;
}
