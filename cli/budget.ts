import { homelabApp } from '../charts';
import { budgetRows, type BudgetRow } from '../checks';
import { allocatableMemory, nodes } from '../inventory';
import { render } from '../synth';

/** Prints every container of every node with its requests, and what is free when every Deployment rolls at once. */
export async function budget(): Promise<void> {
  const { default: homelab } = await import('../homelab');
  const rows = budgetRows(render(homelabApp(homelab)), homelab);
  for (const [node, machine] of nodes(homelab)) {
    const here = rows.filter((row) => row.node === node);
    const sum = (cost: (row: BudgetRow) => number) =>
      here.reduce((total, row) => total + cost(row) * (row.pods + row.surge), 0);
    const room = { memory: allocatableMemory(homelab, machine), cpu: machine.cores * 1000 };
    console.log(`\n${node}`);
    console.log(line('workload', 'container', 'pods', 'MiB each', 'MiB', 'millicores'));
    for (const row of here)
      console.log(
        line(
          row.workload,
          row.container,
          `${row.pods}${row.surge ? `+${row.surge}` : ''}`,
          mib(row.memory),
          mib(row.memory * (row.pods + row.surge)),
          `${row.cpu * (row.pods + row.surge)}`,
        ),
      );
    const used = { memory: sum((row) => row.memory), cpu: sum((row) => row.cpu) };
    console.log(line('asked for', '', '', '', mib(used.memory), `${used.cpu}`));
    console.log(line('allocatable', '', '', '', mib(room.memory), `${room.cpu}`));
    console.log(line('free', '', '', '', mib(room.memory - used.memory), `${room.cpu - used.cpu}`));
  }
}

function mib(bytes: number): string {
  return String(Math.round(bytes / 1024 ** 2));
}

function line(workload: string, container: string, ...numbers: readonly string[]): string {
  return `  ${workload.padEnd(38)} ${container.padEnd(32)} ${numbers.map((number) => number.padStart(10)).join(' ')}`;
}
