import { homelabApp } from '../charts';
import { budgetRows, budgetSum, type BudgetRow, type Rendering } from '../checks';
import { allocatableCpu, allocatableMemory, nodes, type Homelab } from '../inventory';
import { render } from '../synth';

/** Prints every container of every node with its requests, and what is free when every Deployment rolls at once. */
export async function budget(): Promise<void> {
  const { default: homelab } = await import('../homelab');
  console.log(budgetTable(render(homelabApp(homelab)), homelab));
}

export function budgetTable(rendering: Rendering, homelab: Homelab): string {
  const rows = budgetRows(rendering, homelab);
  return nodes(homelab)
    .map(([node, machine]) => {
      const here = rows.filter((row) => row.node === node);
      const room = { memory: allocatableMemory(homelab, machine), cpu: allocatableCpu(machine) };
      return [node, ...table(here, room)].join('\n');
    })
    .join('\n\n');
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
