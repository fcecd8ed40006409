import { allocatableCpu, allocatableMemory, nodes } from '../../../inventory';
import { budgetRows, type BudgetRow } from '../../budget';
import type { RenderedObject } from '../../rendering';
import { identity } from '../objects';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';

/** Nodes without room for old and new pods at once. The budget check covers the final state. */
export function nodeRisks({ before, after, homelab }: Step, pairs: readonly Pair[]): Risk[] {
  if (!homelab) return [];
  const [old, now] = [budgetRows(rendering(before), homelab), budgetRows(rendering(after), homelab)];
  const ids = new Map(
    pairs.map(({ id, before: was, after: is }) => {
      const { metadata } = (is ?? was)!.object;
      return [`${metadata.namespace}/${metadata.name}`, id] as const;
    }),
  );
  return nodes(homelab).flatMap(([node, machine]) => {
    const on = (rows: readonly BudgetRow[]) => byWorkload(rows.filter((row) => row.node === node));
    const room = { memory: allocatableMemory(homelab, machine), cpu: allocatableCpu(machine) };
    return (['memory', 'cpu'] as const).flatMap((key) => nodeRisk(node, key, room[key], on(old), on(now), ids));
  });
}

function nodeRisk(
  node: string,
  key: 'memory' | 'cpu',
  room: number,
  old: ReadonlyMap<string, readonly BudgetRow[]>,
  now: ReadonlyMap<string, readonly BudgetRow[]>,
  ids: ReadonlyMap<string, string>,
): Risk[] {
  const costs = [...new Set([...old.keys(), ...now.keys()])].map((workload) => {
    const [was, is] = [old.get(workload) ?? [], now.get(workload) ?? []];
    const rest = (rows: readonly BudgetRow[]) => rows.reduce((sum, row) => sum + row[key] * row.pods, 0);
    const more = is.reduce((sum, row) => sum + row[key] * row.surge, 0);
    const changes = JSON.stringify(was) !== JSON.stringify(is);
    // Without a change there is no rollout.
    return { workload, changes, end: rest(is), peak: changes ? Math.max(rest(was), rest(is)) + more : rest(is) };
  });
  const peak = costs.reduce((sum, each) => sum + each.peak, 0);
  const end = costs.reduce((sum, each) => sum + each.end, 0);
  const changing = costs.filter(({ changes }) => changes);
  if (peak <= room || changing.length === 0) return [];
  const text = (value: number) => (key === 'memory' ? `${Math.ceil(value / 1024 ** 2)} MiB` : `${value}m`);
  const parts = changing.map(({ workload, peak: each }) => `${workload} ${text(each)}`);
  const others = peak - changing.reduce((sum, each) => sum + each.peak, 0);
  return [
    {
      verdict: 'limit',
      what: `${node}.${key}`,
      objects: changing.flatMap(({ workload }) => ids.get(workload) ?? []),
      from: text(room),
      to: text(peak),
      problem: `${node} has room for ${text(room)} of ${key}; while old and new pods run at once, ${parts.slice(0, 6).join(' + ')}${parts.length > 6 ? ' + ...' : ''} + ${text(others)} of unchanged pods = ${text(peak)}${end > room ? '' : ` (${text(end)} in the end)`}: new pods wait until old ones end.`,
      way: ['Change fewer workloads of that node in one commit; start with those that get smaller.'],
    },
  ];
}

function byWorkload(rows: readonly BudgetRow[]): Map<string, BudgetRow[]> {
  const found = new Map<string, BudgetRow[]>();
  for (const row of rows) {
    const list = found.get(row.workload);
    if (list) list.push(row);
    else found.set(row.workload, [row]);
  }
  return found;
}

function rendering({ objects }: State): RenderedObject[] {
  return objects.map(({ folder, file, object }) => ({ chart: folder, construct: identity(object), file, object }));
}
