import { Size } from 'cdk8s';
import { homelabApp } from '../../charts';
import { budgetRows } from '../../checks';
import { budgetTable } from '../../cli/budget';
import { defineHomelab, type Homelab } from '../../inventory';
import { render } from '../../synth';
import { changed } from '../homelab';

const homelab = defineHomelab(
  changed((h) => {
    h.services.files = { connects: [], volumes: { data: { path: '/data' } } };
    h.machines['talos-worker-01'].dataDisks['files-data'] = Size.gibibytes(7);
  }) as Homelab,
);
const rendering = render(homelabApp(homelab));

test('the disks of each node, with whose data they hold and their size', () => {
  const [, node] = /^talos-worker-01\n([\s\S]*?)\n\n\S/m.exec(`${budgetTable(rendering, homelab)}\n\nend`)!;
  expect(node!.split('\n').filter((line) => /-data|cassandra-r1-0/.test(line))).toEqual([
    expect.stringMatching(/^ {2}cassandra-r1-0 +databases\.cassandra +100$/),
    expect.stringMatching(/^ {2}files-data +services\.files\.volumes\.data +7$/),
  ]);
});

test('a pod with a disk counts on the node of its disk alone, without a second pod while it is replaced', () => {
  const rows = budgetRows(rendering, homelab).filter(({ workload }) => workload === 'services/files');
  expect(new Set(rows.map(({ node }) => node))).toEqual(new Set(['talos-worker-01']));
  expect(rows.every(({ pods, surge }) => pods === 1 && surge === 0)).toBe(true);
});
